"""Small loop expressions that simplify as they are built: conditions, and choices by them."""

from __future__ import annotations

from tcomp.ir.dtypes import DType, boolean, i32, i64, u32, u64
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Const, Expr, IntValue, Op, truth

_I32_LAST = (1 << 31) - 1


def conjunction(left: Expr | None, right: Expr | None) -> Expr | None:
    """`left and right`, where None is true."""
    if left is None or right is None:
        return right if left is None else left
    if left is right:
        return left
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Const):
            return other if one.value else one
    return Op("and", (left, right), boolean)


def is_false(condition: Expr | None) -> bool:
    """Whether a condition is known to fail."""
    return isinstance(condition, Const) and not condition.value


def choose(condition: Expr | None, then: Expr, otherwise: Expr) -> Expr:
    """`where(condition, then, otherwise)`, decided where the condition is known."""
    if condition is None or then is otherwise:
        return then
    if isinstance(condition, Const):
        return then if condition.value else otherwise
    return Op("where", (condition, then, otherwise), then.dtype)


def within(index: Int, lo: int, hi: int) -> Expr | None:
    """lo <= index < hi as a scalar bool; only what the index's bounds leave open is computed.

    None is true. Two-sided tests are one unsigned comparison.
    """
    low, high = index.bounds()
    if (high is not None and high < lo) or (low is not None and low >= hi) or lo >= hi:
        return truth(False)
    below = low is None or low < lo
    above = high is None or high >= hi
    if not below and not above:
        return None
    signed = _narrowest(index - lo, hi - lo)
    if below and above:
        unsigned = u32 if signed is i32 else u64
        return _compare("lt", IntValue(index - lo, unsigned), hi - lo, unsigned)
    if below:
        return _compare("ge", IntValue(index - lo, signed), 0, signed)
    return _compare("lt", IntValue(index - lo, signed), hi - lo, signed)


def compare_integers(op: str, difference: Int) -> bool | None:
    """The truth of `difference op 0` where bounds decide it; `op` is one of lt le gt ge eq ne."""
    low, high = difference.bounds()
    match op:
        case "lt" | "ge":
            holds = _decide(high is not None and high < 0, low is not None and low >= 0)
            return holds if op == "lt" or holds is None else not holds
        case "gt" | "le":
            holds = _decide(low is not None and low > 0, high is not None and high <= 0)
            return holds if op == "gt" or holds is None else not holds
        case "eq" | "ne":
            equal = difference.is_constant and difference.constant == 0
            apart = (low is not None and low > 0) or (high is not None and high < 0)
            holds = _decide(equal, apart)
            return holds if op == "eq" or holds is None else not holds
    raise KeyError(op)


def _decide(yes: bool, no: bool) -> bool | None:
    return True if yes else False if no else None


def _narrowest(index: Int, extent: int) -> DType:
    """i32 where the index cannot leave it (vectors hold twice as many), else i64."""
    low, high = index.bounds()
    if low is None or high is None or low < -_I32_LAST or high > _I32_LAST or extent > _I32_LAST:
        return i64
    return i32


def _compare(op: str, value: Expr, limit: int, dtype: DType) -> Expr:
    return Op(op, (value, Const(limit, dtype)), boolean)
