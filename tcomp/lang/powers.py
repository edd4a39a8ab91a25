"""`**`: small integer powers are products, square roots are square roots, the rest is `pow`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tcomp.ir.dtypes import DType, compute_type, f32, promote
from tcomp.ir.integer import Int
from tcomp.ir.tensor.nodes import Apply, Const, Expr
from tcomp.lang.weak import DoesNotFit, Operand, WeakApply, WeakFloat, WeakInt, literal, realise

Application: TypeAlias = Callable[[str, tuple[Operand, ...]], Operand]

# Integer products are exact. A float product of n factors by squaring is off by about n/2 ULP, so
# beyond cubes the correctly rounded power is left to `pow`.
_INTEGER_FACTORS = 16
_FLOAT_FACTORS = 3
_EXACT_BITS = 4096


def power(base: Operand, exponent: Operand, apply: Application, expand: bool) -> Operand:
    """`base ** exponent`: an integer to a non-negative integer constant stays an integer.

    `expand` asks for products and roots where they mean the same; `pow(a, b)` stays itself.
    """
    known = _known(exponent)
    if not isinstance(base, Expr) and not isinstance(exponent, Expr):
        return _weak_power(base, exponent, known)
    if isinstance(base, Expr) and known is not None and expand:
        return _by_constant(base, known, apply)
    if isinstance(base, Expr) and _is_size(exponent):
        dtype = compute_type(base.dtype)
        return Apply("pow", (_as(base, dtype), _as(exponent, dtype)), dtype)
    typed = [a.dtype for a in (base, exponent) if isinstance(a, Expr)]
    dtype = promote(*typed)
    if not dtype.is_float:
        dtype = f32
    return Apply("pow", (_as(base, dtype), _as(exponent, dtype)), dtype)


def _by_constant(base: Expr, exponent: int | float, apply: Application) -> Operand:
    dtype = compute_type(base.dtype)
    base = _as(base, dtype)
    whole = exponent == exponent and abs(exponent) < 2**31 and exponent == int(exponent)
    if not dtype.is_float:
        if isinstance(exponent, int) and exponent >= 0:
            return _integer_power(base, exponent)
        base, dtype = _as(base, f32), f32
    if whole and 0 < abs(exponent) <= _FLOAT_FACTORS:
        product = _product(base, abs(int(exponent)))
        return product if exponent > 0 else apply("div", (literal(1.0), product))
    if exponent == 0:
        return Const(1.0, dtype)
    if exponent in (0.5, -0.5):
        return Apply("sqrt" if exponent > 0 else "rsqrt", (base,), dtype)
    return Apply("pow", (base, realise(WeakFloat(float(exponent)), dtype)), dtype)


def _integer_power(base: Expr, exponent: int) -> Expr:
    if exponent == 0:
        return Const(1, base.dtype)
    if exponent <= _INTEGER_FACTORS:
        return _product(base, exponent)
    return Apply(
        "pow", (base, realise(WeakInt(Int.of(exponent), base.dtype), base.dtype)), base.dtype
    )


def _product(base: Expr, count: int) -> Expr:
    """base * ... * base by repeated squaring; equal factors are one node."""
    if count == 1:
        return base
    half = _product(base, count // 2)
    square = Apply("mul", (half, half), base.dtype)
    return Apply("mul", (square, base), base.dtype) if count % 2 else square


def _weak_power(base: Operand, exponent: Operand, known: int | float | None) -> Operand:
    assert not isinstance(base, Expr) and not isinstance(exponent, Expr)
    if isinstance(base, WeakInt) and isinstance(known, int) and known >= 0:
        if base.value.is_constant:
            size = base.value.constant.bit_length() * known
            if size > _EXACT_BITS:
                raise DoesNotFit("this power takes more than 64 bits")
            return literal(base.value.constant**known)
        if known <= 4:
            product = Int.of(1)
            for _ in range(known):
                product = product * base.value
            return WeakInt(product, base.default)
        return WeakApply("pow", (base, exponent), False, base.default)
    if isinstance(base, WeakInt) and _is_size(exponent):
        return WeakApply("pow", (base, exponent), False, base.default)
    value = _known(base)
    if value is not None and known is not None:
        return WeakFloat(_float_power(float(value), float(known)))
    if known in (0.5, -0.5):
        return WeakApply("sqrt" if known > 0 else "rsqrt", (base,), True, f32)
    return WeakApply("pow", (base, exponent), True, f32)


def _float_power(base: float, exponent: float) -> float:
    import numpy as np

    with np.errstate(all="ignore"):
        return float(np.power(np.float64(base), np.float64(exponent)))


def _known(operand: Operand) -> int | float | None:
    match operand:
        case WeakInt(value, _) if value.is_constant:
            return value.constant
        case WeakFloat(value):
            return value
    return None


def _is_size(operand: Operand) -> bool:
    """A non-negative integer constant whose value binding will tell."""
    if not isinstance(operand, WeakInt) or not operand.constant:
        return False
    low, _ = operand.value.bounds()
    return low is not None and low >= 0


def _as(operand: Operand, dtype: DType) -> Expr:
    if not isinstance(operand, Expr):
        return realise(operand, dtype)
    return operand if operand.dtype is dtype else Apply("cast", (operand,), dtype)
