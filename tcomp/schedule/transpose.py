"""Loads that together cross a square of memory, as contiguous loads and an exchange of lanes in registers.

Sixteen loads of stride s from consecutive addresses touch the same elements as sixteen contiguous loads
from addresses s apart. Loading whole vectors and transposing the square in log2(lanes) rounds of two-input
shuffles replaces one access for each element.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Buffer, Expr, Load, Shuffle, Stmt, Store, postorder, rewrite
from tcomp.ir.loop.rewriting import expressions, map_block, statements

LEAST_STRIDE = 5  # nearer strides are taken apart from a few whole vectors by code generation


def transpose_squares(block: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The block with every complete family of strided loads replaced."""
    families: dict[tuple[Buffer, int, int], dict[Int, Load]] = defaultdict(dict)
    stored = {stmt.buffer for stmt in statements(block) if isinstance(stmt, Store)}
    for node in postorder(*expressions(block)):
        if isinstance(node, Load) and _crosses(node) and node.buffer not in stored:
            families[node.buffer, node.lanes, node.stride][node.index] = node
    exchanged: dict[Expr, Expr] = {}
    for loads in families.values():
        for square in _squares(loads):
            exchanged.update(zip(square, _exchange(square), strict=True))
    if not exchanged:
        return tuple(block)
    done: dict[Expr, Expr] = {}
    return map_block(block, lambda e: rewrite(e, exchanged.get, done), lambda index: index)


def _crosses(load: Load) -> bool:
    plain = load.lanes > 1 and load.mask is None and load.word is None
    return plain and abs(load.stride) >= LEAST_STRIDE


def _squares(loads: dict[Int, Load]) -> list[list[Load]]:
    """Families of as many loads as lanes whose addresses follow one another."""
    lanes = next(iter(loads.values())).lanes
    left, found = dict(loads), []
    for index in sorted(loads, key=lambda i: i.constant):
        chain = [left.get(index + k) for k in range(lanes)]
        square = [load for load in chain if load is not None]
        if len(square) == lanes:
            found.append(square)
            for load in square:
                del left[load.index]
    return found


def _exchange(square: Sequence[Load]) -> list[Expr]:
    """The loads' values from contiguous loads: rows of the square become its columns."""
    first, lanes = square[0], len(square)
    rows: list[Expr] = [
        Load(first.buffer, first.index + k * first.stride, lanes) for k in range(lanes)
    ]
    distance = lanes // 2
    while distance:
        near = tuple(u if not u & distance else lanes + u - distance for u in range(lanes))
        far = tuple(u + distance if not u & distance else lanes + u for u in range(lanes))
        for k in range(lanes):
            if not k & distance:
                low, high = rows[k], rows[k + distance]
                rows[k] = Shuffle(low, high, near)
                rows[k + distance] = Shuffle(low, high, far)
        distance //= 2
    return rows
