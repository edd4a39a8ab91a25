"""Are two programs equal? Random points of a prime field say so, on shapes small enough to evaluate.

Both programs are shrunk alike: every large extent is divided by the same power of two, so that even
extents stay even, borders stay borders, and quotients keep their relations. Where an unguarded read would
leave its tensor then, or an extent had become a number, the programs keep their extents and are evaluated
as they are while that is affordable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
from tcomp.passes.simplify import simplify
from tcomp.passes.verification.field import PRIME, FieldInterpreter

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """`equal` is None where the programs are too large to evaluate; `reason` then says so.

    `shrunk` tells whether extents were reduced, `seeds` how many random points agreed.
    """

    equal: bool | None
    seeds: int = 0
    shrunk: bool = False
    reason: str = ""


def verify_equal(first: Program, second: Program, seeds: int = 2) -> Verdict:
    """Compares two bound programs with equal inputs and results at random points.

    A difference is certain; agreement is wrong with a probability below degree / 2**31 a seed.
    """
    if [t.axes for t in first.inputs] != [t.axes for t in second.inputs]:
        return Verdict(False, reason="the inputs differ")
    if [t.axes for t in first.results] != [t.axes for t in second.results]:
        return Verdict(False, reason="the results differ")
    # Functions of constants would be uninterpreted on one side and numbers on the other.
    first, second = simplify(first), simplify(second)
    for shrinking in _shrinkings(first, second):
        left, right = _resized(first, shrinking), _resized(second, shrinking)
        inside = _stays_inside(left) and _stays_inside(right)
        if inside and _points(left) + _points(right) <= AFFORDABLE:
            verdict = _compare(left, right, seeds, shrinking is not UNCHANGED)
            if verdict.equal or shrinking is UNCHANGED:
                return verdict  # a difference may come from an extent that became a number
    return Verdict(None, reason="too large to evaluate as it is")


def _compare(first: Program, second: Program, seeds: int, shrunk: bool) -> Verdict:
    for seed in range(seeds):
        arrays = {t.name: _random(t, np.random.default_rng(seed)) for t in first.inputs}
        renamed = {b.name: arrays[a.name] for a, b in zip(first.inputs, second.inputs, strict=True)}
        with np.errstate(all="ignore"):
            left = FieldInterpreter(first, arrays).run()
            right = FieldInterpreter(second, renamed).run()
        for tensor, a, b in zip(first.results, left, right, strict=True):
            if not np.array_equal(a, b):
                where = tuple(int(n) for n in np.argwhere(np.broadcast_to(a != b, a.shape))[0])
                return Verdict(False, seed, shrunk, f"'{tensor.name}' differs at {where}")
    return Verdict(True, seeds, shrunk)


def _shrinkings(*programs: Program) -> list[Shrinking]:
    """What to try: no change, if that is affordable; else, for taps kept and not kept, the smallest scale
    that makes the programs affordable and a larger one."""
    found = [UNCHANGED]
    if _total_points(programs, UNCHANGED) > AFFORDABLE:
        tried = (_affordable(programs, keep) for keep in (LEFT_ALONE, FEW))
        found = [
            t for first in tried if first for t in (first, Shrinking(2 * first.scale, first.keep))
        ]
    return found if UNCHANGED in found else [*found, UNCHANGED]


def _affordable(programs: tuple[Program, ...], keep: int) -> Shrinking | None:
    shrinking = Shrinking(2, keep)
    while _total_points(programs, shrinking) > AFFORDABLE:
        if shrinking.scale > 1 << 20:
            return None
        shrinking = Shrinking(2 * shrinking.scale, keep)
    return shrinking


def _total_points(programs: tuple[Program, ...], shrinking: Shrinking) -> float:
    return sum(_points(_resized(p, shrinking)) for p in programs)


def _stays_inside(program: Program) -> bool:
    """Whether every unguarded read is provably inside its tensor."""
    for definition in program.definitions():
        for node in postorder(definition.body):
            if isinstance(node, Read) and node.otherwise is None:
                for index, (lo, hi) in zip(node.index, node.tensor.axes, strict=True):
                    low, high = index.bounds()
                    if low is None or high is None or low < lo.constant or high >= hi.constant:
                        return False
    return True


def _resized(program: Program, shrinking: Shrinking) -> Program:
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


def _points(program: Program) -> float:
    total = 0.0
    for definition in program.definitions():
        points = 1.0
        for it in definition.iters:
            points *= it.extent.constant
        deepest = 1.0
        for node in postorder(definition.body):
            if isinstance(node, Reduce):
                inner = 1.0
                for it in node.iters:
                    inner *= it.extent.constant
                deepest = max(deepest, inner)
        total += points * deepest
    return total


def _random(
    tensor: Tensor, rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    shape = tuple(int(n) for n in tensor.shape)
    if tensor.dtype.is_float:
        return rng.integers(1, PRIME, shape, dtype=np.int64)
    return rng.integers(0, 2, shape, dtype=np.int64)  # small: they may serve as indices
