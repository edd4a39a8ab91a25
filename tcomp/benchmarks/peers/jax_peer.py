"""JAX (XLA on the CPU), jitted, at the highest precision; weights are arguments, which XLA does not pack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tcomp.benchmarks.operations import BlockScaledProduct, Contraction, Convolution, Operation
from tcomp.benchmarks.peers.mode import Inputs, Mode, no_form


def version() -> str:
    import jax

    return str(jax.__version__)


def modes(operation: Operation, inputs: Inputs, threads: int) -> list[Mode]:
    """Threads follow the processors that this process may use."""
    import jax

    values = {n: jax.numpy.asarray(a) for n, a in inputs.items()}
    run = jax.jit(_form(operation))
    return [Mode("jit", lambda: run(values).block_until_ready(), lambda v: (_plain(v),))]


def _plain(value: Any) -> Any:
    import numpy as np

    return np.asarray(value)


def _form(operation: Operation) -> Callable[[Any], Any]:
    match operation:
        case Contraction():
            return _contraction(operation)
        case Convolution():
            return _convolution(operation)
        case BlockScaledProduct():
            return _four_bits(operation)
    raise no_form(operation)


def _contraction(op: Contraction) -> Callable[[Any], Any]:
    import jax.numpy as jnp

    result = op.dtypes[2]
    wide = jnp.int32 if result == "i32" else jnp.float32
    last = {"bf16": jnp.bfloat16, "f16": jnp.float16}.get(result, wide)

    def run(t: Any) -> Any:
        product = jnp.einsum(
            op.subscripts, t["A"], t["B"], precision="highest", preferred_element_type=wide
        )
        return _finish(op, product, t.get("b"), t.get("R")).astype(last)

    return run


def _convolution(op: Convolution) -> Callable[[Any], Any]:
    import jax
    import jax.numpy as jnp

    rank = len(op.window)

    def run(t: Any) -> Any:
        filters, pads, inner = t["F"], [(p, p) for p in op.padding], 1
        strides = (op.stride,) * rank
        if op.transposed:  # the filters turned, the image spread
            filters = jnp.flip(jnp.swapaxes(filters, 0, 1), range(2, 2 + rank))
            reach = [op.dilation * (r - 1) for r in op.window]
            pads = [(r - p, r - p) for r, p in zip(reach, op.padding, strict=True)]
            inner, strides = op.stride, (1,) * rank
        summed = jax.lax.conv_general_dilated(
            t["I"],
            filters,
            strides,
            pads,
            lhs_dilation=(inner,) * rank,
            rhs_dilation=(op.dilation,) * rank,
            feature_group_count=op.groups,
            precision="highest",
        )
        bias = t["b"].reshape(-1, *(1,) * rank) if op.epilogue.bias else None
        return _finish(op, summed, bias, t.get("R"))

    return run


def _finish(op: Contraction | Convolution, value: Any, bias: Any, residual: Any) -> Any:
    import jax
    import jax.numpy as jnp

    if bias is not None:
        value = value + bias
    if residual is not None:
        value = value + residual
    activation: dict[str, Callable[[Any], Any]] = {
        "": lambda x: x,
        "relu": jax.nn.relu,
        "relu6": lambda x: jnp.clip(x, 0, 6),
        "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    }
    return activation[op.epilogue.activation](value)


def _four_bits(op: BlockScaledProduct) -> Callable[[Any], Any]:
    import jax.numpy as jnp

    def run(t: Any) -> Any:
        weights = (t["W"].astype(jnp.float32) - 8) * jnp.repeat(t["S"], op.block, axis=1)
        return jnp.matmul(t["X"], weights.T, precision="highest")

    return run
