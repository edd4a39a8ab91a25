"""The rounding error of a derived program beside that of direct evaluation, on seeded random inputs.

Both are evaluated as written, on shapes that were shrunk alike, in the program's own types with sums left
to right, and compared with the source in more digits. Errors are parts of the largest value of a result,
because a rewritten sum rounds at the scale of its largest terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from tcomp.ir.dtypes import f64
from tcomp.ir.nibbles import unpack_nibbles
from tcomp.ir.tensor.canonical import fingerprint
from tcomp.ir.tensor.nodes import Program, Tensor, postorder
from tcomp.ir.tensor.sampling import draw_inputs
from tcomp.passes.accuracy.evaluate import HAS_EXTENDED, OwnTypes, Truth
from tcomp.passes.accuracy.report import Accuracy, ResultError
from tcomp.passes.verification.shrink import points, resized, shrinkings, stays_inside

AFFORDABLE = 5e5  # points of all loops of both programs in all draws: tens of milliseconds
MOST = 8  # times as much where no shrinking is possible
MEANS = (0.0, 1000.0)  # of the normal inputs: the second shows cancellation
ENOUGH = (
    256  # elements of a result whose largest error is steady, drawn again until there are as many
)
MOST_DRAWS = 8
_finfo: Any = ml_dtypes.finfo

_known: dict[tuple[str, str], Accuracy | None] = {}
MOST_KNOWN = 256


def measure(source: Program, derived: Program) -> Accuracy | None:
    """The errors of `derived` and of `source`, both bound and with the same inputs and results.

    None where the programs are too large to be evaluated and cannot be shrunk. Programs without floats
    have no errors.
    """
    if not _has_floats(source) and not _has_floats(derived):
        return Accuracy(())
    key = (fingerprint(source, associative=False), fingerprint(derived, associative=False))
    if key not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.pop(next(iter(_known)))
        _known[key] = _measured(source, derived)
    return _known[key]


def _measured(source: Program, derived: Program) -> Accuracy | None:
    affordable = AFFORDABLE / _draws(source)
    for shrinking in shrinkings(source, derived, affordable=affordable):
        first, second = (resized(p, shrinking) for p in (source, derived))
        inside = stays_inside(first) and stays_inside(second)
        if inside and points(first) + points(second) <= MOST * affordable:
            return Accuracy(tuple(e for mean in MEANS for e in _errors(first, second, mean)))
    return None


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
            truth = Truth(source, arrays, extended=extended).run()
            direct = OwnTypes(source, arrays, single=single).run()
            other = OwnTypes(derived, renamed, by_rows=True, single=single).run()
        for pairs, tensor, *values in zip(found, source.results, truth, direct, other, strict=True):
            pairs.append(_pair(tensor, *values))
    for tensor, pairs in zip(source.results, found, strict=True):
        direct_error, derived_error = (max(each) for each in zip(*pairs, strict=True))
        yield ResultError(tensor.name, mean, direct_error, derived_error, _epsilon(tensor, single))


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
