"""exp, exp2, expm1 and the pieces that other functions build on.

exp(x) = 2**n * exp(r) with n = round(x / ln2), r = x - n ln2 in [-ln2/2, ln2/2], ln2 in two parts
(Cody & Waite), exp(r) = 1 + r + r*r*p(r). n comes from adding 1.5 * 2**mantissa: the sum's low bits are
n, so 2**n needs shifts only. Powers of two are multiplied in, never added to an exponent: NaN survives.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.codegen.math.coefficients import EXP_F32, EXP_F64, EXP_F64_SHORT
from tcomp.codegen.math.lanes import (
    EXPONENT_BIAS,
    MANTISSA_BITS,
    Lanes,
    at_least,
    at_most,
    horner,
    power_of_two,
    where,
)
from tcomp.codegen.math.scaling import magic
from tcomp.ir.dtypes import DType, f32, f64

LOG2_E = 1.4426950408889634
# ln2 = high + low; high has few enough bits that n * high is exact for every exponent n.
LN2_PARTS = {
    f32: (0.693145751953125, 1.428606765330187e-06),
    f64: (0.6931471803691238, 1.9082149292705877e-10),
}
LN2 = 0.6931471805599453
# Beyond these exp is infinite, or zero even as a denormal.
EXP_RANGE = {f32: (-104.0, 91.0), f64: (-746.0, 712.0)}
EXP2_RANGE = {f32: (-151.0, 129.0), f64: (-1076.0, 1025.0)}
MINUS_ONE_BELOW = {f32: -20.0, f64: -40.0}  # where expm1 rounds to -1
LARGEST = {f32: 88.72283935546875, f64: 709.782712893384}  # exp is finite up to here
LN2_TAIL = {f32: -1.904654290582768e-09, f64: 2.3190468138462996e-17}  # ln2 minus its nearest float
POLYNOMIAL = {f32: EXP_F32, f64: EXP_F64}


@dataclass(frozen=True, slots=True)
class Reduced:
    """x = n ln2 + r; `shifted` is a float whose low bits are the integer n; r = high + low, rounded."""

    shifted: Lanes
    r: Lanes
    high: Lanes
    low: Lanes


def nearest_integer(x: Lanes, factor: float = 1.0) -> tuple[Lanes, Lanes]:
    """(shifted, n): n = round(x * factor); `shifted` carries n in its low bits."""
    centre = magic(x.dtype)
    shifted = x + centre if factor == 1.0 else x.fma(factor, centre)
    return shifted, shifted - centre


def reduce(x: Lanes, tail: Lanes | None = None) -> Reduced:
    """Splits x + tail; x must be within the range of exp or NaN, and tail be tiny beside it."""
    high_part, low_part = LN2_PARTS[x.dtype]
    shifted, n = nearest_integer(x, LOG2_E)
    high = n.fma(-high_part, x)
    low = n * -low_part if tail is None else n.fma(-low_part, tail)
    r = n.fma(-low_part, high) if tail is None else high + low
    return Reduced(shifted, r, high, low)


def polynomial(r: Lanes, coefficients: tuple[float, ...] | None = None) -> Lanes:
    """exp(r) - 1 for |r| <= ln2/2; the rounding of r is most of its error."""
    return (r * r).fma(horner(r, coefficients or POLYNOMIAL[r.dtype]), r)


def exp_minus_one(parts: Reduced) -> Lanes:
    """exp(r) - 1 without the rounding error of r, for two operations more than `polynomial`."""
    r = parts.r
    return parts.high + (r * r).fma(horner(r, POLYNOMIAL[r.dtype]), parts.low)


def scale(shifted: Lanes) -> Lanes:
    """2**n, where 2**n is a normal number."""
    return power_of_two(shifted.bits << MANTISSA_BITS[shifted.dtype], shifted.dtype)


def scaled(value: Lanes, shifted: Lanes, extra: int = 0) -> Lanes:
    """value * 2**(n + extra), which may overflow or become denormal; rounded once."""
    n = shifted - magic(shifted.dtype)
    return value.apply("ldexp", n + float(extra) if extra else n)


def within(x: Lanes, limits: dict[DType, tuple[float, float]]) -> Lanes:
    low, high = limits[x.dtype]
    return at_least(at_most(x, high), low)


def exp(x: Lanes) -> Lanes:
    parts = reduce(within(x, EXP_RANGE))
    return scaled(1.0 + polynomial(parts.r), parts.shifted)


def exp_compensated(x: Lanes, extra: int = 0, tail: Lanes | None = None) -> Lanes:
    """exp(x + tail) * 2**extra without overflow in between, for small `extra`; 0.8 ULP."""
    parts = reduce(within(x, EXP_RANGE), tail)
    return scaled(1.0 + exp_minus_one(parts), parts.shifted, extra)


def exp_bounded(x: Lanes) -> Lanes:
    """exp(x) where the result is known to be a normal number (or x is NaN): 13 operations for f32."""
    parts = reduce(x)
    return (1.0 + polynomial(parts.r)) * scale(parts.shifted)


def exp2(x: Lanes) -> Lanes:
    clamped = within(x, EXP2_RANGE)
    shifted, n = nearest_integer(clamped)
    return scaled(1.0 + polynomial((clamped - n) * LN2), shifted)


def exp2_compensated(x: Lanes) -> Lanes:
    """As `exp2`, with the product by ln2 in two words."""
    clamped = within(x, EXP2_RANGE)
    shifted, n = nearest_integer(clamped)
    rest = clamped - n
    r = rest * LN2
    low = rest.fma(LN2_TAIL[x.dtype], rest.exact_fma(LN2, -r))
    return scaled(1.0 + exp_minus_one(Reduced(shifted, r, r, low)), shifted)


def exp2_short(x: Lanes) -> Lanes:
    """2**x in f64 with a relative error near 1e-10, for f32 results; |x| < 1000."""
    shifted, n = nearest_integer(x)
    return (1.0 + polynomial((x - n) * LN2, EXP_F64_SHORT)) * scale(shifted)


def expm1(x: Lanes) -> Lanes:
    """2**n (e - 1) + (2**n - 1), halved throughout so that the largest results do not overflow early."""
    high = EXP_RANGE[x.dtype][1]
    parts = reduce(at_least(at_most(x, high), MINUS_ONE_BELOW[x.dtype]))
    mantissa = MANTISSA_BITS[x.dtype]
    half_one = (EXPONENT_BIAS[x.dtype] - 1) << mantissa
    half = ((parts.shifted.bits << mantissa) + half_one).bits_as(x.dtype)
    result = half.fma(exp_minus_one(parts), half - 0.5) * 2.0
    # x itself where it is tiny: keeps -0 and denormals.
    tiny = abs(x) < 2.0 ** (-mantissa - 2)
    overflow = x > LARGEST[x.dtype]
    return where(tiny, x, where(overflow, float("inf"), result))
