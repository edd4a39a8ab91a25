"""Which axes and iterators have to do with each other, and which integers belong to them.

An iterator that occurs in the index of an axis has the axis's dimension, iterators that are compared have
one. Integers of different dimensions may be replaced independently: 64 channels say nothing about 64 rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from tcomp.ir.integer import FloorDiv, Int, Iter, Min, Mod
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Scan,
    Tensor,
    postorder,
)

Reach: TypeAlias = tuple[
    int, tuple[tuple[int, int, int], ...]
]  # offset; factor, range of each iterator
Place: TypeAlias = tuple[object, ...]  # a tensor's axis, or an iterator of a definition


@dataclass(frozen=True)
class Dimension:
    """The integers of one dimension: those that may depend on sizes, ascending, and those that are extents.

    `steps` are for extents the strides and divisors that they meet. `reached` says for the end of an axis
    which positions come exactly there: it is their largest value and 1.
    """

    numbers: tuple[int, ...]
    extents: frozenset[int]
    steps: dict[int, set[int]]
    reached: dict[int, list[Reach]]

    @property
    def is_plain(self) -> bool:
        """Whether there is one extent that positions only run through."""
        return len(self.extents) == 1 and set(self.numbers) <= {0, 1, *self.extents}


@dataclass
class _Gathered:
    numbers: set[int] = field(default_factory=set)
    extents: set[int] = field(default_factory=set)
    steps: dict[int, set[int]] = field(default_factory=dict)
    reached: dict[int, list[Reach]] = field(default_factory=dict)


class Dimensions:
    """The dimensions of programs with equal inputs and results."""

    def __init__(self, *programs: Program) -> None:
        self._parent: dict[Place, Place] = {}
        self._tensors: dict[tuple[int, Tensor], object] = {}
        for number, program in enumerate(programs):
            for kind, tensors in (("input", program.inputs), ("result", program.results)):
                for position, tensor in enumerate(tensors):
                    self._tensors.setdefault((number, tensor), (kind, position))
            for place, definition in enumerate(program.definitions()):
                self._join_definition(number, place, definition)
            self._join_scans(number, program)
        self._gathered: dict[Place, _Gathered] = {}
        for number, program in enumerate(programs):
            for tensor in program.inputs:
                self._gather_tensor(number, tensor)
            for place, definition in enumerate(program.definitions()):
                self._gather(number, place, definition)

    def of_axis(self, program: int, tensor: Tensor, axis: int) -> Place:
        """The representative of an axis's dimension."""
        return self._find((self._tensors.get((program, tensor), (program, tensor.name)), axis))

    def of_iter(self, program: int, definition: int, it: Iter) -> Place:
        """The representative of an iterator's dimension."""
        return self._find((program, definition, it))

    def of_index(self, program: int, definition: int, index: Int) -> Place | None:
        """The representative of a value made of iterators, which have one; None for a constant."""
        first = next((a for a in index.leaves() if isinstance(a, Iter)), None)
        return None if first is None else self.of_iter(program, definition, first)

    def all(self) -> dict[Place, Dimension]:
        """Every dimension by its representative."""
        return {
            place: Dimension(tuple(sorted(g.numbers)), frozenset(g.extents), g.steps, g.reached)
            for place, g in self._gathered.items()
        }

    # -- joining -----------------------------------------------------------------------------------

    def _find(self, place: Place) -> Place:
        parent = self._parent
        while place in parent:
            parent[place] = parent.get(parent[place], parent[place])
            place = parent[place]
        return place

    def _join(self, places: list[Place]) -> None:
        roots = [self._find(p) for p in places]
        for root in roots[1:]:
            if self._find(root) != self._find(roots[0]):
                self._parent[self._find(root)] = self._find(roots[0])

    def _join_definition(self, number: int, place: int, definition: Definition) -> None:
        for axis, it in enumerate(definition.iters):
            self._join([self.of_axis(number, definition.tensor, axis), (number, place, it)])
        for node in postorder(definition.body):
            if isinstance(node, Read):
                for axis, index in enumerate(node.index):
                    iters = [(number, place, it) for it in _iters(index)]
                    self._join([self.of_axis(number, node.tensor, axis), *iters])
            elif isinstance(node, IndexValue):
                self._join([(number, place, it) for it in _iters(node.index)])
            elif isinstance(node, Apply) and not node.dtype.is_float:
                values = [a for a in node.args if isinstance(a, IndexValue)]
                self._join([(number, place, it) for a in values for it in _iters(a.index)])

    def _join_scans(self, number: int, program: Program) -> None:
        place = 0
        for statement in program.body:
            if isinstance(statement, Scan):
                count = len(statement.definitions)
                self._join([(number, place + n, statement.iter) for n in range(count)])
                place += count
            else:
                place += 1

    # -- gathering ---------------------------------------------------------------------------------

    def _at(self, place: Place) -> _Gathered:
        return self._gathered.setdefault(place, _Gathered())

    def _range(self, place: Place, lo: Int, hi: Int) -> None:
        found = self._at(place)
        found.numbers |= {abs(lo.constant), abs(hi.constant), (hi - lo).constant}
        found.extents.add((hi - lo).constant)

    def _gather_tensor(self, number: int, tensor: Tensor) -> None:
        for axis, (lo, hi) in enumerate(tensor.axes):
            self._range(self.of_axis(number, tensor, axis), lo, hi)

    def _gather(self, number: int, place: int, definition: Definition) -> None:
        self._gather_tensor(number, definition.tensor)
        for node in postorder(definition.body):
            if isinstance(node, Reduce):
                for it in node.iters:
                    self._range(self.of_iter(number, place, it), it.lo, it.hi)
            elif isinstance(node, Read):
                for axis, index in enumerate(node.index):
                    extent = node.tensor.axes[axis][1].constant
                    own = self.of_axis(number, node.tensor, axis)
                    self._index(own, index, {extent})
                    if node.otherwise is None and index.bounds()[1] == extent - 1:
                        self._reached(own, index, extent)
            elif isinstance(node, IndexValue):
                root = self.of_index(number, place, node.index)
                if root is not None:
                    self._index(root, node.index, set())
            for beside, constant in positions(node):
                root = self.of_index(number, place, beside.index)
                if root is not None:
                    self._at(root).numbers.add(abs(int(constant.value)))

    def _index(self, root: Place, index: Int, sides: set[int]) -> None:
        """Strides and divisors of an index count for the extents of its axis and its iterators."""
        found = self._at(root)
        found.numbers |= {abs(c) for c in _constants(index, offsets=True)}
        steps = {abs(c) for c in _constants(index, offsets=False)} - {0, 1}
        for side in sides | {it.hi.constant for it in _iters(index)}:
            found.steps.setdefault(side, set()).update(steps)

    def _reached(self, root: Place, index: Int, end: int) -> None:
        terms: list[tuple[int, int, int]] = []
        for monomial, factor in index.terms:
            (it, *rest) = monomial
            if rest or not isinstance(it, Iter) or it.hi.constant >= end:
                return
            terms.append((factor, it.lo.constant, it.hi.constant))
        if terms:
            found = self._at(root).reached.setdefault(end, [])
            if (index.constant, tuple(terms)) not in found:
                found.append((index.constant, tuple(terms)))


def positions(node: Expr) -> list[tuple[IndexValue, Const]]:
    """Integer constants that are compared or joined with index values, each with one of those."""
    if not isinstance(node, Apply) or node.dtype.is_float:
        return []
    values = [a for a in node.args if isinstance(a, IndexValue)]
    constants = [a for a in node.args if isinstance(a, Const) and a.dtype.is_integer]
    return [(values[0], c) for c in constants] if values else []


def _iters(index: Int) -> list[Iter]:
    return [a for a in index.leaves() if isinstance(a, Iter)]


def _constants(index: Int, *, offsets: bool) -> Iterator[int]:
    """Coefficients and divisors of an index, and its offsets."""
    if offsets:
        yield index.constant
    for monomial, factor in index.terms:
        yield factor
        for atom in monomial:
            if isinstance(atom, FloorDiv | Mod | Min):
                yield from _constants(atom.left, offsets=offsets)
                yield from _constants(atom.right, offsets=offsets)
                if not offsets:
                    yield atom.right.constant
