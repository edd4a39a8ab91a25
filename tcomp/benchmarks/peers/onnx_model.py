"""Operations as ONNX models with the weights as initialisers, for ONNX Runtime and OpenVINO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tcomp.benchmarks.operations import BlockScaledProduct, Contraction, Convolution, Operation
from tcomp.benchmarks.peers.mode import Inputs, no_form

if TYPE_CHECKING:
    from tcomp.benchmarks.operations import Epilogue

OPSET, IR_VERSION = 21, 10  # the first with bf16 and 4-bit types throughout


def model(operation: Operation, inputs: Inputs) -> bytes:
    """A serialised model. Raises Unavailable for what ONNX has no operator for."""
    graph = _Graph(inputs)
    match operation:
        case Contraction():
            _contraction(graph, operation)
        case Convolution():
            _convolution(graph, operation)
        case BlockScaledProduct():
            _four_bits(graph, operation)
        case _:
            raise no_form(operation)
    return graph.model(operation)


class _Graph:
    """Nodes and initialisers on their way to a model."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.count = 0

    def node(self, kind: str, *names: str, domain: str = "", **attributes: Any) -> str:
        """Adds a node; the name of its result."""
        from onnx import helper

        self.count += 1
        result = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, names, [result], domain=domain, **attributes))
        return result

    def constant(self, name: str, array: Any) -> str:
        from onnx import numpy_helper

        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def model(self, operation: Operation) -> bytes:
        from onnx import helper

        (result,) = operation.results
        self.nodes[-1].output[0] = result.name
        values = [
            helper.make_tensor_value_info(t.name, _element(t.dtype), t.shape)
            for t in (*operation.inputs, result)
            if t.name not in self.constants
        ]
        graph = helper.make_graph(
            self.nodes, "workload", values[:-1], values[-1:], list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        serialised: bytes = made.SerializeToString()
        return serialised


def _element(dtype: str) -> int:
    from onnx import TensorProto

    names = {
        "f32": "FLOAT",
        "bf16": "BFLOAT16",
        "f16": "FLOAT16",
        "i8": "INT8",
        "u8": "UINT8",
        "i32": "INT32",
    }
    return int(getattr(TensorProto, names[dtype]))


def _contraction(graph: _Graph, op: Contraction) -> None:
    left, right, _ = op.axes
    flat = left.strip("z") in ("mk", "km") and right.strip("z") in ("kn", "nk")
    if not flat:
        if op.weights:
            graph.constant("B", graph.inputs["B"])
        graph.node("Einsum", "A", "B", equation=op.subscripts)
        return
    batched = left.startswith("z")
    a = _turned(graph, "A", batched) if left.endswith("km") else "A"
    b = "B"
    if op.weights:
        weights = graph.inputs["B"]
        graph.constant("B", weights.swapaxes(-1, -2) if right.endswith("nk") else weights)
    elif right.endswith("nk"):
        b = _turned(graph, "B", batched)
    _finish(
        graph,
        graph.node("MatMulInteger" if op.dtypes[2] == "i32" else "MatMul", a, b),
        op.epilogue,
        "b",
    )


def _turned(graph: _Graph, name: str, batched: bool) -> str:
    """Transposed by a node, which runtimes fold into the product."""
    return graph.node("Transpose", name, perm=[0, 2, 1] if batched else [1, 0])


def _finish(graph: _Graph, value: str, epilogue: Epilogue, bias: str) -> None:
    """Adds the epilogue; a bias of the empty name was added by the operator itself."""
    if epilogue.bias and bias:
        value = graph.node("Add", value, graph.constant("b", graph.inputs["b"]))
    if epilogue.residual:
        value = graph.node("Add", value, "R")
    match epilogue.activation:
        case "relu":
            graph.node("Relu", value)
        case "gelu":
            graph.node("Gelu", value)
        case "relu6":
            low = graph.constant("low", np.float32(0))
            graph.node("Clip", value, low, graph.constant("high", np.float32(6)))


def _convolution(graph: _Graph, op: Convolution) -> None:
    names = ["I", graph.constant("F", graph.inputs["F"])]
    if op.epilogue.bias:
        names.append(graph.constant("b", graph.inputs["b"]))
    rank = len(op.window)
    value = graph.node(
        "ConvTranspose" if op.transposed else "Conv",
        *names,
        kernel_shape=list(op.window),
        strides=[op.stride] * rank,
        dilations=[op.dilation] * rank,
        pads=[*op.padding, *op.padding],
        group=op.groups,
    )
    _finish(graph, value, op.epilogue, "")


def _four_bits(graph: _Graph, op: BlockScaledProduct) -> None:
    """ONNX Runtime's operator for such weights, computing in f32 (accuracy level 1)."""
    weights = graph.inputs["W"].astype(np.uint8)
    packed = (weights[:, ::2] | (weights[:, 1::2] << 4)).reshape(op.n, -1, op.block // 2)
    graph.node(
        "MatMulNBits",
        "X",
        graph.constant("W", packed),
        graph.constant("S", graph.inputs["S"].reshape(-1)),
        domain="com.microsoft",
        K=op.k,
        N=op.n,
        bits=4,
        block_size=op.block,
        accuracy_level=1,
    )
