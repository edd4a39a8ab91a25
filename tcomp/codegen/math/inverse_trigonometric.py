"""asin, acos, atan, atan2."""

from __future__ import annotations

from tcomp.codegen.math.coefficients import ASIN_F32, ASIN_F64, ATAN_F32, ATAN_F64
from tcomp.codegen.math.double_word import fast_two_sum
from tcomp.codegen.math.lanes import Lanes, flip_sign, horner, where
from tcomp.ir.dtypes import f32, f64

ATAN = {f32: ATAN_F32, f64: ATAN_F64}
ASIN = {f32: ASIN_F32, f64: ASIN_F64}
# pi/2 and pi in two words.
HALF_PI = {
    f32: (1.5707963705062866, -4.371138828673793e-08),
    f64: (1.5707963267948966, 6.123233995736766e-17),
}


def atan_tail(q: Lanes) -> Lanes:
    """atan(q) - q for |q| <= 1."""
    z = q * q
    return (q * z) * horner(z, ATAN[q.dtype])


def atan(x: Lanes) -> Lanes:
    """pi/2 - atan(1/x) where |x| > 1, the rounding error of 1/x taken into account."""
    a = abs(x)
    large = a > 1.0
    q = where(large, 1.0 / a, a)
    tail = atan_tail(q)
    high, low = HALF_PI[x.dtype]
    turned = (high - q) + (low - tail)
    return flip_sign(where(large, turned, q + tail), x)


def atan2(y: Lanes, x: Lanes) -> Lanes:
    a, b = abs(x), abs(y)
    steep = b > a
    least, most = where(steep, a, b), where(steep, b, a)
    ratio = where(least.equals(most), 1.0, least / most)
    q = where(most.equals(0.0), 0.0, ratio)
    tail = atan_tail(q)
    high, low = HALF_PI[x.dtype]
    first = where(steep, (high - q) + (low - tail), q + tail)
    negative = x.signed_bits < 0
    # pi - angle, from the words again so that nothing is rounded twice: 2 (pi/2) - q, or pi/2 + q.
    second = where(steep, (high + q) + (low + tail), (2.0 * high - q) + (2.0 * low - tail))
    angle = flip_sign(where(negative, second, first), y)
    return where(x.is_nan, x, where(y.is_nan, y, angle))


def _half_angle(a: Lanes) -> tuple[Lanes, Lanes]:
    """(s, tail): asin(s) = s + tail for s = sqrt((1 - a) / 2), so that acos(a) = 2 asin(s)."""
    z = (1.0 - a) * 0.5
    s = z.sqrt()
    return s, (s * z) * horner(z, ASIN[a.dtype])


def asin(x: Lanes) -> Lanes:
    a = abs(x)
    z = x * x
    near = (x * z).fma(horner(z, ASIN[x.dtype]), x)
    s, tail = _half_angle(a)
    high, low = HALF_PI[x.dtype]
    rest, error = fast_two_sum(x.constant(high), -2.0 * s)
    far = rest + (error + (low - 2.0 * tail))
    return where(a <= 0.5, near, flip_sign(far, x))


def acos(x: Lanes) -> Lanes:
    a = abs(x)
    z = x * x
    high, low = HALF_PI[x.dtype]
    near = high - (x - (-(x * z)).fma(horner(z, ASIN[x.dtype]), low))
    s, tail = _half_angle(a)
    twice = 2.0 * (s + tail)
    far = where(x < 0.0, 2.0 * high - (2.0 * (s + (tail - low))), twice)
    return where(a <= 0.5, near, far)
