"""OpenVINO on the CPU: a compiled model for latency, with the precision of the workload and no other.

Without the hint it computes f32 models in bf16 where the processor has it.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tcomp.benchmarks.operations import BlockScaledProduct, Operation
from tcomp.benchmarks.operations.tensor import Array
from tcomp.benchmarks.peers.mode import Inputs, Mode, Unavailable

PRECISIONS = {"bf16": "bf16", "f16": "f16"}


def version() -> str:
    import openvino

    return str(openvino.__version__).partition("-")[0]


def modes(operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
    import openvino

    configuration = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": PRECISIONS.get(operation.results[0].dtype, "f32"),
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "ENABLE_CPU_PINNING": True,
    }
    try:
        model, memory = _model(operation, inputs)
        request = openvino.Core().compile_model(model, "CPU", configuration).create_infer_request()
    except RuntimeError as problem:
        raise Unavailable(" ".join(str(problem).split())[:200]) from None
    for port in request.model_inputs:
        request.set_tensor(port, _tensor(inputs[port.any_name]))

    def arrays(_: Any, kept: Any = memory) -> tuple[Array, ...]:
        return (_array(request.get_output_tensor()),)

    return [Mode("infer request", request.infer, arrays)]


def _tensor(array: Array) -> Any:
    """A tensor that shares the array's memory; its Python interface has no bf16 of its own."""
    import openvino

    if array.dtype.name == "bfloat16":
        return openvino.Tensor(array.view(np.uint16), list(array.shape), openvino.Type.bf16)
    return openvino.Tensor(array, shared_memory=True)


def _array(tensor: Any) -> Array:
    import ml_dtypes

    bits = tensor.element_type.get_type_name() == "bf16"
    found: Array = tensor.data.view(ml_dtypes.bfloat16) if bits else tensor.data
    return found


def _model(operation: Operation, inputs: Inputs) -> tuple[Any, Any]:
    """The model, and memory that it borrows."""
    import openvino

    if isinstance(operation, BlockScaledProduct):
        return _four_bits(operation, inputs)
    from tcomp.benchmarks.peers.onnx_model import model

    return openvino.Core().read_model(io.BytesIO(model(operation, inputs))), None


def _four_bits(op: BlockScaledProduct, inputs: Inputs) -> tuple[Any, Any]:
    """The decompression that its documentation asks for: u4, minus zero point, times scale."""
    import openvino
    from openvino import opset13 as ops

    weights = inputs["W"].astype(np.uint8)
    packed = np.ascontiguousarray(weights[:, ::2] | (weights[:, 1::2] << 4))
    blocks = [op.n, op.k // op.block, op.block]
    x = ops.parameter([op.m, op.k], np.float32, "X")
    x.output(0).get_tensor().set_names({"X"})
    value = ops.convert(ops.constant(openvino.Tensor(packed, blocks, openvino.Type.u4)), "f32")
    value = ops.subtract(value, ops.constant(np.float32(8)))
    value = ops.multiply(value, ops.constant(inputs["S"][:, :, None]))
    value = ops.reshape(value, ops.constant(np.array([op.n, op.k])), False)
    made = openvino.Model([ops.matmul(x, value, False, True)], [x])
    return made, packed  # its constant lives in this array
