"""Powers: constant exponents by multiplication, others as 2**(y log2 x) in extended precision.

The special cases are those of C99 annex F.
"""

from __future__ import annotations

from tcomp.codegen.math.coefficients import ATANH_TAIL_F64, LOG2_F64_SHORT
from tcomp.codegen.math.double_word import DoubleWord, fast_two_sum, two_product
from tcomp.codegen.math.exponential import (
    LN2,
    LN2_TAIL,
    Reduced,
    exp2_short,
    exp_minus_one,
    nearest_integer,
    scaled,
)
from tcomp.codegen.math.lanes import Lanes, at_least, at_most, flip_sign, horner, literal, where
from tcomp.codegen.math.logarithm import LOG2_E_PARTS, split, split_normal
from tcomp.ir.dtypes import f32, f64

INFINITY = float("inf")
LONGEST_CHAIN = 4  # x**4 by squaring is within 2 ULP


def power(x: Lanes, y: Lanes, accuracy: str = "standard") -> Lanes:
    exponent = literal(y)
    if x.dtype.is_integer:
        return _integer_power(x, y if exponent is None else int(exponent))
    if exponent is not None:
        short = _short_power(x, float(exponent), 2 if accuracy == "strict" else LONGEST_CHAIN)
        if short is not None:
            return short
    magnitude = _power_f32(abs(x), y) if x.dtype is f32 else _power_f64(abs(x), y)
    return _signed(x, y, magnitude)


def _short_power(x: Lanes, exponent: float, longest: int) -> Lanes | None:
    """Few multiplications instead of a logarithm; None where that would be long or inaccurate."""
    if exponent == 0.5:  # sqrt, but for the signs at -0 and -inf
        return where(x.equals(-INFINITY), x.constant(INFINITY), (x + 0.0).sqrt())
    if exponent == 0:
        return x.constant(1.0)
    if not exponent.is_integer() or not -1 <= exponent <= longest:
        return None
    return 1.0 / x if exponent == -1 else _chain(x, int(exponent))


def _chain(x: Lanes, exponent: int) -> Lanes:
    """x**exponent, exponent >= 1, by squaring."""
    result: Lanes | None = None
    while exponent:
        if exponent & 1:
            result = x if result is None else result * x
        exponent >>= 1
        x = x * x if exponent else x
    assert result is not None
    return result


def _integer_power(x: Lanes, y: Lanes | int) -> Lanes:
    """Wrapping; a negative exponent counts as the unsigned number with its bits."""
    if isinstance(y, int):
        y &= (1 << x.dtype.bits) - 1
        return _chain(x, y) if y else x.constant(1)
    result = x.constant(1)
    for bit in range(x.dtype.bits):
        result = where((y & (1 << bit)).differs(0), result * x, result)
        x = x * x
    return result


def _signed(x: Lanes, y: Lanes, magnitude: Lanes) -> Lanes:
    """Negative bases, and the cases where the result is 1 whatever the other operand."""
    whole = y.floor().equals(y)
    half = 0.5 * y
    odd = whole & half.floor().differs(half)
    signed = where(odd, flip_sign(magnitude, x), magnitude)
    undefined = (x < 0.0) & ~whole & (x > -INFINITY)
    result = where(undefined, x.constant(float("nan")), signed)
    unit = abs(x).equals(1.0) & abs(y).equals(INFINITY)
    return where(y.equals(0.0) | x.equals(1.0) | unit, 1.0, result)


def _limits(a: Lanes, log: Lanes) -> Lanes:
    """log of a, a >= 0, at its limits: -inf at 0, inf at inf, NaN at NaN."""
    return where(a < INFINITY, where(a.equals(0.0), -INFINITY, log), a)


def _power_f32(a: Lanes, y: Lanes) -> Lanes:
    """In f64, where every f32 is a normal number and 2**-40 is accuracy enough."""
    wide = a.to(f64)
    parts = split_normal(wide)
    f = parts.f
    log = parts.k + f.fma(LOG2_E_PARTS[f64][0], f * f * horner(f, LOG2_F64_SHORT))
    exponent = y.to(f64) * _limits(wide, log)
    return exp2_short(at_least(at_most(exponent, 200.0), -200.0)).to(f32)


def _power_f64(a: Lanes, y: Lanes) -> Lanes:
    """With log2 in two words, to about 2**-66."""
    parts = split(a)
    log = _log2_double(parts.k, parts.f)
    high, error = two_product(_limits(a, log.high), y)
    low = log.low.fma(y, error)
    clamped = at_least(at_most(high, 1100.0), -1100.0)
    low = where(abs(high) < 1100.0, low, 0.0)
    shifted, n = nearest_integer(clamped)
    rest = clamped - n
    r, r_error = two_product(rest, LN2)
    tail = low.fma(LN2, rest.fma(LN2_TAIL[f64], r_error))
    grown = 1.0 + exp_minus_one(Reduced(shifted, r + tail, r, tail))
    return scaled(grown, shifted)


def _log2_double(k: Lanes, f: Lanes) -> DoubleWord:
    """k + log2(1 + f): log(1 + f) = 2 s + 2/3 s**3 + s**5 p(s*s), s = f / (2 + f)."""
    s = DoubleWord(f, f.constant(0.0)) / DoubleWord(*fast_two_sum(f.constant(2.0), f))
    z = s * s
    two_thirds = DoubleWord(z.high.constant(2 / 3), z.high.constant(TWO_THIRDS_TAIL))
    tail = two_thirds + z.times(horner(z.high, ATANH_TAIL_F64))
    log = DoubleWord(2.0 * s.high, 2.0 * s.low) + s * z * tail
    high, low = LOG2_E_PARTS[f64]
    scaled_log = log * DoubleWord(f.constant(high), f.constant(low))
    return DoubleWord(k, k.constant(0.0)) + scaled_log


TWO_THIRDS_TAIL = 3.700743415417188e-17  # 2/3 minus its nearest f64
