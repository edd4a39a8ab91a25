"""Which part of each tensor some definitions must make, if of the last one only a block is wanted.

    T[y] = f(X[y]);  Z[y] = g(T[2*y], T[2*y + 1])       Z at y0 .. y0 + 8 needs T at 2*y0 .. 2*y0 + 16

A range has a first position, which may move with the block, and a constant extent. Ranges are boxes that
hold all that is read: bounds inference (J. Ragan-Kelley et al., Halide, PLDI 2013).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Definition, Read, Tensor, postorder, substitute


@dataclass(frozen=True, slots=True)
class Range:
    """The positions first .. first + extent."""

    first: Int
    extent: int

    def joined(self, other: Range) -> Range | None:
        """The smallest range that holds both; None where their distance is not constant."""
        distance = other.first - self.first
        if not distance.is_constant:
            return None
        low = min(0, distance.constant)
        high = max(self.extent, distance.constant + other.extent)
        return Range(self.first + low, high - low)


Ranges: TypeAlias = Mapping[Iter, Range]  # whole where an iterator is missing


def needed(
    definitions: Sequence[Definition], block: Ranges, whole: frozenset[Iter] = frozenset()
) -> tuple[Ranges, ...]:
    """For each definition the ranges of its iterators that a block of the last one needs.

    Definitions come in order. What no later one reads is needed whole, and so are all points of the
    iterators in `whole`: the steps of scans.
    """
    wanted: dict[tuple[Tensor, int], list[Range | None]] = {}
    found: list[Ranges] = []
    for definition in reversed(definitions):
        ranges = dict(block) if not found else _ranges(definition, wanted, whole)
        found.append(ranges)
        for axis, indices in _indices(definition).items():
            wanted.setdefault(axis, []).extend(_reach(index, ranges) for index in indices)
    return tuple(reversed(found))


@lru_cache(1 << 10)
def reads_of(definition: Definition) -> tuple[Read, ...]:
    """The distinct reads of a definition."""
    return tuple(n for n in postorder(definition.body) if isinstance(n, Read))


@lru_cache(1 << 10)
def _indices(definition: Definition) -> Mapping[tuple[Tensor, int], tuple[Int, ...]]:
    """The distinct positions at which a definition reads each axis of each tensor."""
    found: dict[tuple[Tensor, int], dict[Int, None]] = {}
    for node in reads_of(definition):
        for axis, index in enumerate(node.index):
            found.setdefault((node.tensor, axis), {})[index] = None
    return {axis: tuple(indices) for axis, indices in found.items()}


def restricted(definition: Definition, ranges: Ranges) -> Definition:
    """The definition over parts of its iterators' ranges; tensors keep their coordinates."""
    if not ranges:
        return definition
    moved = {it: part_of(it, ranges) for it in definition.iters}
    places = {a: Int.of(b) for a, b in moved.items() if a is not b}
    iters = tuple(moved.values())
    return Definition(definition.tensor, iters, substitute(definition.body, places))


def part_of(it: Iter, ranges: Ranges) -> Iter:
    """The iterator over its range alone."""
    if it not in ranges:
        return it
    part = ranges[it]
    return Iter(it.name, part.first, part.first + part.extent)


def _ranges(
    definition: Definition,
    wanted: Mapping[tuple[Tensor, int], Sequence[Range | None]],
    whole: frozenset[Iter],
) -> Ranges:
    ranges: dict[Iter, Range] = {}
    for axis, it in enumerate(definition.iters):
        if it in whole:
            continue
        part = _joined(wanted.get((definition.tensor, axis), []))
        if part is not None and part.extent < int(it.extent):
            ranges[it] = _inside(part, it)
    return ranges


def _joined(ranges: Sequence[Range | None]) -> Range | None:
    total: Range | None = None
    for each in ranges:
        if each is None:
            return None
        total = each if total is None else total.joined(each)
        if total is None:
            return None
    return total


def _inside(part: Range, it: Iter) -> Range:
    """The range moved inside the iterator's: what falls outside is never read unguarded."""
    first = part.first.max(it.lo).min(it.hi - part.extent)
    return Range(first, part.extent)


def _reach(index: Int, ranges: Ranges) -> Range | None:
    """The positions of an index; None where it is not affine."""
    first, extent = Int.of(index.constant), 1
    for monomial, factor in index.terms:
        it = monomial[0]
        if len(monomial) > 1 or not isinstance(it, Iter):
            return None
        part = ranges.get(it) or Range(it.lo, int(it.extent))
        end = part.first if factor > 0 else part.first + (part.extent - 1)
        first = first + end * factor
        extent += abs(factor) * (part.extent - 1)
    return Range(first, extent)
