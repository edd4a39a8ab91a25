"""Results of compiled code beside the reference interpreter's, within bounds that rounding explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from tcomp.ir.dtypes import DType, f64
from tcomp.ir.nibbles import unpack_nibbles
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program, Reduce, postorder

# Rounding of sums grows with the square root of their length when errors are independent (Higham,
# Accuracy and Stability of Numerical Algorithms, section 4.2); the constants leave room for chains of
# operations of a few ULP each.
BASE_ULPS = 64.0
SUM_ULPS = 8.0
_finfo: Any = ml_dtypes.finfo


@dataclass(frozen=True, slots=True)
class ResultError:
    """How far one result is from the reference.

    `largest` is the largest absolute difference, `bound` what is allowed at that place, `scale` the
    largest finite value of the reference. `mismatched` counts elements beyond their bound.
    """

    name: str
    largest: float
    bound: float
    scale: float
    mismatched: int

    @property
    def ok(self) -> bool:
        return not self.mismatched

    def __str__(self) -> str:
        relative = self.largest / self.scale if self.scale else self.largest
        verdict = "ok" if self.ok else f"WRONG in {self.mismatched} elements"
        return f"{self.name}: largest error {self.largest:.3g} ({relative:.3g} of the largest value), {verdict}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """True where every result is within its bound."""

    results: tuple[ResultError, ...]

    @property
    def ok(self) -> bool:
        return all(r.ok for r in self.results)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


def compare(program: Program, inputs: Mapping[str, Any], results: Sequence[Any]) -> CheckReport:
    """Compares arrays with what a bound program means for `inputs`, logical arrays by name.

    Floats must be within a bound of the interpreter's float64 that grows with the square root of the
    longest reduction; integers and bools must be equal; NaN and infinities must be where it has them.
    """
    return compare_with(program, interpret(program, inputs), results)


def compare_with(program: Program, expected: Sequence[Any], results: Sequence[Any]) -> CheckReport:
    """As `compare`, with the interpreter's results at hand. Packed 4-bit results are unpacked."""
    tolerance = _compute_epsilon(program) * (
        BASE_ULPS + SUM_ULPS * math.sqrt(_longest_sum(program))
    )
    reports = []
    for tensor, wanted, got in zip(program.results, expected, results, strict=True):
        if tensor.dtype.is_packed and tensor.rank and got.dtype == np.uint8:
            got = unpack_nibbles(np.asarray(got), int(tensor.shape[-1]), tensor.dtype.is_signed)
        reports.append(
            _compared(tensor.name, tensor.dtype, np.asarray(wanted), np.asarray(got), tolerance)
        )
    return CheckReport(tuple(reports))


def _compared(name: str, dtype: DType, wanted: Any, got: Any, tolerance: float) -> ResultError:
    if not dtype.is_float:
        differs = wanted != got
        largest = float(np.max(np.abs(wanted.astype(np.float64) - got), initial=0.0))
        return ResultError(name, largest, 0.0, 1.0, int(np.count_nonzero(differs)))
    got = got.astype(np.float64)
    finite = np.isfinite(wanted)
    scale = float(np.max(np.abs(wanted), where=finite, initial=0.0))
    storage = float(_epsilon(dtype))
    with np.errstate(invalid="ignore"):
        error = np.where(finite, np.abs(got - wanted), 0.0)
    bound = tolerance * scale + storage * np.where(finite, np.abs(wanted), 0.0) + _tiny(dtype)
    beyond = ~(error <= bound) | (np.isnan(wanted) != np.isnan(got))
    beyond |= np.isinf(wanted) & (wanted != got)
    place = np.unravel_index(int(np.argmax(error)), error.shape) if error.size else None
    at_bound = float(np.broadcast_to(bound, error.shape)[place]) if place is not None else 0.0
    return ResultError(
        name,
        float(np.max(error, initial=0.0)),
        at_bound,
        scale,
        int(np.count_nonzero(beyond)),
    )


def _epsilon(dtype: DType) -> float:
    return float(_finfo(dtype.numpy).eps)


def _tiny(dtype: DType) -> float:
    return float(_finfo(dtype.numpy).smallest_subnormal)


def _compute_epsilon(program: Program) -> float:
    """Of f64 where everything is computed in it, else of f32."""
    floats = {n.dtype for d in program.definitions() for n in postorder(d.body) if n.dtype.is_float}
    return 2.0**-52 if floats <= {f64} else 2.0**-23


def _longest_sum(program: Program) -> int:
    longest = 1
    for definition in program.definitions():
        for node in postorder(definition.body):
            if isinstance(node, Reduce):
                length = 1
                for it in node.iters:
                    length *= int(it.extent)
                longest = max(longest, length)
    return longest
