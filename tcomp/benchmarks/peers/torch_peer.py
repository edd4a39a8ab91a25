"""PyTorch in inference mode: eager, channels last, and with weights packed ahead by oneDNN.

f32 stays f32 (`highest` precision); int8 and bf16 use whatever instructions oneDNN finds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tcomp.benchmarks.operations import (
    BlockScaledProduct,
    Contraction,
    Convolution,
    Epilogue,
    Operation,
)
from tcomp.benchmarks.operations.tensor import Array
from tcomp.benchmarks.peers.mode import Inputs, Mode
from tcomp.benchmarks.peers.torch_forms import Tensors, form, tensors


def version() -> str:
    import torch

    return str(torch.__version__)


def modes(operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
    import torch

    set_up(threads)
    if isinstance(operation, BlockScaledProduct):
        return [_four_bits(operation, inputs)]
    given = tensors(inputs)
    run = form(operation)
    found = {"eager": lambda: run(given)}
    if isinstance(operation, Convolution):
        if len(operation.window) > 1:
            form_last = (
                torch.channels_last if len(operation.window) == 2 else torch.channels_last_3d
            )
            last = {
                n: t.contiguous(memory_format=form_last) if t.dim() == len(operation.image) else t
                for n, t in given.items()
            }
            found["channels last"] = lambda: run(last)
            found |= _packed_convolution(operation, last, "channels last, packed")
        found |= _packed_convolution(operation, given, "packed")
    elif _is_linear(operation):
        found |= _packed_linear(operation, given)
    return [Mode(name, _inferring(call), as_arrays) for name, call in found.items()]


def set_up(threads: int) -> None:
    """Threads and exact f32, for this and for compiled execution."""
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")


def as_arrays(value: Any) -> tuple[Array, ...]:
    """A tensor as NumPy has it; bf16 as f32."""
    import torch

    wide = value.float() if value.dtype == torch.bfloat16 else value
    return (wide.contiguous().numpy(),)


def _inferring(call: Callable[[], Any]) -> Callable[[], Any]:
    import torch

    def inferring() -> Any:
        with torch.inference_mode():
            return call()

    return inferring


def _is_linear(operation: Operation) -> bool:
    return (
        isinstance(operation, Contraction)
        and operation.weights
        and operation.subscripts in ("mk,nk->mn", "mk,kn->mn")
        and operation.dtypes[2] in ("f32", "bf16", "f16")
    )


def _packed_linear(op: Any, given: Tensors) -> dict[str, Callable[[], Any]]:
    """What torch.compile's freezing makes of a linear layer: weights in oneDNN's order, epilogue fused; none
    for types that oneDNN does not have on this processor."""
    import torch

    weights = given["B"] if op.subscripts == "mk,nk->mn" else given["B"].t().contiguous()
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weights, op.shape("m")[0])
    except RuntimeError:
        return {}
    run = torch.ops.mkldnn._linear_pointwise
    a, bias, residual = given["A"], given.get("b"), given.get("R")
    if residual is not None:
        return {"packed": lambda: run.binary(a, residual, packed, bias, "add")}
    attribute = op.epilogue.activation or "none"
    return {"packed": lambda: run(a, packed, bias, attribute, [], "none")}


def _packed_convolution(op: Convolution, given: Tensors, name: str) -> dict[str, Callable[[], Any]]:
    """Likewise for a convolution; none for what oneDNN does not fuse."""
    import torch

    ops = torch.ops.mkldnn
    rank = len(op.window)
    pad, stride, dilation = list(op.padding), [op.stride] * rank, [op.dilation] * rank
    image, bias = given["I"], given.get("b")
    if op.transposed:
        if op.epilogue.label or rank != 2:
            return {}
        packed = ops._reorder_convolution_transpose_weight(
            given["F"], pad, [0] * rank, stride, dilation, op.groups, list(op.image)
        )
        return {
            name: lambda: ops._convolution_transpose_pointwise(
                image, packed, bias, pad, [0] * rank, stride, dilation, op.groups, "none", [], ""
            )
        }
    if rank == 1:
        return {}
    packed = ops._reorder_convolution_weight(
        given["F"], pad, stride, dilation, op.groups, list(op.image)
    )
    finish, scalars = _unary(op.epilogue)
    shape = (pad, stride, dilation, op.groups)
    if op.epilogue.residual:
        residual, unary = given["R"], op.epilogue.activation or None
        return {
            name: lambda: ops._convolution_pointwise.binary(
                image, residual, packed, bias, *shape, "add", 1.0, unary, [], None
            )
        }
    return {
        name: lambda: ops._convolution_pointwise(image, packed, bias, *shape, finish, scalars, "")
    }


def _unary(epilogue: Epilogue) -> tuple[str, list[float]]:
    if epilogue.activation == "relu6":
        return "hardtanh", [0.0, 6.0]
    return epilogue.activation or "none", []


def _four_bits(op: BlockScaledProduct, inputs: Inputs) -> Mode:
    """PyTorch's packed 4-bit weights. Its bf16 form is quicker, but rounds what f32 would not."""
    import numpy as np
    import torch

    weights = torch.from_numpy(inputs["W"].astype(np.int32))
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(weights, 1)
    scales = torch.from_numpy(inputs["S"])
    pairs = torch.stack([scales, torch.zeros_like(scales)], -1).transpose(0, 1).contiguous()
    x = torch.from_numpy(inputs["X"])
    run = torch.ops.aten._weight_int4pack_mm_for_cpu
    return Mode("int4pack", _inferring(lambda: run(x, packed, op.block, pairs)), as_arrays)
