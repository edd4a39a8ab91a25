"""tcomp itself without deriving: the program as written, with its own analytical schedule."""

from __future__ import annotations

from tcomp.benchmarks.operations import Operation
from tcomp.benchmarks.operations.program import bound
from tcomp.benchmarks.peers.mode import Inputs, Mode


def version() -> str:
    import tcomp

    return tcomp.__version__


def modes(operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
    from tcomp.options import options_from
    from tcomp.pipeline import build_as_written
    from tcomp.specialise import kernel_from

    options = options_from(threads=threads, tune="off")
    kernel = kernel_from(build_as_written(bound(operation), options), options)
    values = [inputs[t.name] for t in operation.inputs]
    out = kernel(*values)
    return [
        Mode(
            "into out",
            lambda: kernel(*values, out=out),
            lambda result: result if isinstance(result, tuple) else (result,),
        )
    ]
