"""Are two programs equal? Random points of a prime field say so, on shapes small enough to evaluate.

Large programs are shrunk alike (`shrink`). The interpreter checks every read that it makes; that no read
of the second program leaves its tensor at the full size is proven by the ranges of its indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import ceil, prod
from typing import Any

import numpy as np

from tcomp.diagnostics import CompileError
from tcomp.ir.tensor.nodes import Apply, Const, IndexValue, Program, Reduce, postorder
from tcomp.ir.tensor.reach import check_reads
from tcomp.ir.tensor.sampling import draw_inputs, logical, position_ranges
from tcomp.passes.simplify import simplify
from tcomp.passes.verification.exponential_field import BASES, ExponentialField
from tcomp.passes.verification.field import PRIME, FieldInterpreter
from tcomp.passes.verification.logarithm_field import LOGARITHMS, LogarithmField
from tcomp.passes.verification.ordered_ring import OrderedRing
from tcomp.passes.verification.shrink import shrunk

AFFORDABLE = 1.5e6  # points of all loops of both programs together: some 50 ms

MOST_TRIES = 4  # maps of sizes
LARGEST_SEEN, MOST_SEEDS = (
    16,
    32,
)  # times that each term of a maximum should be the largest; seeds for it


@dataclass(frozen=True, slots=True)
class Verdict:
    """`equal` is None where the programs are too large to evaluate; `reason` then says so.

    `shrunk` tells whether extents were reduced, `seeds` how many random points agreed.
    """

    equal: bool | None
    seeds: int = 0
    shrunk: bool = False
    reason: str = ""


def verify_equal(first: Program, second: Program, seeds: int | None = None) -> Verdict:
    """Compares two bound programs with equal inputs and results at random points.

    A difference is certain; agreement is wrong with a probability below degree / 2**31 a seed, for maxima and
    minima below 1e-6 or so. By default polynomials over floats have one seed, and all else has two.
    """
    if [t.axes for t in first.inputs] != [t.axes for t in second.inputs]:
        return Verdict(False, reason="the inputs differ")
    if [t.axes for t in first.results] != [t.axes for t in second.results]:
        return Verdict(False, reason="the results differ")
    # Functions of constants would be uninterpreted on one side and numbers on the other.
    first, second = simplify(first), simplify(second)
    outside = reads_outside(second)
    if outside:
        return Verdict(False, reason=outside)
    verdict = Verdict(None, reason="too large to evaluate as it is")
    arithmetics = _arithmetics(first, second)
    if seeds is None:
        seeds = 1 if len(arithmetics) == 1 and _is_over_floats(first, second) else 2
    tries = islice(shrunk(first, second, affordable=AFFORDABLE), MOST_TRIES)
    for programs, smaller in tries:
        for arithmetic in arithmetics:
            try:
                points = max(seeds, _seeds_for_order(*programs))
                verdict = _compare(*programs, arithmetic, points, smaller)
            except IndexError as error:  # a map of sizes that explained too much
                verdict = Verdict(None, shrunk=True, reason=str(error))
            if verdict.equal is not False:
                break
        if verdict.equal:
            if len(_equal) >= MOST_KNOWN:
                _equal.clear()
            _equal.add(programs)
            break
    return verdict


MOST_KNOWN = 256
_equal: set[tuple[Program, Program]] = set()  # as they were compared


def known_equal(first: Program, second: Program) -> bool:
    """Whether just these programs were compared before, and agreed."""
    return (first, second) in _equal


def reads_outside(program: Program) -> str:
    """What is wrong if an unguarded read can leave its tensor; '' if none can. Data decide the rest."""
    try:
        for definition in program.definitions():
            check_reads(definition, {})
    except CompileError as error:
        return str(error)
    return ""


def _arithmetics(first: Program, second: Program) -> list[type[FieldInterpreter]]:
    """In which arithmetics the programs may show to be equal: each is a model of the float identities."""
    nodes = [n for p in (first, second) for d in p.definitions() for n in postorder(d.body)]
    ops = {n.op for n in nodes if isinstance(n, Apply | Reduce) and n.dtype.is_float}
    found: list[type[FieldInterpreter]] = [FieldInterpreter]
    if ops & set(BASES):
        found.append(ExponentialField)
    if ops & set(LOGARITHMS):
        found.append(LogarithmField)
    if ops & {"max", "min", "maximum", "minimum"}:
        found.append(OrderedRing)
    return found


def _is_over_floats(*programs: Program) -> bool:
    """Whether nothing but floats is computed."""
    nodes = (n for p in programs for d in p.definitions() for n in postorder(d.body))
    inputs = (t for p in programs for t in p.inputs)
    return all(
        n.dtype.is_float or n.dtype.is_bool or isinstance(n, IndexValue | Const) for n in nodes
    ) and all(t.dtype.is_float for t in inputs)


def _seeds_for_order(first: Program, second: Program) -> int:
    """How many random points show the term of a maximum that a program leaves out: it must be the largest of n
    somewhere, which of all results at all points is missed with a probability of (1 - 1/n) ** LARGEST_SEEN n."""
    extremes: list[int] = []
    for definition in (d for p in (first, second) for d in p.definitions()):
        nodes = postorder(definition.body)
        pairs = sum(isinstance(n, Apply) and n.op in ("maximum", "minimum") for n in nodes)
        extremes += [pairs + 1] if pairs else []
        extremes += [
            prod(it.extent.constant for it in n.iters)
            for n in nodes
            if isinstance(n, Reduce) and n.op in ("max", "min")
        ]
    results = sum(prod(int(n) for n in t.shape) for t in first.results)
    return min(MOST_SEEDS, ceil(LARGEST_SEEN * max(extremes, default=0) / max(1, results)))


def _compare(
    first: Program,
    second: Program,
    arithmetic: type[FieldInterpreter],
    seeds: int,
    smaller: bool,
) -> Verdict:
    for seed in range(seeds):
        arrays = _inputs(first, seed)
        renamed = {b.name: arrays[a.name] for a, b in zip(first.inputs, second.inputs, strict=True)}
        with np.errstate(all="ignore"):
            left = arithmetic(first, arrays).run()
            right = arithmetic(second, renamed).run()
        for tensor, a, b in zip(first.results, left, right, strict=True):
            if not np.array_equal(a, b):
                where = tuple(int(n) for n in np.argwhere(np.broadcast_to(a != b, a.shape))[0])
                return Verdict(False, seed, smaller, f"'{tensor.name}' differs at {where}")
    return Verdict(True, seeds, smaller)


def _inputs(program: Program, seed: int) -> dict[str, Any]:
    """Random residues for floats; valid positions for indices; else integers of all sizes, so that they wrap."""
    positions = position_ranges(program)
    discrete = any(not t.dtype.is_float for t in program.inputs)
    small = logical(program, draw_inputs(program, seed, frozenset(), {})) if discrete else {}
    arrays: dict[str, Any] = {}
    for number, tensor in enumerate(program.inputs):
        rng = np.random.default_rng([seed, number])
        shape = tuple(int(n) for n in tensor.shape)
        if tensor.dtype.is_float:
            arrays[tensor.name] = rng.integers(1, PRIME, shape, dtype=np.int64)
        elif seed % 2 and tensor.dtype.bits >= 32 and tensor.name not in positions:
            kind = tensor.dtype.numpy
            every = np.iinfo(kind)
            arrays[tensor.name] = rng.integers(every.min, every.max, shape, kind, endpoint=True)
        else:
            arrays[tensor.name] = small[tensor.name]
    return arrays
