"""ONNX Runtime on the CPU: weights as initialisers (packed when the session is made), all optimisations on."""

from __future__ import annotations

from typing import Any

from tcomp.benchmarks.operations import Operation
from tcomp.benchmarks.peers.mode import Inputs, Mode, Unavailable


def version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


def modes(operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
    import onnxruntime

    from tcomp.benchmarks.peers.onnx_model import model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model(operation, inputs), options, providers=["CPUExecutionProvider"]
        )
    except Exception as problem:  # its own exception types have no common base
        raise Unavailable(" ".join(str(problem).split())[:200]) from None
    given = {t.name: inputs[t.name] for t in operation.inputs if not t.constant}
    found = [Mode("bound outputs", _bound(session, given, operation), lambda r: (r(),))]
    if all(a.dtype.name != "bfloat16" for a in given.values()):
        found.append(Mode("run", lambda: session.run(None, given), tuple))
    return found


def _bound(session: Any, given: Inputs, operation: Operation) -> Any:
    """Inputs and outputs that stay in place from call to call."""
    from onnxruntime import OrtValue

    binding = session.io_binding()
    values = {n: OrtValue.ortvalue_from_numpy(a) for n, a in given.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    (result,) = operation.results
    binding.bind_output(result.name)
    session.run_with_iobinding(binding)
    (out,) = binding.get_outputs()
    binding.bind_ortvalue_output(result.name, out)

    def call() -> Any:
        session.run_with_iobinding(binding)
        return out.numpy

    return call
