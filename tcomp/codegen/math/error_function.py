"""erf, erfc and gelu.

For x >= 0, exp(x*x) erfc(x) = t * p(t - 1/2) with t = 1 / (1 + 3/8 x), a smooth function on a finite
interval; the square in the exponential is taken in two words, so the tails keep their relative accuracy.
"""

from __future__ import annotations

from tcomp.codegen.math.coefficients import (
    ERF_LARGE_F32,
    ERF_SMALL_F32,
    ERF_SMALL_F64,
    ERFCX_F32,
    ERFCX_F64,
)
from tcomp.codegen.math.double_word import fast_two_sum, two_product
from tcomp.codegen.math.exponential import exp_bounded, exp_minus_one, reduce, scaled
from tcomp.codegen.math.lanes import Lanes, at_least, at_most, flip_sign, horner, where
from tcomp.ir.dtypes import f32, f64

SLOPE = 0.375
SQRT_HALF = 0.7071067811865476
ERFC_VANISHED = {f32: 10.2, f64: 27.3}
NORMAL_VANISHED = {f32: 14.4, f64: 39.0}
ERF_SMALL_BELOW = {f32: 0.875, f64: 1.0}


def erfcx_scaled(a: Lanes, square: Lanes, tail: Lanes, slope: float, factor: Lanes | None) -> Lanes:
    """factor * exp(-(square + tail)) * t * p(t - 1/2), t = 1 / (1 + slope * a), for a >= 0."""
    parts = reduce(-square, -tail)
    divisor = a.fma(slope, 1.0)
    t = 1.0 / divisor
    # The rounding errors of t: p varies so fast that they would cost 3 ULP.
    divisor_error = a.exact_fma(slope, 1.0 - divisor)
    rest = (-t).fma(divisor_error, (-t).exact_fma(divisor, 1.0))
    u = t.fma(rest, t - 0.5)
    grown_tail = exp_minus_one(parts)
    if a.dtype is f32:
        value = t * horner(u, ERFCX_F32)
        value = value if factor is None else value * factor
        return scaled(value.fma(grown_tail + rest, value), parts.shifted)
    # f64 has a budget of 2 ULP: the last sum and the products are kept in two words.
    p, p_error = fast_two_sum(*_last_step(u))
    high, error = two_product(t, p)
    low = (t * rest).fma(p, t.fma(p_error, error))
    if factor is not None:
        high, error = two_product(high, factor)
        low = low.fma(factor, error)
    grown, lost = fast_two_sum(a.constant(1.0), grown_tail)
    return scaled(grown.fma(high, grown.fma(low, lost * high)), parts.shifted)


def _last_step(u: Lanes) -> tuple[Lanes, Lanes]:
    """p(u) as its constant and the rest."""
    return u.constant(ERFCX_F64[0]), u * horner(u, ERFCX_F64[1:])


def erfc_positive(a: Lanes) -> Lanes:
    """erfc for a >= 0."""
    a = at_most(a, ERFC_VANISHED[a.dtype])
    square, tail = two_product(a, a)
    return erfcx_scaled(a, square, tail, SLOPE, None)


def erfc(x: Lanes) -> Lanes:
    a = abs(x)
    tail = erfc_positive(a)
    result = where(x < 0.0, 2.0 - tail, tail)
    if x.dtype is f32:
        return result
    return where(a < 0.5, 1.0 - x.fma(horner(x * x, ERF_SMALL_F64), x), result)


def erf(x: Lanes) -> Lanes:
    a = abs(x)
    small = {f32: ERF_SMALL_F32, f64: ERF_SMALL_F64}[x.dtype]
    near = x.fma(horner(x * x, small), x)
    if x.dtype is f32:
        far = 1.0 - exp_bounded(horner(at_most(a, 4.0), ERF_LARGE_F32))
    else:
        far = 1.0 - erfc_positive(at_most(a, 6.0))
    return where(a < ERF_SMALL_BELOW[x.dtype], near, flip_sign(far, x))


def gelu(x: Lanes) -> Lanes:
    """x * Phi(x) = max(x, 0) - |x| * erfc(|x| / sqrt(2)) / 2"""
    # Zero, not the bound, where nothing is left: making a denormal number costs a hundred cycles.
    a = where(abs(x) >= NORMAL_VANISHED[x.dtype], 0.0, abs(x))
    square, tail = two_product(a, a)
    lost = erfcx_scaled(a, 0.5 * square, 0.5 * tail, SLOPE * SQRT_HALF, 0.5 * a)
    return at_least(x, 0.0) - lost
