"""Are two programs equal? Random points of a prime field say so, on shapes small enough to evaluate.

Extents are shrunk where every index is a plain iterator: then equality at small extents that tell all
large ones apart carries over. Programs with offsets, guards, quotients or gathers keep their extents, for
their borders and residues are the point; they are evaluated as they are while that is affordable.
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
from tcomp.passes.scoping import plain_iter
from tcomp.passes.verification.field import PRIME, FieldInterpreter

AFFORDABLE = 2e8  # points of all loops of a program that is evaluated as it is
SMALLEST = 3  # a shrunken extent is at least this, and different for different extents


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
    if _is_plain(first) and _is_plain(second):
        extents = _shrunken_extents(first, second)
        verdict = _compare(_resized(first, extents), _resized(second, extents), seeds, True)
        if verdict.equal:
            return verdict  # a difference may come from an extent that became a number: look again
    if _points(first) + _points(second) > AFFORDABLE:
        return Verdict(None, reason="too large to evaluate as it is")
    return _compare(first, second, seeds, False)


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


def _is_plain(program: Program) -> bool:
    """Whether every index is one iterator or a constant 0, and no extent is used as a number."""
    for statement in program.body:
        if isinstance(statement, Scan):
            return False
        for node in postorder(statement.body):
            if isinstance(node, IndexValue):
                return False
            if isinstance(node, Read) and not all(
                plain_iter(i) is not None or (i.is_constant and not i.constant) for i in node.index
            ):
                return False
            if isinstance(node, Read) and node.otherwise is not None:
                return False
    return all(lo.is_constant and not lo.constant for lo, _ in _axes(program))


def _axes(program: Program) -> list[tuple[Int, Int]]:
    tensors = [*program.inputs, *(d.tensor for d in program.definitions())]
    return [axis for t in tensors for axis in t.axes]


def _shrunken_extents(*programs: Program) -> dict[int, int]:
    """A small extent for each; 0 and 1 stay, others remain distinct and in order."""
    found = {(hi - lo).constant for p in programs for lo, hi in _axes(p)}
    for program in programs:
        for definition in program.definitions():
            for node in postorder(definition.body):
                if isinstance(node, Reduce):
                    found |= {it.extent.constant for it in node.iters}
    shrunken: dict[int, int] = {}
    smallest = SMALLEST - 1
    for extent in sorted(found):
        smallest = min(extent, smallest + 1) if extent > 1 else smallest
        shrunken[extent] = extent if extent <= 1 else smallest
    return shrunken


def _resized(program: Program, extents: dict[int, int]) -> Program:
    def axis(lo: Int, hi: Int) -> tuple[Int, Int]:
        return lo, Int.of(extents[(hi - lo).constant])

    def tensor(old: Tensor) -> Tensor:
        return Tensor(old.name, old.dtype, tuple(axis(*a) for a in old.axes))

    def iterator(old: Iter) -> Iter:
        return Iter(old.name, *axis(old.lo, old.hi))

    def index(old: Int) -> Int:
        it = plain_iter(old)
        return old if it is None else Int.of(iterator(it))

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Read):
            return Read(tensor(node.tensor), tuple(index(i) for i in node.index))
        if isinstance(node, Reduce):
            return Reduce(node.op, tuple(iterator(i) for i in node.iters), node.body)
        return None

    body: list[Statement] = [
        Definition(tensor(d.tensor), tuple(iterator(i) for i in d.iters), rewrite(d.body, rule))
        for d in program.definitions()
    ]
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
