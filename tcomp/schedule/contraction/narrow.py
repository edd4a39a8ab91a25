"""Factors in the narrowest type that holds all their values: what dot products of words multiply."""

from __future__ import annotations

from typing import TypeAlias

from tcomp.ir.dtypes import DType, i32
from tcomp.ir.tensor.nodes import Apply, Const, Expr, IndexValue, Read, postorder

Range: TypeAlias = tuple[int, int]


def narrowed(factor: Expr, dtype: DType) -> Expr | None:
    """The factor in a narrower element type, with the same values; None where it may have others.

    >>> from tcomp.ir.dtypes import i8
    >>> narrowed(Const(100, i32), i8), narrowed(Const(200, i32), i8)
    (Const(value=100, dtype=i8), None)
    """
    if dtype.is_float:
        match factor:
            case Apply("cast", (inner,), _) if inner.dtype is dtype:
                return inner
        return None
    if factor.dtype is not i32:
        return None
    low, high = value_range(factor)
    least, most = _limits(dtype)
    if low < least or high > most:
        return None
    return _cast(_uncast(factor), dtype)


def value_range(expr: Expr) -> Range:
    """The least and the largest value that an integer expression can have, as far as it shows."""
    ranges: dict[Expr, Range] = {}
    for node in postorder(expr):
        if node.dtype.is_integer or node.dtype.is_bool:
            ranges[node] = _range(node, ranges)
    return ranges[expr]


def _range(node: Expr, ranges: dict[Expr, Range]) -> Range:
    whole = _limits(node.dtype)
    match node:
        case Const(value, _):
            found = (int(value), int(value))
        case IndexValue(index, _):
            low, high = index.bounds()
            found = whole if low is None or high is None else (low, high)
        case Apply("cast", (inner,), _) if inner in ranges:
            found = ranges[inner]
        case Apply("where", (_, then, otherwise), _):
            found = _hull(ranges[then], ranges[otherwise])
        case Apply("add" | "sub" | "mul" | "minimum" | "maximum" as op, (left, right), _):
            found = _combined(op, ranges[left], ranges[right])
        case Apply("bit_and", (_, Const(mask, _)), _) if mask >= 0:
            found = (0, int(mask))
        case Apply("bit_xor", (left, Const(bits, _)), _) if ranges[left][0] >= 0 <= bits:
            found = (0, (1 << max(ranges[left][1], int(bits)).bit_length()) - 1)
        case Read(_, _, otherwise) if otherwise is not None and otherwise in ranges:
            return _hull(whole, ranges[otherwise])
        case _:
            return whole
    return found if whole[0] <= found[0] and found[1] <= whole[1] else whole  # it may wrap


def _combined(op: str, a: Range, b: Range) -> Range:
    match op:
        case "add":
            return a[0] + b[0], a[1] + b[1]
        case "sub":
            return a[0] - b[1], a[1] - b[0]
        case "minimum":
            return min(a[0], b[0]), min(a[1], b[1])
        case "maximum":
            return max(a[0], b[0]), max(a[1], b[1])
    products = [x * y for x in a for y in b]
    return min(products), max(products)


def _hull(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])


def _limits(dtype: DType) -> Range:
    if dtype.is_bool:
        return 0, 1
    if dtype.is_signed:
        return -(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1
    return 0, (1 << dtype.bits) - 1


def _uncast(factor: Expr) -> Expr:
    """Without a widening conversion around it."""
    match factor:
        case Apply("cast", (inner,), dtype) if inner.dtype.is_integer and (
            inner.dtype.bits < dtype.bits
        ):
            return inner
    return factor


def _cast(value: Expr, dtype: DType) -> Expr:
    if value.dtype is dtype:
        return value
    if isinstance(value, Const):
        return Const(value.value, dtype)
    return Apply("cast", (value,), dtype)
