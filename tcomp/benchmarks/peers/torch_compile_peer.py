"""torch.compile (Inductor) with weights frozen, so that it packs them and fuses what follows."""

from __future__ import annotations

from typing import Any

from tcomp.benchmarks.operations import Operation
from tcomp.benchmarks.peers.mode import Inputs, Mode, Unavailable
from tcomp.benchmarks.peers.torch_forms import form, tensors
from tcomp.benchmarks.peers.torch_peer import as_arrays, set_up
from tcomp.benchmarks.peers.torch_peer import version as version


def modes(operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
    import torch

    set_up(threads)
    run = form(operation)
    torch._dynamo.reset()  # else it falls back to eager after eight workloads
    constants = {t.name for t in operation.inputs if t.constant}

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, tensor in tensors(inputs).items():
                if name in constants:
                    self.register_buffer(name, tensor)

        def forward(self, **given: Any) -> Any:
            return run({**given, **dict(self.named_buffers())})

    given = {n: t for n, t in tensors(inputs).items() if n not in constants}
    layer = Layer().eval()
    with torch.no_grad():
        compiled = torch.compile(layer, options={"freezing": True})

        def call() -> Any:
            with torch.no_grad():
                return compiled(**given)

        try:
            call()
        except Exception as problem:  # whatever Inductor and the system's compiler raise
            raise Unavailable(f"{type(problem).__name__}: {problem}"[:200]) from None
    return [Mode("inductor, freezing", call, as_arrays)]
