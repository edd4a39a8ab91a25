"""Loops over tiles of an iterator's range, the last tile moved back to end with the range.

A range that the tile does not divide is covered by overlapping tiles: its last points are computed
twice, to the same values, and no tail loop and no mask is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tcomp.ir.integer import ZERO, Int, Iter
from tcomp.ir.loop.nodes import For, LoopVar, Stmt
from tcomp.schedule.naming import Names


@dataclass(frozen=True, slots=True)
class Tiles:
    """The range of `iter` in tiles of `width` points; `width` is at most the extent."""

    iter: Iter
    width: int

    @property
    def extent(self) -> int:
        return int(self.iter.extent)

    @property
    def count(self) -> int:
        return -(-self.extent // self.width)

    def start(self, index: Int) -> Int:
        """First position of tile number `index`."""
        first = self.iter.lo + index * self.width
        return first if self.extent % self.width == 0 else first.min(self.iter.hi - self.width)


@dataclass(frozen=True, slots=True)
class Axis:
    """A loop of a nest: over one iterator, or over several that are merged into one flat range."""

    iters: tuple[Iter, ...]
    points: int = 1
    lanes: int = 1

    @property
    def extent(self) -> int:
        return prod(int(it.extent) for it in self.iters)

    @property
    def counter(self) -> Iter:
        """The flat range; that of a single iterator is its own."""
        if len(self.iters) == 1:
            return self.iters[0]
        name = "_".join(it.name for it in self.iters)
        return Iter(name, ZERO, Int.of(self.extent))

    def position(self, flat: Int) -> dict[Iter, Int]:
        """Positions of the iterators at a position of the counter."""
        if len(self.iters) == 1:
            return {self.iters[0]: flat}
        position: dict[Iter, Int] = {}
        for it in reversed(self.iters):
            position[it] = it.lo + flat % int(it.extent)
            flat = flat // int(it.extent)
        return position


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop to be put around a block: over the tiles of one iterator, or fused over several."""

    var: LoopVar
    lo: int
    hi: int
    step: int = 1
    parallel: bool = False
    grain: int = 1

    def around(self, block: Sequence[Stmt]) -> tuple[Stmt, ...]:
        return (
            For(
                self.var,
                Int.of(self.lo),
                Int.of(self.hi),
                tuple(block),
                self.step,
                self.parallel,
                self.grain,
            ),
        )


def loops_over(
    tiles: Sequence[Tiles], parallel: int, grain: int, names: Names
) -> tuple[list[Loop], list[Int]]:
    """Loops from outermost to innermost, and the start of the current tile along each iterator.

    The `parallel` outermost ones are fused into one parallel loop. A range of one tile has no loop.
    """
    loops: list[Loop] = []
    starts: list[Int] = []
    if parallel:
        starts += _fused(tiles[:parallel], grain, names, loops)
    for each in tiles[parallel:]:
        if each.count == 1:
            starts.append(each.start(Int.of(0)))
            continue
        lo, hi = each.iter.lo.constant, each.iter.hi.constant
        if each.extent % each.width == 0 and each.iter.lo.is_constant:
            var = names.loop(each.iter.name, lo, hi - each.width)
            loops.append(Loop(var, lo, hi, each.width))
            starts.append(Int.of(var))
        else:
            var = names.loop(each.iter.name, 0, each.count - 1)
            loops.append(Loop(var, 0, each.count))
            starts.append(each.start(Int.of(var)))
    return loops, starts


def _fused(tiles: Sequence[Tiles], grain: int, names: Names, loops: list[Loop]) -> list[Int]:
    total = 1
    for each in tiles:
        total *= each.count
    if total == 1:
        return [each.start(Int.of(0)) for each in tiles]
    var = names.loop("_".join(each.iter.name for each in tiles), 0, total - 1)
    loops.append(Loop(var, 0, total, parallel=True, grain=max(1, min(grain, total))))
    starts, inner = [], 1
    for each in reversed(tiles):
        index = (Int.of(var) // inner) % each.count
        starts.append(each.start(index))
        inner *= each.count
    return starts[::-1]


def wrap(loops: Sequence[Loop], block: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The block inside the loops, the first of them outermost."""
    result = tuple(block)
    for loop in reversed(loops):
        result = loop.around(result)
    return result
