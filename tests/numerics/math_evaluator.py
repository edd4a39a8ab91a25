"""Evaluates primitive loop expressions on NumPy arrays: one array element for each lane.

It knows primitives only, so it also shows that an expansion is complete. fma is exact: for f32 through
float64 (the product is exact there, the sum is then rounded twice, which differs from one rounding in
about one case in 2**29); for f64 through Dekker's product and Knuth's sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from tcomp.ir import dtypes
from tcomp.ir.dtypes import DType
from tcomp.ir.loop.nodes import Broadcast, Const, Expr, Local, Op, postorder

Array = Any


def numpy_type(dtype: DType) -> np.dtype[Any]:
    if dtype.is_float and dtype.bits <= 16 and dtype is not dtypes.f16:
        return np.dtype(getattr(ml_dtypes, dtype.numpy_name))
    return np.dtype(dtype.numpy_name)


def evaluate(expr: Expr, inputs: dict[str, Array]) -> Array:
    """The value of `expr`, whose leaves are constants and Locals named in `inputs`."""
    values: dict[Expr, Array] = {}
    with np.errstate(all="ignore"):
        for node in postorder(expr):
            values[node] = _value(node, values, inputs)
    count = max(np.size(v) for v in inputs.values())
    return np.broadcast_to(values[expr], (count,))


def _value(node: Expr, values: dict[Expr, Array], inputs: dict[str, Array]) -> Array:
    match node:
        case Const(value, dtype, _):
            return np.array(value, numpy_type(dtype))
        case Local(name, dtype, _):
            assert inputs[name].dtype == numpy_type(dtype), (name, inputs[name].dtype, dtype)
            return inputs[name]
        case Broadcast(value, _):
            return values[value]
        case Op("cast", (arg,), dtype):
            return _cast(values[arg], arg.dtype, dtype)
        case Op("bitcast", (arg,), dtype):
            assert arg.dtype.bits == dtype.bits
            return np.ascontiguousarray(values[arg]).view(numpy_type(dtype))
        case Op(op, args, dtype):
            result = PRIMITIVES[op](*(values[a] for a in args))
            assert result.dtype == numpy_type(dtype), (op, result.dtype, dtype)
            return result
    raise TypeError(node)


def _cast(value: Array, source: DType, target: DType) -> Array:
    plain = {dtypes.i32, dtypes.u32, dtypes.i64, dtypes.u64, dtypes.f32, dtypes.f64, dtypes.boolean}
    narrow = {dtypes.i8, dtypes.u8, dtypes.i16, dtypes.u16}
    half = {source, target} == {dtypes.f16, dtypes.f32}
    integers = source in plain | narrow and target in plain | narrow
    assert half or (integers and not (source.is_float and target in narrow)), (source, target)
    if source.is_float and target.is_integer:
        info = np.iinfo(numpy_type(target))
        # The least float above the range, so that the comparison is exact.
        top = np.ldexp(1.0, target.bits - (1 if target.is_signed else 0))
        inside = (value > np.float64(info.min) - 1) & (value < top)
        truncated = np.where(inside, np.trunc(value), 0).astype(numpy_type(target))
        limit = np.where(value >= top, info.max, np.where(np.isnan(value), 0, info.min))
        return np.where(inside, truncated, limit.astype(numpy_type(target)))
    return value.astype(numpy_type(target))


def _split(a: Array) -> tuple[Array, Array]:
    t = a * 134217729.0
    high = t - (t - a)
    return high, a - high


def _fma(a: Array, b: Array, c: Array) -> Array:
    if a.dtype == np.float32 or b.dtype == np.float32:
        return (np.float64(a) * np.float64(b) + np.float64(c)).astype(np.float32)
    a, b, c = np.broadcast_arrays(a, b, c)
    # Scaled by powers of two so that neither the split nor the product leaves the range.
    fa, ea = np.frexp(a)
    fb, eb = np.frexp(b)
    product = fa * fb
    (ah, al), (bh, bl) = _split(fa), _split(fb)
    error = ((ah * bh - product) + ah * bl + al * bh) + al * bl
    shift = -(ea + eb)
    term = np.ldexp(c, shift)
    plain = a * b + c
    exact = np.isfinite(plain) & np.isfinite(term) & (np.abs(term) < 1e300) & (a != 0) & (b != 0)
    total = product + term
    virtual = total - product
    lost = (product - (total - virtual)) + (term - virtual)
    result = np.ldexp(total + (lost + error), -shift)
    return np.where(exact & (c != 0), result, np.where(np.isfinite(term), plain, plain))


def _shift(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, b: function(a, b.astype(a.dtype))


def _truncated(a: Array, b: Array) -> Array:
    assert np.all(b != 0)
    quotient = np.floor_divide(a, b)
    remainder = a - quotient * b
    return np.where((remainder != 0) & ((a < 0) != (b < 0)), quotient + 1, quotient).astype(a.dtype)


PRIMITIVES: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "neg": np.negative,
    "fma": _fma,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "where": np.where,
    "abs": np.abs,
    "bit_and": np.bitwise_and,
    "bit_or": np.bitwise_or,
    "bit_xor": np.bitwise_xor,
    "shift_left": _shift(np.left_shift),
    "shift_right": _shift(np.right_shift),
    "truncdiv": _truncated,
    "truncmod": lambda a, b: (a - _truncated(a, b) * b).astype(a.dtype),
}
