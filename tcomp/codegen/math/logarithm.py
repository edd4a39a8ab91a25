"""log, log2, log1p.

x = 2**k * m with m in [sqrt(1/2), sqrt(2)), f = m - 1 exactly. f32: log(1+f) = f + f*f*p(f).
f64: with s = f / (2 + f), log(1+f) = f - (f*f/2 - s (f*f/2 + R(s*s))), as in FreeBSD's libm.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.codegen.math.coefficients import ATANH_F64, LOG2_F32, LOG_F32
from tcomp.codegen.math.exponential import LN2_PARTS
from tcomp.codegen.math.lanes import EXPONENT_BIAS, MANTISSA_BITS, Lanes, horner, where
from tcomp.ir.dtypes import f32, f64

INFINITY = float("inf")
NAN = float("nan")
SQRT_HALF_BITS = {f32: 0x3F3504F3, f64: 0x3FE6A09E667F3BCD}
SMALLEST_NORMAL = {f32: 2.0**-126, f64: 2.0**-1022}
LOG2_E_PARTS = {
    f32: (1.4426950216293335, 1.925963033500011e-08),
    f64: (1.4426950408889634, 2.0355273740931033e-17),
}


@dataclass(frozen=True, slots=True)
class Split:
    """x = 2**k * (1 + f), sqrt(1/2) <= 1 + f < sqrt(2)."""

    k: Lanes
    f: Lanes


def split(x: Lanes) -> Split:
    """Exponent and mantissa of a positive finite x, denormal or not."""
    dtype, mantissa = x.dtype, MANTISSA_BITS[x.dtype]
    denormal = x < SMALLEST_NORMAL[dtype]
    lift = mantissa + 2
    return split_normal(where(denormal, x * 2.0**lift, x), where(denormal, x.constant(-lift), 0.0))


def split_normal(x: Lanes, k_offset: Lanes | None = None) -> Split:
    mantissa = MANTISSA_BITS[x.dtype]
    offset = SQRT_HALF_BITS[x.dtype]
    k_bits = ((x.bits - offset).bits_as(x.signed_bits.dtype) >> mantissa).bits_as(x.bits.dtype)
    m = (x.bits - (k_bits << mantissa)).bits_as(x.dtype)
    k = small_integer(k_bits, x)
    return Split(k if k_offset is None else k + k_offset, m - 1.0)


def small_integer(value: Lanes, like: Lanes) -> Lanes:
    """A float from a small two's complement integer, by the mantissa's low bits (no conversion needed)."""
    dtype = like.dtype
    mantissa = MANTISSA_BITS[dtype]
    magic = ((EXPONENT_BIAS[dtype] + mantissa) << mantissa) + (1 << (mantissa - 1))
    return (value + magic).bits_as(dtype) - 1.5 * 2.0**mantissa


def log1p_tail(f: Lanes) -> Lanes:
    """log(1 + f) - f for sqrt(1/2) <= 1 + f <= sqrt(2)."""
    square = f * f
    if f.dtype is f32:
        return square * horner(f, LOG_F32)
    half_square = 0.5 * square
    s = f / (2.0 + f)
    z = s * s
    return s * (half_square + z * horner(z, ATANH_F64)) - half_square


def special(x: Lanes, result: Lanes) -> Lanes:
    """The limits of a logarithm: -inf at 0, NaN below, inf at inf, NaN at NaN."""
    finite = where(x < INFINITY, result, x)
    return where(x > 0.0, finite, where(x.equals(0.0), x.constant(-INFINITY), x.constant(NAN)))


def combine(parts: Split, correction: Lanes | None = None) -> Lanes:
    """k ln2 + log(1 + f + correction), adding the large terms without loss."""
    high, low = LN2_PARTS[parts.f.dtype]
    k, f = parts.k, parts.f
    large = k * high
    total = large + f
    lost = (large - total) + f
    small = k.fma(low, log1p_tail(f)) + lost
    return total + (small if correction is None else small + correction)


def log(x: Lanes) -> Lanes:
    return special(x, combine(split(x)))


def log2(x: Lanes) -> Lanes:
    parts = split(x)
    high, low = LOG2_E_PARTS[x.dtype]
    k, f = parts.k, parts.f
    if x.dtype is f32:
        small = f.fma(low, f * f * horner(f, LOG2_F32))
        return special(x, k + f.exact_fma(high, small))
    tail = log1p_tail(f)
    total = f + tail
    rest = tail - (total - f)
    product = total * high
    small = total.fma(low, total.exact_fma(high, -product)) + rest * high
    whole = k + product
    return special(x, whole + ((k - whole) + product + small))


def log1p(x: Lanes) -> Lanes:
    """1 + x rounds to u; what is lost, divided by u, is added to the logarithm."""
    u = 1.0 + x
    lost = where(x < 1.0, x - (u - 1.0), 1.0 - (u - x))
    parts = split_normal(u)
    result = special(u, combine(parts, lost / u))
    return where(abs(x) < 2.0 ** (-MANTISSA_BITS[x.dtype] - 1), x, result)


def log1p_positive(x: Lanes) -> Lanes:
    """log1p for 0 <= x <= 1."""
    u = 1.0 + x
    return combine(split_normal(u), (x - (u - 1.0)) / u)
