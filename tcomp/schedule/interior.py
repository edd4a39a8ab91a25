"""Where guarded reads are all inside: tiles there need neither tests nor masks.

A tile asks once whether every guarded read of all of its points and terms is inside. Most tiles of a
stencil or a padded window are, and run code in which the guards are gone; the others run the general code.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.loop.nodes import Expr, LoopVar
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.conditions import conjunction, within
from tcomp.schedule.points import Point


def guarded_reads(body: t.Expr) -> list[t.Read]:
    """Guarded reads whose place does not depend on data."""
    return [
        node
        for node in t.postorder(body)
        if isinstance(node, t.Read) and node.otherwise is not None and not _on_data(node)
    ]


def interior(body: t.Expr, points: Sequence[Point], lane: LoopVar | None) -> Expr | None:
    """A scalar condition under which all guarded reads of `body` at all points are inside.

    None where there is none worth testing: always, never, or not to be told from ranges.
    """
    terms = _term_positions(body)
    moving = (leaf for p in terms.values() for leaf in p.leaves())
    free: frozenset[object] = frozenset((lane, *moving))
    limits: dict[Int, tuple[int, int]] = {}
    for read in guarded_reads(body):
        for index, (lo, hi) in zip(read.index, read.tensor.axes, strict=True):
            for point in points:
                position = index.sub({**point.position, **terms})
                parts = _parts(position, free)
                if parts is None:
                    return None
                fixed, low, high = parts
                least, most = limits.get(fixed, (int(lo) - low, int(hi) - 1 - high))
                limits[fixed] = max(least, int(lo) - low), min(most, int(hi) - 1 - high)
    condition: Expr | None = None
    for fixed, (least, most) in limits.items():
        if fixed.is_constant:
            if not least <= 0 <= most:
                return None
            continue
        condition = conjunction(condition, within(fixed, least, most + 1))
    return condition


def _on_data(read: t.Read) -> bool:
    return any(isinstance(a, Value) for index in read.index for a in index.leaves())


def _term_positions(body: t.Expr) -> dict[Iter, Int]:
    """A stand-in for the position of every reduced iterator."""
    positions: dict[Iter, Int] = {}
    for node in t.postorder(body):
        if isinstance(node, t.Reduce):
            for it in node.iters:
                last = int(it.hi) - 1
                var = LoopVar(f"any {it.name}", int(it.lo), last)
                positions[it] = Int.of(var) if last > int(it.lo) else it.lo
    return positions


def _parts(position: Int, free: frozenset[object]) -> tuple[Int, int, int] | None:
    """position = fixed + something in low .. high, the latter made of the free variables."""
    moving, fixed = Int.of(position.constant), Int.of(0)
    for monomial, factor in position.terms:
        term = Int(((monomial, factor),), 0)
        if not free & term.leaves():
            fixed = fixed + term
        elif len(monomial) == 1 and monomial[0] in free:
            moving = moving + term
        else:
            return None
    low, high = moving.bounds()
    return None if low is None or high is None else (fixed, low, high)
