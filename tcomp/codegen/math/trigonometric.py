"""sin, cos, tan for every finite argument.

The argument is reduced to r in [-pi/4, pi/4] and a quadrant. Moderate arguments: x - n pi/2 with pi/2
in three parts (Cody & Waite) and fma. Others: the fractional part of x / (2 pi) from as many digits of
1 / (2 pi) as it takes (Payne & Hanek, SIGNUM 18, 1983), in floating point: each partial product is exact
and loses its whole turns before they are added.

f32 works in f64 throughout, which makes it nearly correctly rounded at little cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tcomp.codegen.math.coefficients import COS_F64, COS_F64_SHORT, SIN_F64, SIN_F64_SHORT
from tcomp.codegen.math.double_word import DoubleWord, fast_two_sum, two_sum
from tcomp.codegen.math.exponential import nearest_integer
from tcomp.codegen.math.lanes import Lanes, horner, literal, rarely, where
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
    first = n.exact_fma(-HALF_PI[0], x)
    product = n * HALF_PI[1]
    error = n.exact_fma(HALF_PI[1], -product)
    high, low = two_sum(first, -product)
    return Angle(shifted.bits, high, low - n.fma(HALF_PI[2], error))


def from_turns(high: Lanes, low: Lanes) -> Angle:
    """An angle from its fraction of a full turn."""
    quarter_high, quarter_low = high * 4.0, low * 4.0
    shifted, n = nearest_integer(quarter_high)
    rest = quarter_high - n
    product = rest * HALF_PI[0]
    error = rest.exact_fma(HALF_PI[0], -product)
    return Angle(shifted.bits, product, error + rest.fma(HALF_PI[1], quarter_low * HALF_PI[0]))


def reduce_far(x: Lanes) -> Angle:
    return from_turns(*fraction_of_turn(x))


def reduce_moderate_short(x: Lanes) -> Angle:
    """`x` is f64 but has the value of an f32, so 2**-60 is accuracy enough and `low` is dropped."""
    shifted, n = nearest_integer(x, TWO_OVER_PI)
    r = n.fma(-HALF_PI[1], n.exact_fma(-HALF_PI[0], x))
    return Angle(shifted.bits, r, x.constant(0.0))


def reduce_far_short(x: Lanes) -> Angle:
    shifted, n = nearest_integer(quarters := 4.0 * fraction_of_turn_f32(x))
    return Angle(shifted.bits, (quarters - n) * HALF_PI[0], x.constant(0.0))


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


def sin(x: Lanes) -> Lanes:
    return where(x.equals(0.0), x, _any_size(x, _sine(0)))


def cos(x: Lanes) -> Lanes:
    return _any_size(x, _sine(1))


def tan(x: Lanes) -> Lanes:
    return where(x.equals(0.0), x, _any_size(x, _tangent))


def tan_compensated(x: Lanes) -> Lanes:
    """f64: as `tan`, sine and cosine in two words each."""
    return where(x.equals(0.0), x, _any_size(x, _tangent_compensated))


def _any_size(x: Lanes, function: Callable[[Angle], Lanes]) -> Lanes:
    """function(x), x reduced by whichever method its size asks for."""
    if x.dtype is f32:
        wide = x.to(f64)
        near, far = reduce_moderate_short(wide), reduce_far_short(wide)
    else:
        near, far = reduce_moderate(x), reduce_far(x)
    return rarely(abs(x) >= MODERATE, function(far).to(x.dtype), function(near).to(x.dtype))


def _sine_and_cosine(angle: Angle) -> tuple[Lanes, Lanes]:
    short = literal(angle.low) == 0.0
    return sine_and_cosine_short(angle.high) if short else sine_and_cosine(angle)


def _sine(quarter_turns: int) -> Callable[[Angle], Lanes]:
    """The sine of an angle and some quarter turns."""

    def apply(angle: Angle) -> Lanes:
        sine, cosine = _sine_and_cosine(angle)
        quadrant = angle.quadrant + quarter_turns
        chosen = where((quadrant & 1).equals(0), sine, cosine)
        return (chosen.bits ^ ((quadrant & 2) << 62)).bits_as(f64)

    return apply


def _tangent(angle: Angle) -> Lanes:
    sine, cosine = _sine_and_cosine(angle)
    even = (angle.quadrant & 1).equals(0)
    return where(even, sine, cosine) / where(even, cosine, -sine)


def _tangent_compensated(angle: Angle) -> Lanes:
    r, z = angle.high, angle.high * angle.high
    half = 0.5 * z
    sine = DoubleWord(*fast_two_sum(r, (z * r).fma(horner(z, SIN_F64), angle.low * (1.0 - half))))
    whole = 1.0 - half
    rest = (z * z).fma(horner(z, COS_F64), -(r * angle.low)) + z.fma(-0.5, half)
    cosine = DoubleWord(*fast_two_sum(whole, ((1.0 - whole) - half) + rest))
    even = (angle.quadrant & 1).equals(0)
    above = DoubleWord(where(even, sine.high, cosine.high), where(even, sine.low, cosine.low))
    below = DoubleWord(where(even, cosine.high, -sine.high), where(even, cosine.low, -sine.low))
    return (above / below).high
