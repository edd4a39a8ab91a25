"""Are two programs equal? Random points of a prime field say so, on shapes small enough to evaluate.

Both programs are shrunk alike: every large extent is divided by the same power of two, so that even
extents stay even, borders stay borders, and quotients keep their relations. Where an unguarded read would
leave its tensor then, or an extent had become a number, the programs keep their extents and are evaluated
as they are while that is affordable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.passes.simplify import simplify
from tcomp.passes.verification.field import PRIME, FieldInterpreter
from tcomp.passes.verification.shrink import (
    AFFORDABLE,
    UNCHANGED,
    points,
    resized,
    shrinkings,
    stays_inside,
)


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
    for shrinking in shrinkings(first, second):
        left, right = resized(first, shrinking), resized(second, shrinking)
        inside = stays_inside(left) and stays_inside(right)
        if inside and points(left) + points(right) <= AFFORDABLE:
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


def _random(
    tensor: Tensor, rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    shape = tuple(int(n) for n in tensor.shape)
    if tensor.dtype.is_float:
        return rng.integers(1, PRIME, shape, dtype=np.int64)
    return rng.integers(0, 2, shape, dtype=np.int64)  # small: they may serve as indices
