"""Weakly typed operands: literals, sizes, iterators and integer parameters take the type beside them.

A weak operand is exact until a typed neighbour, a declared result or its default says what it becomes:
integers stay polynomials, constants fold in float64, and what cannot fold yet (it holds a size or an
iterator) is kept as a tree that is built for the type that is asked for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

from tcomp.ir.dtypes import DType, compute_type, f32, f64, i32, i64, u64
from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.tensor.conversions import integer_range
from tcomp.ir.tensor.nodes import Apply, Const, Expr, IndexValue
from tcomp.ops import OPS, TypeRule


@dataclass(frozen=True, slots=True)
class WeakInt:
    """An exact integer over iterators and sizes."""

    value: Int
    default: DType

    @property
    def floating(self) -> bool:
        return False

    @property
    def constant(self) -> bool:
        """True if the value is known once sizes are bound."""
        return not any(isinstance(a, Iter | Value) for a in self.value.leaves())


@dataclass(frozen=True, slots=True)
class WeakFloat:
    """A known number, in float64."""

    value: float

    default = f32
    floating = True
    constant = True


@dataclass(frozen=True, slots=True)
class WeakApply:
    """An operation on weak operands (and the typed condition of a `where`) that is not yet known."""

    op: str
    args: tuple[Operand, ...]
    floating: bool
    default: DType

    @property
    def constant(self) -> bool:
        return all(not isinstance(a, Expr) and a.constant for a in self.args)


Weak: TypeAlias = WeakInt | WeakFloat | WeakApply
Operand: TypeAlias = Expr | WeakInt | WeakFloat | WeakApply


class DoesNotFit(ValueError):
    """A weak constant has no value in the type beside it."""


def is_weak(operand: Operand) -> bool:
    return not isinstance(operand, Expr)


def literal(value: int | float) -> Weak:
    """A number of the program's text. Raises DoesNotFit beyond 64 bits."""
    if isinstance(value, float):
        return WeakFloat(value)
    for dtype in (i32, i64, u64):
        low, high = integer_range(dtype)
        if low <= value <= high:
            return WeakInt(Int.of(value), dtype)
    raise DoesNotFit(f"{value} takes more than 64 bits")


def default_type(operand: Operand) -> DType:
    """The type in which an operand is computed where nothing else decides."""
    return compute_type(operand.dtype) if isinstance(operand, Expr) else operand.default


def settle(operand: Operand) -> Expr:
    """A weak operand on its own, in its default type; a typed one as it is."""
    return operand if isinstance(operand, Expr) else realise(operand, operand.default)


def realise(operand: Weak, dtype: DType) -> Expr:
    """A weak operand as an expression of type `dtype`. Raises DoesNotFit."""
    match operand:
        case WeakInt(value, _) if value.is_constant:
            return _integer_constant(value.constant, dtype)
        case WeakInt(value, _):
            if dtype.is_float and dtype not in (f32, f64):
                return Apply("cast", (IndexValue(value, f32),), dtype)
            if dtype in (i32, i64, u64, f32, f64):
                return IndexValue(value, dtype)
            return Apply("cast", (IndexValue(value, i64),), dtype)
        case WeakFloat(value):
            if not dtype.is_float:
                raise DoesNotFit(f"{value} is no {'truth value' if dtype.is_bool else 'integer'}")
            return float_constant(value, dtype)
        case WeakApply():
            return _build(operand, dtype)
    raise TypeError(type(operand))


def float_constant(value: float, dtype: DType) -> Expr:
    """The number of a float type nearest to `value`, rounded once."""
    if dtype is f64:
        return Const(value, dtype)
    if dtype is f32:
        return Const(nearest_f32(value), dtype)
    return Const(_nearest(value, dtype), dtype)


def nearest_f32(value: float) -> float:
    """`value` rounded to single precision, overflowing to infinity."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return rounded


def representable(value: float, dtype: DType) -> bool:
    """True if a type holds exactly this number."""
    if dtype.is_float:
        rounded = nearest_f32(value) if dtype is f32 else _nearest(value, dtype)
        return rounded == value or (rounded != rounded and value != value)
    low, high = (0, 1) if dtype.is_bool else integer_range(dtype)
    return value == value and float(value).is_integer() and low <= int(value) <= high


def _nearest(value: float, dtype: DType) -> float:
    import numpy as np

    from tcomp.ir.tensor.conversions import convert

    with np.errstate(all="ignore"):
        return float(convert(np.asarray(float(value)), f64, dtype))


def _integer_constant(value: int, dtype: DType) -> Expr:
    if dtype.is_float:
        return float_constant(float(value), dtype)
    if dtype.is_bool:
        raise DoesNotFit(f"{value} is no truth value")
    low, high = integer_range(dtype)
    if not low <= value <= high:
        raise DoesNotFit(f"{value} is outside {dtype} ({low} to {high})")
    return Const(value, dtype)


def _build(operand: WeakApply, dtype: DType) -> Expr:
    """Constants in f64, floats in the type asked for, integers in i64: then converted.

    A choice changes no value, so that its operands take the type asked for at once.
    """
    if operand.floating and not dtype.is_float:
        raise DoesNotFit("a float is no integer")
    if dtype.is_bool:
        raise DoesNotFit("a number is no truth value")
    inner = i64
    if operand.floating:
        inner = f64 if operand.constant or dtype is f64 else f32
    if operand.op == "where":
        inner = compute_type(dtype)
    args = tuple(a if isinstance(a, Expr) else realise(a, inner) for a in operand.args)
    made = Apply(operand.op, args, inner)
    assert OPS[operand.op].rule is not TypeRule.COMPARISON
    return made if inner is dtype else Apply("cast", (made,), dtype)
