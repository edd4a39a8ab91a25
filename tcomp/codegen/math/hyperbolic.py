"""sinh, cosh, tanh, sigmoid, silu, softplus: all from one exponential, without cancellation."""

from __future__ import annotations

from tcomp.codegen.math.coefficients import SINH_F32, SINH_F64
from tcomp.codegen.math.double_word import fast_two_sum, two_product, two_sum
from tcomp.codegen.math.exponential import (
    exp,
    exp_compensated,
    exp_minus_one,
    polynomial,
    reduce,
    scale,
    scaled,
)
from tcomp.codegen.math.lanes import (
    Lanes,
    at_least,
    at_most,
    flip_sign,
    horner,
    where,
)
from tcomp.codegen.math.logarithm import log1p_positive
from tcomp.ir.dtypes import f32, f64

# tanh rounds to 1 beyond.
TANH_LIMIT = {f32: 9.2, f64: 19.5}
SINH = {f32: SINH_F32, f64: SINH_F64}
# x exp(-x) is 0 beyond.
VANISHED = {f32: 110.0, f64: 760.0}
GELU_TANH_VANISHED = {f32: 10.8, f64: 21.8}
# 2 sqrt(2/pi) and 0.044715 times it, each in two words.
GELU_TANH = {
    f32: (
        (1.5957691669464111, -4.534068042105272e-08),
        (0.07135481387376785, 2.3988323959931355e-09),
    ),
    f64: (
        (1.5957691216057308, -9.96930880911092e-17),
        (0.07135481627260025, -6.175149918155315e-19),
    ),
}


def tanh(x: Lanes) -> Lanes:
    """(e - 1) / (e + 1), e = exp(2|x|) = 2**n (1 + p): the numerator is 2**n p + (2**n - 1)."""
    parts = reduce(2.0 * at_most(abs(x), TANH_LIMIT[x.dtype]))
    power = scale(parts.shifted)
    p = polynomial(parts.r)
    return flip_sign(power.fma(p, power - 1.0) / power.fma(p, power + 1.0), x)


def tanh_compensated(x: Lanes) -> Lanes:
    """As `tanh`, with what numerator, denominator and quotient lose by rounding."""
    parts = reduce(2.0 * at_most(abs(x), TANH_LIMIT[x.dtype]))
    power = scale(parts.shifted)
    p = exp_minus_one(parts)
    above, below = power.fma(p, power - 1.0), power.fma(p, power + 1.0)
    above_error = power.exact_fma(p, (power - 1.0) - above)
    below_error = power.exact_fma(p, (power + 1.0) - below)
    quotient = above / below
    rest = (-quotient).fma(below_error, (-quotient).exact_fma(below, above) + above_error)
    return flip_sign(quotient + rest / below, x)


def sinh(x: Lanes) -> Lanes:
    magnitude = abs(x)
    z = x * x
    near = (x * z).fma(horner(z, SINH[x.dtype]), x)
    half = exp_compensated(magnitude, -1)
    return where(magnitude < 1.0, near, flip_sign(half - 0.25 / half, x))


def cosh(x: Lanes) -> Lanes:
    half = exp_compensated(abs(x), -1)
    return half + 0.25 / half


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x)), or exp(x) / (1 + exp(x)) below 0, where the first would overflow."""
    e = exp(-abs(x))
    return where(x < 0.0, e, 1.0) / (1.0 + e)


def sigmoid_compensated(x: Lanes) -> Lanes:
    """As `sigmoid`, with what denominator and quotient lose; 1 / (1 + e) is the quotient or 1 less it."""
    e = exp_compensated(-abs(x))
    negative = x < 0.0
    numerator = where(negative, e, 1.0)
    denominator, lost = fast_two_sum(x.constant(1.0), e)
    quotient = numerator / denominator
    rest = (-quotient).fma(lost, (-quotient).exact_fma(denominator, numerator))
    return rest.fma(where(negative, 1.0 - quotient, quotient), quotient)


def gate(x: Lanes, steepness: Lanes, tail: Lanes | None) -> Lanes:
    """x / (1 + exp(-z)) where z has the sign of x and |z| = `steepness` + `tail`.

    Below 0 that is x exp(-|z|) / (1 + exp(-|z|)), |x| entering before exp's power of two so that the
    product cannot underflow early. `steepness` is at most `VANISHED`.
    """
    parts = reduce(-steepness, None if tail is None else -tail)
    growth = exp_minus_one(parts)
    magnitude = at_most(abs(x), VANISHED[x.dtype])
    below = -scaled(magnitude.fma(growth, magnitude), parts.shifted)
    e = scaled(1.0 + growth, parts.shifted)
    return where(x < 0.0, below, x) / (1.0 + e)


def silu(x: Lanes) -> Lanes:
    """x sigmoid(x)"""
    return gate(x, at_most(abs(x), VANISHED[x.dtype]), None)


def gelu_tanh(x: Lanes) -> Lanes:
    """x (1 + tanh(z/2)) / 2 = x sigmoid(z), z = 2 sqrt(2/pi) (x + 0.044715 x**3) in two words."""
    a = at_most(abs(x), GELU_TANH_VANISHED[x.dtype])
    (linear, linear_tail), (cubic, cubic_tail) = GELU_TANH[x.dtype]
    square, error = two_product(a, a)
    product, product_error = two_product(square, cubic)
    slope, slope_error = two_sum(product, x.constant(linear))
    slope_error = slope_error + (product_error + square.fma(cubic_tail, linear_tail))
    z, z_error = two_product(a, slope)
    return gate(x, z, a.fma(error.fma(cubic, slope_error), z_error))


def softplus(x: Lanes) -> Lanes:
    """log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))"""
    return at_least(x, 0.0) + log1p_positive(exp(-abs(x)))
