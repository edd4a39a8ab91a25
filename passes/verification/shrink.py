"""Smaller programs that show what large ones do: numbers are replaced alike in all of them.

A map that explained too much (`number_map`) makes programs that differ or read outside their tensors;
then the next one is tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from tcomp.ir.integer import Atom, FloorDiv, Int, Iter, Min, Mod, Value
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
    Statement,
    Tensor,
    postorder,
)
from tcomp.passes.lift import postorder_outside_reductions
from tcomp.passes.verification.dimensions import Dimension, Dimensions, Place, positions
from tcomp.passes.verification.number_map import smaller_numbers

KEEPS = (16, 8, 4)  # numbers up to this are taps, blocks and residues
PLAIN = 2  # what is kept of batches and channels, where more is too much


@dataclass(frozen=True)
class Shrinking:
    """Which number of a dimension stands for which; numbers that are not listed stay.

    `counting` takes floats that equal an extent for counts of its positions.
    """

    dimensions: Dimensions
    numbers: Mapping[Place, Mapping[int, int]]
    counting: bool

    def of(self, place: Place | None, number: int) -> int:
        """The number that stands for another; negative ones follow the positive."""
        small = None if place is None else self.numbers[place].get(abs(number))
        return number if small is None else small if number > 0 else -small

    def counts(self) -> dict[float, float]:
        """Floats that count positions, where all dimensions with that extent agree."""
        known: dict[int, set[int]] = {}
        for numbers in self.numbers.values():
            for number, small in numbers.items():
                known.setdefault(number, set()).add(small)
        agreed = {float(n): float(min(s)) for n, s in known.items() if len(s) == 1}
        return agreed if self.counting else {}


def shrunk(
    first: Program,
    second: Program,
    *,
    affordable: float,
    keeps: Iterable[int] = KEEPS,
    plains: Sequence[int | None] = (None, PLAIN),
) -> Iterator[tuple[tuple[Program, Program], bool]]:
    """Two programs as they are, if that is affordable; else smaller ones, the most telling first.

    With each whether numbers were replaced. Of what has nothing but an extent as many of `plains` are kept, where
    the first are more than affordable; None is as many as of other numbers.
    """
    programs = first, second
    if sum(map(points, programs)) <= affordable:
        yield programs, False
        return
    dimensions, facts = _dimensions(*programs)
    extents = {float(n) for d in facts.values() for n in d.extents}
    counts = extents & (_floats(first) ^ _floats(second))
    tried: list[dict[Place, dict[int, int]]] = []
    for keep in keeps:
        found = False
        for plain in plains:
            if found:
                break  # what else is kept tells more
            for sums, trusting in product((True, False), repeat=2):
                numbers = _numbers(facts, keep, plain or keep, sums, trusting)
                if len(numbers) < len(facts) or numbers in tried:
                    continue
                tried.append(numbers)
                for counting in (False, True) if counts else (False,):
                    shrinking = Shrinking(dimensions, numbers, counting)
                    small = _resized(programs, shrinking, affordable)
                    if small is not None:
                        found = True
                        yield small, True


@lru_cache(4)
def _dimensions(first: Program, second: Program) -> tuple[Dimensions, Mapping[Place, Dimension]]:
    """The dimensions of two programs, which are verified and then measured."""
    dimensions = Dimensions(first, second)
    return dimensions, dimensions.all()


def _numbers(
    facts: Mapping[Place, Dimension], keep: int, plain: int, sums: bool, trusting: bool
) -> dict[Place, dict[int, int]]:
    """What stands for the numbers of each dimension, where there is something; `plain` is for `keep` where a
    dimension is one extent and nothing else."""
    made = {
        place: smaller_numbers(d, plain if d.is_plain else keep, sums=sums, trusting=trusting)
        for place, d in facts.items()
    }
    return {place: numbers for place, numbers in made.items() if numbers is not None}


def points(program: Program) -> float:
    """Points of all loops, those of reductions included."""
    return sum(
        _points(definition, lambda it: it.extent.constant) for definition in program.definitions()
    )


def _points(definition: Definition, extent: Callable[[Iter], float]) -> float:
    return math.prod(map(extent, definition.iters)) * _deepest(definition.body, extent)


def _resized(
    programs: tuple[Program, Program], shrinking: Shrinking, affordable: float
) -> tuple[Program, Program] | None:
    if sum(_Resizing(n, shrinking).points(p) for n, p in enumerate(programs)) > affordable:
        return None
    first, second = (_Resizing(n, shrinking).program(p) for n, p in enumerate(programs))
    return None if first is None or second is None else (first, second)


class _Resizing:
    """Replaces the numbers of a program, definition by definition."""

    def __init__(self, number: int, shrinking: Shrinking) -> None:
        self.program_number, self.definition_number = number, -1
        self.dimensions, self.number = shrinking.dimensions, shrinking.of
        self.values = shrinking.counts()
        self.done: dict[Expr, Expr] = {}
        self.iters: dict[Iter, Iter] = {}  # of the definition
        self.tensors: dict[Tensor, Tensor] = {}
        self.turned = False  # whether a range has become empty, or a border has come or gone

    def points(self, old: Program) -> float:
        """Points of all loops over the smaller numbers."""
        total = 0.0
        for number, definition in enumerate(old.definitions()):
            self.definition_number, self.iters = number, {}
            total += _points(definition, lambda it: self.iterator(it).extent.constant)
        self.definition_number, self.iters = -1, {}
        return total

    def program(self, old: Program) -> Program | None:
        """The program over smaller numbers; None where a range or a border would be lost."""
        body: list[Statement] = []
        for statement in old.body:
            if isinstance(statement, Scan):
                members = tuple(map(self.definition, statement.definitions))
                body.append(Scan(self.iterator(statement.iter), members))
            else:
                body.append(self.definition(statement))
        inputs, results = (tuple(map(self.tensor, ts)) for ts in (old.inputs, old.results))
        return None if self.turned else Program(old.name, (), inputs, results, tuple(body))

    def definition(self, old: Definition) -> Definition:
        self.definition_number += 1
        self.done, self.iters = {}, {}
        iters = tuple(map(self.iterator, old.iters))
        for node in postorder(old.body):
            self.done[node] = self.node(node)
        return Definition(self.tensor(old.tensor), iters, self.done[old.body])

    def tensor(self, old: Tensor) -> Tensor:
        if old not in self.tensors:
            axes = (
                self.axis(self.dimensions.of_axis(self.program_number, old, n), *axis)
                for n, axis in enumerate(old.axes)
            )
            self.tensors[old] = Tensor(old.name, old.dtype, tuple(axes))
        return self.tensors[old]

    def iterator(self, old: Iter) -> Iter:
        if old not in self.iters:
            place = self.dimensions.of_iter(self.program_number, self.definition_number, old)
            self.iters[old] = Iter(old.name, *self.axis(place, old.lo, old.hi))
        return self.iters[old]

    def axis(self, place: Place, lo: Int, hi: Int) -> tuple[Int, Int]:
        low, high = self.number(place, lo.constant), self.number(place, hi.constant)
        self.turned |= (high <= low) != (hi.constant <= lo.constant)
        return Int.of(low), Int.of(high)

    def index(self, place: Place | None, old: Int) -> Int:
        made = Int.of(self.number(place, old.constant))
        for monomial, factor in old.terms:
            term = Int.of(self.number(place, factor))
            for atom in monomial:
                term = term * self.atom(place, atom)
            made = made + term
        return made

    def atom(self, place: Place | None, old: Atom) -> Int:
        match old:
            case Iter():
                return Int.of(self.iterator(old))
            case FloorDiv(left, right):
                return self.index(place, left) // self.index(place, right)
            case Mod(left, right):
                return self.index(place, left) % self.index(place, right)
            case Min(left, right):
                return self.index(place, left).min(self.index(place, right))
            case Value(expr):
                return Int.of(Value(self.done[expr]))
        return Int.of(old)

    def node(self, node: Expr) -> Expr:
        match node:
            case Read(tensor, index, otherwise):
                axes = (
                    self.dimensions.of_axis(self.program_number, tensor, n)
                    for n in range(tensor.rank)
                )
                moved = tuple(self.index(p, i) for p, i in zip(axes, index, strict=True))
                small = self.tensor(tensor)
                if otherwise is None:
                    return Read(small, moved)
                self.turned |= _borders(tensor, index) != _borders(small, moved)
                return Read(small, moved, self.done[otherwise])
            case IndexValue(index, dtype):
                return IndexValue(self.index(self.place(index), index), dtype)
            case Reduce(op, iters, body):
                return Reduce(op, tuple(map(self.iterator, iters)), self.done[body])
            case Const(value, dtype) if dtype.is_float and value in self.values:
                return Const(self.values[value], dtype)
            case Apply(op, args, dtype):
                own: dict[Expr, Expr] = {}
                for beside, constant in positions(node):
                    number = self.number(self.place(beside.index), int(constant.value))
                    own[constant] = Const(number, constant.dtype)
                made = Apply(op, tuple(own.get(a, self.done[a]) for a in args), dtype)
                self.turned |= _signs(node) != _signs(made)
                return made
        return node

    def place(self, index: Int) -> Place | None:
        return self.dimensions.of_index(self.program_number, self.definition_number, index)


def _borders(tensor: Tensor, index: tuple[Int, ...]) -> list[tuple[bool, ...]]:
    """For each axis whether positions before, in and behind it are reached."""
    found: list[tuple[bool, ...]] = []
    for position, (lo, hi) in zip(index, tensor.axes, strict=True):
        low, high = position.bounds()
        if low is None or high is None:
            found.append((True, True, True))
        else:
            first, end = lo.constant, hi.constant
            found.append((low < first, low < end and high >= first, high >= end))
    return found


def _signs(node: Expr) -> tuple[bool, ...]:
    """For a comparison of positions, which signs their difference takes."""
    if not isinstance(node, Apply) or len(node.args) != 2 or not node.dtype.is_bool:
        return ()
    left, right = (
        a.index
        if isinstance(a, IndexValue)
        else Int.of(int(a.value))
        if isinstance(a, Const) and a.dtype.is_integer
        else None
        for a in node.args
    )
    if left is None or right is None:
        return ()
    low, high = (left - right).bounds()
    return () if low is None or high is None else (low < 0, low <= 0 <= high, high > 0)


def _floats(program: Program) -> set[float]:
    nodes = (n for d in program.definitions() for n in postorder(d.body))
    return {float(n.value) for n in nodes if isinstance(n, Const) and n.dtype.is_float}


def _deepest(body: Expr, extent: Callable[[Iter], float]) -> float:
    """Points of the largest nest of reductions in an expression."""
    reductions = [n for n in postorder_outside_reductions(body) if isinstance(n, Reduce)]
    return max(
        (math.prod(map(extent, n.iters)) * _deepest(n.body, extent) for n in reductions),
        default=1.0,
    )
