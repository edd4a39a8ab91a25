"""The rounding error of a derived program beside that of direct evaluation, on seeded random inputs.

Both are evaluated as written, on shapes that were shrunk alike, in the program's own types with sums left
to right, and compared with the source in more digits. Errors are parts of the largest value of a result,
because a rewritten sum rounds at the scale of its largest terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import ml_dtypes
import numpy as np

from tcomp.ir.dtypes import f64
from tcomp.ir.nibbles import unpack_nibbles
from tcomp.ir.tensor.nodes import Program, Tensor, postorder
from tcomp.ir.tensor.sampling import draw_inputs
from tcomp.passes.accuracy.evaluate import HAS_EXTENDED, OwnTypes, Truth
from tcomp.passes.accuracy.report import Accuracy, ResultError
from tcomp.passes.simplify import simplify
from tcomp.passes.verification import known_equal
from tcomp.passes.verification.shrink import PLAIN, shrunk

AFFORDABLE = 6e5  # points of all loops of both programs in all draws: tens of milliseconds
KEEPS = (256, 128, 64, 32, 16, 8, 4)  # of `shrunk`: the longest sums that are affordable
MEANS = (0.0, 1000.0)  # of the normal inputs: the second shows cancellation
ENOUGH = (
    256  # elements of a result whose largest error is steady: drawn again until there are that many
)
MOST_DRAWS = 8
MOST_TRIES = 12  # maps of sizes
# Units of rounding on N(0, 1), and what they must come to: elements of other positions differ by more.
ROUNDING, SMALL = 64, 1e-4
AGREEING = 1e-6  # of the largest value: a difference beyond this is none of rounding in float64
_finfo: Any = ml_dtypes.finfo

MOST_KNOWN = 256
MOST_EVALUATED = 4  # shapes and draws whose arrays are kept


def measure(source: Program, derived: Program, wanted: str = "none") -> Accuracy | None:
    """The errors of `derived` and of `source`, both bound and with the same inputs and results.

    None where the programs are too large to be evaluated and cannot be shrunk. Programs without floats
    have no errors. Where the first errors exceed the bound of the class `wanted`, the others are not measured.
    """
    if not _has_floats(source) and not _has_floats(derived):
        return Accuracy(())
    return _measured(simplify(source), simplify(derived), wanted)


@lru_cache(MOST_KNOWN)
def _measured(source: Program, derived: Program, wanted: str) -> Accuracy | None:
    affordable = AFFORDABLE / _draws(source)
    shapes = chain.from_iterable(
        shrunk(source, derived, affordable=most, keeps=KEEPS, plains=plains)
        for plains in ((None,), (PLAIN,))  # sums over channels round as they do if they are long
        for most in (affordable, 4 * affordable)
    )
    for programs, smaller in islice(shapes, MOST_TRIES):
        try:
            found = Accuracy(())
            for mean in MEANS:
                found = Accuracy((*found.errors, *_errors(*programs, mean)))
                if not found.allows(wanted):
                    break
            if not smaller or _of_rounding(found) or known_equal(*programs) or _agree(*programs):
                return found
        except IndexError:  # a map of sizes that explained too much
            continue
    return None


def _of_rounding(found: Accuracy) -> bool:
    """Whether differences are so small that rounding must be all of them: shrunk programs are still equal."""
    return all(e.derived <= ROUNDING * e.epsilon < SMALL for e in found.errors if not e.mean)


def _agree(first: Program, second: Program) -> bool:
    """Whether shrunk programs are still equal, but for what float64 rounds."""
    arrays = _inputs(first, 0, 0.0)
    renamed = {b.name: arrays[a.name] for a, b in zip(first.inputs, second.inputs, strict=True)}
    with np.errstate(all="ignore"):
        pairs = zip(_truth(first, 0, 0.0, False), Truth(second, renamed).run(), strict=True)
        return all(np.array_equal(a, b) if a.dtype.kind != "f" else _close(a, b) for a, b in pairs)


def _close(first: Any, second: Any) -> bool:
    usable = np.isfinite(first) & np.isfinite(second)
    scale = np.max(np.abs(first), where=usable, initial=0.0)
    return bool(np.all(np.abs(first - second) <= AGREEING * scale, where=usable))


def _errors(source: Program, derived: Program, mean: float) -> Iterator[ResultError]:
    wide = any(n.dtype is f64 for d in source.definitions() for n in postorder(d.body))
    extended, single = wide and HAS_EXTENDED, wide and not HAS_EXTENDED
    found: list[list[tuple[float, float]]] = [[] for _ in source.results]
    for seed in range(_draws(source)):
        arrays = _inputs(source, seed, mean)
        renamed = {
            b.name: arrays[a.name] for a, b in zip(source.inputs, derived.inputs, strict=True)
        }
        with np.errstate(all="ignore"):
            truth = _truth(source, seed, mean, extended)
            direct = _direct(source, seed, mean, single)
            other = OwnTypes(derived, renamed, by_rows=True, single=single).run()
        for pairs, tensor, *values in zip(found, source.results, truth, direct, other, strict=True):
            pairs.append(_pair(tensor, *values))
    for tensor, pairs in zip(source.results, found, strict=True):
        direct_error, derived_error = (max(each) for each in zip(*pairs, strict=True))
        yield ResultError(tensor.name, mean, direct_error, derived_error, _epsilon(tensor, single))


# Several candidates are measured beside one source, mostly on the same shapes.


@lru_cache(MOST_EVALUATED)
def _truth(source: Program, seed: int, mean: float, extended: bool) -> tuple[Any, ...]:
    return Truth(source, _inputs(source, seed, mean), extended=extended).run()


@lru_cache(MOST_EVALUATED)
def _direct(source: Program, seed: int, mean: float, single: bool) -> tuple[Any, ...]:
    return OwnTypes(source, _inputs(source, seed, mean), single=single).run()


def _pair(tensor: Tensor, truth: Any, direct: Any, other: Any) -> tuple[float, float]:
    """The errors of direct evaluation and of the other program, for one draw."""
    if not truth.size:
        return 0.0, 0.0
    if not tensor.dtype.is_float:
        return float(np.mean(direct != truth)), float(np.mean(other != truth))
    usable = np.isfinite(truth) & np.isfinite(direct)
    scale = np.max(np.abs(truth), where=usable, initial=0.0)
    if np.any(usable & ~np.isfinite(other)):
        return 0.0, float("inf")
    errors = [np.max(np.abs(v - truth), where=usable, initial=0.0) for v in (direct, other)]
    return tuple(float(e / scale) if scale else float(e) for e in errors)  # type: ignore[return-value]


@lru_cache(MOST_EVALUATED)
def _inputs(program: Program, seed: int, mean: float) -> dict[str, Any]:
    drawn = draw_inputs(program, seed, frozenset(), {})
    for tensor in program.inputs:
        array = drawn[tensor.name]
        if tensor.dtype.is_float and mean:
            largest = float(_finfo(tensor.dtype.numpy).max)
            drawn[tensor.name] = np.minimum(array.astype(np.float64) + mean, largest).astype(
                tensor.dtype.numpy
            )
        elif tensor.dtype.is_packed and tensor.rank:
            length = int(tensor.shape[-1])
            drawn[tensor.name] = unpack_nibbles(array, length, tensor.dtype.is_signed)
    return drawn


def _draws(program: Program) -> int:
    smallest = min((_size(t) for t in program.results), default=ENOUGH)
    return min(MOST_DRAWS, -(-ENOUGH // max(1, smallest)))


def _size(tensor: Tensor) -> int:
    return int(np.prod([int(n) for n in tensor.shape], dtype=np.int64))


def _epsilon(tensor: Tensor, single: bool) -> float:
    if not tensor.dtype.is_float:
        return 2.0 / max(1, _size(tensor))
    dtype = np.dtype(np.float32) if single and tensor.dtype is f64 else tensor.dtype.numpy
    return float(_finfo(dtype).eps)


def _has_floats(program: Program) -> bool:
    return any(n.dtype.is_float for d in program.definitions() for n in postorder(d.body))
