"""Reductions of NumPy arrays over their last axes, a block at a time.

Sums of products are matrix products, so that large contractions are checked in seconds: the terms are
the same float64 products, added in another order. Integers take this way where every partial sum is
exact in float64, so that wrapping afterwards gives the same bits.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from tcomp.ops import OPS, REDUCTIONS

Array: TypeAlias = Any  # np.ndarray

_EXACT = 1 << 53


def reduce_block(op: str, parts: list[Array], extents: tuple[int, ...]) -> Any:
    """Reduces the last axes, of the given extents, of one array or of the product of two."""
    if len(parts) == 2:
        return contract(parts[0], parts[1], extents)
    return fold(op, parts[0], extents)


def contract(left: Array, right: Array, summed: tuple[int, ...]) -> Array:
    """sum of left * right over the last `len(summed)` axes, whose extents are `summed`.

    Both arrays have the same rank; an axis of extent 1 is one that the operand does not depend on.
    The result lacks the summed axes.
    """
    outer = left.ndim - len(summed)
    left = np.broadcast_to(left, (*left.shape[:outer], *summed))
    right = np.broadcast_to(right, (*right.shape[:outer], *summed))
    pairs = list(zip(left.shape[:outer], right.shape[:outer], strict=True))
    batch = [d for d, (a, b) in enumerate(pairs) if a == b]
    rows = [d for d, (a, b) in enumerate(pairs) if a != b and b == 1]
    columns = [d for d, (a, b) in enumerate(pairs) if a != b and a == 1]
    inner = list(range(outer, left.ndim))
    exact = left.dtype.kind == "f" or _fits(left, right, math.prod(summed))
    work = np.dtype(np.float64) if exact else left.dtype
    made = np.matmul(
        _matrix(left.astype(work, copy=False), batch, rows, inner, columns),
        _matrix(right.astype(work, copy=False), batch, inner, columns, rows),
    )
    order = [*batch, *rows, *columns]
    result = made.reshape([max(pairs[d]) for d in order]).transpose(np.argsort(order))
    if left.dtype.kind == "f" or not exact:
        return result
    return result.astype(np.int64).astype(left.dtype)


def _matrix(value: Array, *groups: list[int]) -> Array:
    """Axes grouped as batch, then rows, then columns; the last group holds axes of extent 1."""
    ordered = value.transpose([d for group in groups for d in group])
    sizes = [math.prod(value.shape[d] for d in group) for group in groups[:-1]]
    return ordered.reshape(sizes)


def _fits(left: Array, right: Array, terms: int) -> bool:
    if not left.size or not right.size:
        return True
    largest = [max(abs(int(v.max())), abs(int(v.min()))) for v in (left, right)]
    return largest[0] * largest[1] * terms < _EXACT


def fold(op: str, value: Array, extents: tuple[int, ...]) -> Array:
    """Reduces one block over its last axes; argmax and argmin give (extremum, position in the block)."""
    axes = tuple(range(value.ndim - len(extents), value.ndim))
    value = np.broadcast_to(value, (*value.shape[: axes[0]], *extents))
    match op:
        case "sum":
            return value.sum(axes, dtype=value.dtype)
        case "prod":
            return value.prod(axes, dtype=value.dtype)
        case "any":
            return value.any(axes)
        case "all":
            return value.all(axes)
        case "max":
            return value.max(axes)
        case "min":
            return value.min(axes)
    # NumPy's argmax and argmin give the first NaN, else the first extremum.
    found = value.argmax(-1) if op == "argmax" else value.argmin(-1)
    best = np.take_along_axis(value, found[..., None], -1)[..., 0]
    return best, found.astype(np.int64)


def combine(op: str, earlier: Array, later: Array) -> Array:
    """Joins the reductions of two consecutive blocks."""
    if op not in ("argmax", "argmin"):
        return OPS[REDUCTIONS[op].combine].numpy(earlier, later)
    (a, at), (b, bt) = earlier, later
    better = b > a if op == "argmax" else b < a
    if a.dtype.kind == "f":
        better = (better | np.isnan(b)) & ~np.isnan(a)
    return np.where(better, b, a), np.where(better, bt, at)
