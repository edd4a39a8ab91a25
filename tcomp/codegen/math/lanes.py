"""A small language for writing numerical algorithms as loop expressions.

`Lanes` wraps an expression; operators build primitive operations lane by lane, and Python numbers become
constants of the other operand's type. Nothing is computed here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tcomp.ir.dtypes import DType, boolean, f32, f64, i32, i64, u32, u64
from tcomp.ir.loop.nodes import Broadcast, Const, Expr, Op

Operand: TypeAlias = "Lanes | float | int | bool"

_UNSIGNED = {f32: u32, f64: u64, i32: u32, i64: u64, u32: u32, u64: u64}
_SIGNED = {f32: i32, f64: i64, i32: i32, i64: i64, u32: i32, u64: i64}
MANTISSA_BITS = {f32: 23, f64: 52}
EXPONENT_BIAS = {f32: 127, f64: 1023}


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """A value of some lanes under construction."""

    expr: Expr

    @property
    def dtype(self) -> DType:
        return self.expr.dtype

    @property
    def lanes(self) -> int:
        return self.expr.lanes

    # -- making constants and operations

    def constant(self, value: float | int | bool, dtype: DType | None = None) -> Lanes:
        """`value` in every lane, rounded or wrapped to `dtype` (default: this value's type)."""
        return Lanes(
            Const(representable(value, dtype or self.dtype), dtype or self.dtype, self.lanes)
        )

    def operand(self, other: Operand) -> Lanes:
        return other if isinstance(other, Lanes) else self.constant(other)

    def apply(self, op: str, *others: Operand, dtype: DType | None = None) -> Lanes:
        """op(self, *others); the result has this value's type unless `dtype` is given."""
        args = (self.expr, *(self.operand(o).expr for o in others))
        return Lanes(Op(op, args, dtype or self.dtype))

    # -- arithmetic

    def __add__(self, other: Operand) -> Lanes:
        return self.apply("add", other)

    def __radd__(self, other: Operand) -> Lanes:
        return self.operand(other).apply("add", self)

    def __sub__(self, other: Operand) -> Lanes:
        return self.apply("sub", other)

    def __rsub__(self, other: Operand) -> Lanes:
        return self.operand(other).apply("sub", self)

    def __mul__(self, other: Operand) -> Lanes:
        return self.apply("mul", other)

    def __rmul__(self, other: Operand) -> Lanes:
        return self.operand(other).apply("mul", self)

    def __truediv__(self, other: Operand) -> Lanes:
        return self.apply("div", other)

    def __rtruediv__(self, other: Operand) -> Lanes:
        return self.operand(other).apply("div", self)

    def __neg__(self) -> Lanes:
        return self.apply("neg")

    def __abs__(self) -> Lanes:
        return self.apply("abs")

    def fma(self, factor: Operand, term: Operand) -> Lanes:
        """self * factor + term."""
        return self.apply("fma", factor, term)

    def exact_fma(self, factor: Operand, term: Operand) -> Lanes:
        """`fma` where the algorithm relies on the single rounding. Processors without the instruction
        may round `fma` twice; this one they compute the long way (`fused.py`)."""
        return self.apply("exact_fma", factor, term)

    # -- comparisons: false where an operand is NaN, but for `differs`

    def __lt__(self, other: Operand) -> Lanes:
        return self.apply("lt", other, dtype=boolean)

    def __le__(self, other: Operand) -> Lanes:
        return self.apply("le", other, dtype=boolean)

    def __gt__(self, other: Operand) -> Lanes:
        return self.apply("gt", other, dtype=boolean)

    def __ge__(self, other: Operand) -> Lanes:
        return self.apply("ge", other, dtype=boolean)

    def equals(self, other: Operand) -> Lanes:
        return self.apply("eq", other, dtype=boolean)

    def differs(self, other: Operand) -> Lanes:
        return self.apply("ne", other, dtype=boolean)

    @property
    def is_nan(self) -> Lanes:
        return self.differs(self)

    # -- bits; on bools, logic

    def __and__(self, other: Operand) -> Lanes:
        return self.apply("and" if self.dtype.is_bool else "bit_and", other)

    def __or__(self, other: Operand) -> Lanes:
        return self.apply("or" if self.dtype.is_bool else "bit_or", other)

    def __xor__(self, other: Operand) -> Lanes:
        if self.dtype.is_bool:
            other = self.operand(other)
            return self.apply("where", ~other, other)
        return self.apply("bit_xor", other)

    def __invert__(self) -> Lanes:
        return self.apply("not") if self.dtype.is_bool else self ^ self.constant(-1)

    def __lshift__(self, count: Operand) -> Lanes:
        return self.apply("shift_left", count)

    def __rshift__(self, count: Operand) -> Lanes:
        """Arithmetic where the type is signed."""
        return self.apply("shift_right", count)

    # -- types

    def to(self, dtype: DType) -> Lanes:
        """The value converted by a primitive `cast`."""
        return self if dtype is self.dtype else self.apply("cast", dtype=dtype)

    def bits_as(self, dtype: DType) -> Lanes:
        return self if dtype is self.dtype else self.apply("bitcast", dtype=dtype)

    @property
    def bits(self) -> Lanes:
        """The bit pattern as an unsigned integer of the same width."""
        return self.bits_as(_UNSIGNED[self.dtype])

    @property
    def signed_bits(self) -> Lanes:
        """The bit pattern as a signed integer of the same width."""
        return self.bits_as(_SIGNED[self.dtype])

    # -- rounding to integers

    def floor(self) -> Lanes:
        return self.apply("floor")

    def trunc(self) -> Lanes:
        return self.apply("trunc")

    def round(self) -> Lanes:
        """To the nearest integer, half to even."""
        return self.apply("round")

    def sqrt(self) -> Lanes:
        return self.apply("sqrt")


def where(condition: Lanes, chosen: Operand, otherwise: Operand) -> Lanes:
    """`chosen` where the condition holds, else `otherwise`; one of the two must be `Lanes`."""
    if not isinstance(chosen, Lanes):
        assert isinstance(otherwise, Lanes)
        chosen = otherwise.constant(chosen)
    return condition.apply("where", chosen, chosen.operand(otherwise), dtype=chosen.dtype)


def rarely(condition: Lanes, chosen: Lanes, otherwise: Lanes) -> Lanes:
    """`where`, for a condition that hardly ever holds: `chosen` is computed only if it does in a lane."""
    return condition.apply("rarely", chosen, otherwise, dtype=chosen.dtype)


def at_most(x: Lanes, bound: Operand) -> Lanes:
    """min(x, bound) with NaN x kept: one instruction where `minps` returns its second operand."""
    bound = x.operand(bound)
    return where(x > bound, bound, x)


def at_least(x: Lanes, bound: Operand) -> Lanes:
    """max(x, bound) with NaN x kept."""
    bound = x.operand(bound)
    return where(x < bound, bound, x)


def horner(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """The polynomial with these coefficients, lowest power first."""
    value = x.constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value.fma(x, c)
    return value


def sign_bit(x: Lanes) -> Lanes:
    """The sign bit of a float, in place, as an unsigned integer."""
    return x.bits & (1 << (x.dtype.bits - 1))


def with_sign_of(magnitude: Lanes, sign: Lanes) -> Lanes:
    """`magnitude` (not negative) with the sign of the float `sign`."""
    return (magnitude.bits | sign_bit(sign)).bits_as(magnitude.dtype)


def flip_sign(x: Lanes, sign: Lanes) -> Lanes:
    """x, negated where the float `sign` has its sign bit set."""
    return (x.bits ^ sign_bit(sign)).bits_as(x.dtype)


def power_of_two(exponent_bits: Lanes, dtype: DType) -> Lanes:
    """2**n as a float, given n << mantissa bits as an unsigned integer; n must be a normal exponent."""
    one = EXPONENT_BIAS[dtype] << MANTISSA_BITS[dtype]
    return (exponent_bits + one).bits_as(dtype)


def literal(x: Lanes) -> float | int | bool | None:
    """The value of a constant, the same in all lanes; None for anything else."""
    expr = x.expr.value if isinstance(x.expr, Broadcast) else x.expr
    return expr.value if isinstance(expr, Const) else None


def representable(value: float | int | bool, dtype: DType) -> float | int | bool:
    """`value` rounded to f32 or wrapped to an integer type."""
    if dtype is f32:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    if dtype is f64:
        return float(value)
    if dtype.is_bool:
        return bool(value)
    wrapped = int(value) & ((1 << dtype.bits) - 1)
    return (
        wrapped - (1 << dtype.bits) if dtype.is_signed and wrapped >> (dtype.bits - 1) else wrapped
    )
