"""Smaller programs that still show what the large ones do: every large extent is divided alike.

Every large extent is divided by the same power of two, so that even extents stay even, borders stay
borders, and quotients keep their relations.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
    postorder,
    rewrite,
)

AFFORDABLE = 3e6  # points of all loops of both programs together: about a tenth of a second
LEFT_ALONE = 16  # extents up to this are taps, blocks and residues: they keep their size at first,
FEW = 3  # and only these do where the programs are too large even so
SMALLEST = 3  # no extent shrinks below this


@dataclass(frozen=True, slots=True)
class Shrinking:
    """Extents above `keep` are divided by `scale`."""

    scale: int
    keep: int

    def of(self, extent: int) -> int:
        """The smaller extent."""
        return max(SMALLEST, -(-extent // self.scale)) if extent > self.keep else extent


UNCHANGED = Shrinking(1, LEFT_ALONE)


def shrinkings(*programs: Program, affordable: float = AFFORDABLE) -> list[Shrinking]:
    """What to try: no change, if that is affordable; else, for taps kept and not kept, the smallest scale
    that makes the programs affordable and a larger one."""
    found = [UNCHANGED]
    if _total_points(programs, UNCHANGED) > affordable:
        tried = (_affordable(programs, keep, affordable) for keep in (LEFT_ALONE, FEW))
        found = [
            t for first in tried if first for t in (first, Shrinking(2 * first.scale, first.keep))
        ]
    return found if UNCHANGED in found else [*found, UNCHANGED]


def _affordable(programs: tuple[Program, ...], keep: int, affordable: float) -> Shrinking | None:
    shrinking = Shrinking(2, keep)
    while _total_points(programs, shrinking) > affordable:
        if shrinking.scale > 1 << 20:
            return None
        shrinking = Shrinking(2 * shrinking.scale, keep)
    return shrinking


def _total_points(programs: tuple[Program, ...], shrinking: Shrinking) -> float:
    return sum(points(resized(p, shrinking)) for p in programs)


def stays_inside(program: Program) -> bool:
    """Whether every unguarded read is provably inside its tensor."""
    for definition in program.definitions():
        for node in postorder(definition.body):
            if isinstance(node, Read) and node.otherwise is None:
                for index, (lo, hi) in zip(node.index, node.tensor.axes, strict=True):
                    low, high = index.bounds()
                    if low is None or high is None or low < lo.constant or high >= hi.constant:
                        return False
    return True


def resized(program: Program, shrinking: Shrinking) -> Program:
    """The program with every extent shrunk; offsets and constants stay."""
    if shrinking is UNCHANGED:
        return program

    def axis(lo: Int, hi: Int) -> tuple[Int, Int]:
        return lo, lo + shrinking.of((hi - lo).constant)

    def tensor(old: Tensor) -> Tensor:
        return Tensor(old.name, old.dtype, tuple(axis(*a) for a in old.axes))

    def iterator(old: Iter) -> Iter:
        return Iter(old.name, *axis(old.lo, old.hi))

    def resize(definition: Definition) -> Definition:
        iters = set(definition.iters)
        for node in postorder(definition.body):
            if isinstance(node, Reduce):
                iters |= set(node.iters)
        moved = {it: Int.of(iterator(it)) for it in iters}

        def rule(node: Expr) -> Expr | None:
            if isinstance(node, Read):
                return Read(
                    tensor(node.tensor), tuple(i.sub(moved) for i in node.index), node.otherwise
                )
            if isinstance(node, IndexValue):
                return IndexValue(node.index.sub(moved), node.dtype)
            if isinstance(node, Reduce):
                return Reduce(node.op, tuple(iterator(i) for i in node.iters), node.body)
            return None

        body = rewrite(definition.body, rule)
        return Definition(
            tensor(definition.tensor), tuple(iterator(i) for i in definition.iters), body
        )

    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Scan):
            members = tuple(map(resize, statement.definitions))
            body.append(Scan(iterator(statement.iter), members))
        else:
            body.append(resize(statement))
    inputs, results = (tuple(tensor(t) for t in ts) for ts in (program.inputs, program.results))
    return Program(program.name, (), inputs, results, tuple(body))


def points(program: Program) -> float:
    """Points of all loops, those of reductions included."""
    total = 0.0
    for definition in program.definitions():
        outer = 1.0
        for it in definition.iters:
            outer *= it.extent.constant
        deepest = 1.0
        for node in postorder(definition.body):
            if isinstance(node, Reduce):
                inner = 1.0
                for it in node.iters:
                    inner *= it.extent.constant
                deepest = max(deepest, inner)
        total += outer * deepest
    return total
