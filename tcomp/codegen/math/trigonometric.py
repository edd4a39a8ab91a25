"""sin, cos, tan for every finite argument.

The argument is reduced to r in [-pi/4, pi/4] and a quadrant. Moderate arguments: x - n pi/2 with pi/2
in three parts (Cody & Waite) and fma. Others: the fractional part of x / (2 pi) from as many digits of
1 / (2 pi) as it takes (Payne & Hanek, SIGNUM 18, 1983), in floating point: each partial product is exact
and loses its whole turns before they are added.

f32 works in f64 throughout, which makes it nearly correctly rounded at little cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.codegen.math.coefficients import COS_F64, COS_F64_SHORT, SIN_F64, SIN_F64_SHORT
from tcomp.codegen.math.double_word import DoubleWord, fast_two_sum, two_sum
from tcomp.codegen.math.exponential import nearest_integer
from tcomp.codegen.math.lanes import Lanes, horner, rarely, where
from tcomp.codegen.math.turns import fraction_of_turn, fraction_of_turn_f32
from tcomp.ir.dtypes import f32, f64

TWO_OVER_PI = 0.6366197723675814
# pi/2 = the sum, each part the f64 nearest to what the parts before leave.
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
MODERATE = 2.0**30


@dataclass(frozen=True, slots=True)
class Angle:
    """An angle of `quadrant` quarter turns (an integer modulo 4, as u64) and r = high + low radians."""

    quadrant: Lanes
    high: Lanes
    low: Lanes


def reduce_moderate(x: Lanes) -> Angle:
    """n * pi/2 is subtracted; x - n*part1 is exact, the rest is kept in two words."""
    shifted, n = nearest_integer(x, TWO_OVER_PI)
    first = n.fma(-HALF_PI[0], x)
    product = n * HALF_PI[1]
    error = n.fma(HALF_PI[1], -product)
    high, low = two_sum(first, -product)
    return Angle(shifted.bits, high, low - n.fma(HALF_PI[2], error))


def from_turns(high: Lanes, low: Lanes) -> Angle:
    """An angle from its fraction of a full turn."""
    quarter_high, quarter_low = high * 4.0, low * 4.0
    shifted, n = nearest_integer(quarter_high)
    rest = quarter_high - n
    product = rest * HALF_PI[0]
    error = rest.fma(HALF_PI[0], -product)
    return Angle(shifted.bits, product, error + rest.fma(HALF_PI[1], quarter_low * HALF_PI[0]))


def reduce(x: Lanes) -> Angle:
    """`x` is f64."""
    near = reduce_moderate(x)
    far = from_turns(*fraction_of_turn(x))
    return _choose(abs(x) >= MODERATE, far, near)


def reduce_short(x: Lanes) -> Angle:
    """`x` is f64 but has the value of an f32; 30 bits of r are enough, so `low` is dropped."""
    shifted, n = nearest_integer(x, TWO_OVER_PI)
    r = n.fma(-HALF_PI[1], n.fma(-HALF_PI[0], x))
    zero = x.constant(0.0)
    far = from_turns(fraction_of_turn_f32(x), zero)
    return _choose(abs(x) >= MODERATE, far, Angle(shifted.bits, r, zero))


def _choose(large: Lanes, far: Angle, near: Angle) -> Angle:
    return Angle(
        rarely(large, far.quadrant, near.quadrant),
        rarely(large, far.high, near.high),
        rarely(large, far.low, near.low),
    )


def sine_and_cosine(angle: Angle) -> tuple[Lanes, Lanes]:
    """Of r = high + low, |r| <= pi/4."""
    r, low = angle.high, angle.low
    z = r * r
    half = 0.5 * z
    sine = r + (z * r).fma(horner(z, SIN_F64), low * (1.0 - half))
    whole = 1.0 - half
    lost = (1.0 - whole) - half
    cosine = whole + (lost + (z * z).fma(horner(z, COS_F64), -(r * low)))
    return sine, cosine


def sine_and_cosine_short(r: Lanes) -> tuple[Lanes, Lanes]:
    z = r * r
    sine = (z * r).fma(horner(z, SIN_F64_SHORT), r)
    cosine = (z * z).fma(horner(z, COS_F64_SHORT), z.fma(-0.5, 1.0))
    return sine, cosine


def _in_f64(x: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """(quadrant, sin r, cos r) in f64."""
    if x.dtype is f32:
        angle = reduce_short(x.to(f64))
        return (angle.quadrant, *sine_and_cosine_short(angle.high))
    angle = reduce(x)
    return (angle.quadrant, *sine_and_cosine(angle))


def _turned(x: Lanes, quarter_turns: int) -> Lanes:
    """sin(x + quarter_turns * pi/2)"""
    quadrant, sine, cosine = _in_f64(x)
    quadrant = quadrant + quarter_turns
    chosen = where((quadrant & 1).equals(0), sine, cosine)
    return (chosen.bits ^ ((quadrant & 2) << 62)).bits_as(f64).to(x.dtype)


def tan_compensated(x: Lanes) -> Lanes:
    """f64: as `tan`, sine and cosine in two words each."""
    angle = reduce(x)
    r, z = angle.high, angle.high * angle.high
    half = 0.5 * z
    sine = DoubleWord(*fast_two_sum(r, (z * r).fma(horner(z, SIN_F64), angle.low * (1.0 - half))))
    whole = 1.0 - half
    rest = (z * z).fma(horner(z, COS_F64), -(r * angle.low)) + z.fma(-0.5, half)
    cosine = DoubleWord(*fast_two_sum(whole, ((1.0 - whole) - half) + rest))
    even = (angle.quadrant & 1).equals(0)
    above = DoubleWord(where(even, sine.high, cosine.high), where(even, sine.low, cosine.low))
    below = DoubleWord(where(even, cosine.high, -sine.high), where(even, cosine.low, -sine.low))
    return where(x.equals(0.0), x, (above / below).high)


def sin(x: Lanes) -> Lanes:
    result = _turned(x, 0)
    return where(x.equals(0.0), x, result)


def cos(x: Lanes) -> Lanes:
    return _turned(x, 1)


def tan(x: Lanes) -> Lanes:
    quadrant, sine, cosine = _in_f64(x)
    even = (quadrant & 1).equals(0)
    ratio = where(even, sine, cosine) / where(even, cosine, -sine)
    return where(x.equals(0.0), x, ratio.to(x.dtype))
