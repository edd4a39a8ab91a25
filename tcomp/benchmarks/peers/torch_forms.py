"""Operations in PyTorch's terms: a function of tensors by name, for eager and compiled execution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tcomp.benchmarks.operations import Contraction, Convolution, Epilogue, Operation
from tcomp.benchmarks.peers.mode import Inputs, no_form

Tensors = Mapping[str, Any]
Form = Callable[[Tensors], Any]


def tensors(inputs: Inputs) -> dict[str, Any]:
    """The inputs as tensors that share their memory."""
    import torch

    found = {}
    for name, array in inputs.items():
        if array.dtype.name == "bfloat16":
            found[name] = torch.from_numpy(array.view("int16")).view(torch.bfloat16)
        else:
            found[name] = torch.from_numpy(array)
    return found


def form(operation: Operation) -> Form:
    """The operation by PyTorch's own functions. Raises Unavailable where it has none."""
    match operation:
        case Contraction():
            return _contraction(operation)
        case Convolution():
            return _convolution(operation)
    raise no_form(operation)


def _contraction(op: Contraction) -> Form:
    from torch.nn.functional import linear

    finish, result = _epilogue(op.epilogue), op.dtypes[2]
    if result == "i32":
        return _bytes_product(op)
    if op.subscripts == "mk,nk->mn":  # F.linear takes the bias along
        return lambda t: finish(linear(t["A"], t["B"], t.get("b")), None, t.get("R"))
    product = _product(op)
    return lambda t: finish(product(t), t.get("b"), t.get("R"))


def _product(op: Contraction) -> Form:
    import torch

    left, right, out = op.axes
    if left[-2:] in ("mk", "km") and right[-2:] in ("kn", "nk") and out.endswith("mn"):
        a = _turned if left.endswith("km") else _as_is
        b = _turned if right.endswith("nk") else _as_is
        return lambda t: torch.matmul(a(t["A"]), b(t["B"]))
    subscripts = op.subscripts
    return lambda t: torch.einsum(subscripts, t["A"], t["B"])


def _bytes_product(op: Contraction) -> Form:
    import torch

    _, right, _ = op.axes
    b = _turned if right.endswith("nk") else _as_is
    return lambda t: torch._int_mm(t["A"], b(t["B"]))


def _as_is(tensor: Any) -> Any:
    return tensor


def _turned(tensor: Any) -> Any:
    return tensor.transpose(-1, -2)


def _convolution(op: Convolution) -> Form:
    import torch

    rank = len(op.window)
    finish = _epilogue(op.epilogue)
    if op.transposed:
        transposed = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[
            rank - 1
        ]
        return lambda t: finish(
            transposed(
                t["I"], t["F"], t.get("b"), op.stride, op.padding, 0, op.groups, op.dilation
            ),
            None,
            t.get("R"),
        )
    forward = (torch.conv1d, torch.conv2d, torch.conv3d)[rank - 1]
    return lambda t: finish(
        forward(t["I"], t["F"], t.get("b"), op.stride, op.padding, op.dilation, op.groups),
        None,
        t.get("R"),
    )


def _epilogue(epilogue: Epilogue) -> Callable[[Any, Any, Any], Any]:
    import torch

    activation: dict[str, Callable[[Any], Any]] = {
        "": lambda x: x,
        "relu": torch.relu_,
        "relu6": torch.nn.functional.relu6,
        "gelu": torch.nn.functional.gelu,
    }
    act = activation[epilogue.activation]

    def finish(product: Any, bias: Any, residual: Any) -> Any:
        if bias is not None:
            product = product.add_(bias)
        if residual is not None:
            product = product.add_(residual)
        return act(product)

    return finish
