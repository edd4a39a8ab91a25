"""x * 2**n for processors that have no instruction for it."""

from __future__ import annotations

from collections.abc import Callable

from tcomp.codegen.math.lanes import MANTISSA_BITS, Lanes, power_of_two
from tcomp.ir.dtypes import DType
from tcomp.ir.loop.nodes import Const, Expr, Op, rewrite


def magic(dtype: DType) -> float:
    """Added to a small number, it leaves the nearest integer in the low bits of the sum's pattern."""
    return 1.5 * 2.0 ** MANTISSA_BITS[dtype]


def without_ldexp(expr: Expr, keeps: Callable[[DType, int], bool]) -> Expr:
    """The expression with every `ldexp` written out but those for which `keeps(dtype, lanes)`."""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Op) and node.op == "ldexp" and not keeps(node.dtype, node.lanes):
            return _two_steps(*map(Lanes, node.args)).expr
        return None

    return rewrite(expr, rule)


def _two_steps(x: Lanes, n: Lanes) -> Lanes:
    """By two powers of two that are normal numbers for every n that matters: rounds once.

    n's integer sits in the low bits of n + magic; most often n has just been made by subtracting magic.
    """
    mantissa = MANTISSA_BITS[x.dtype]
    shifted = _before_magic(n) or n + magic(x.dtype)
    half = (shifted.bits << (mantissa - 1)) & (-1 << mantissa)
    rest = (shifted.bits << mantissa) - half
    return x * power_of_two(half, x.dtype) * power_of_two(rest, x.dtype)


def _before_magic(n: Lanes) -> Lanes | None:
    match n.expr:
        case Op("sub", (shifted, Const(value, _, _)), dtype) if value == magic(dtype):
            return Lanes(shifted)
    return None
