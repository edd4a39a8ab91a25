"""Random inputs of workloads, and how contenders' outputs are judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tcomp.benchmarks.operations import Operation, TensorSpec
from tcomp.benchmarks.operations.tensor import Array
from tcomp.ir import dtypes

# The largest difference to float64, relative to the largest value: above any order of summing in f32, below what
# tf32 or bf16 in place of f32 would give; half an ulp and its neighbour for narrow results.
TOLERANCES = {"f64": 1e-12, "f32": 2e-5, "f16": 2e-3, "bf16": 1.6e-2}


def draw(operation: Operation, seed: int = 0) -> dict[str, Array]:
    """Arrays of logical shape by name: normal floats, all values of narrow integers."""
    return {
        t.name: _drawn(np.random.default_rng([seed, n]), t) for n, t in enumerate(operation.inputs)
    }


def _drawn(rng: np.random.Generator, spec: TensorSpec) -> Array:
    dtype = dtypes.dtype(spec.dtype)
    if dtype.is_float:
        return rng.standard_normal(spec.shape, np.float32).astype(dtype.numpy)
    low = -(1 << (dtype.bits - 1)) if dtype.is_signed else 0
    high = low + (1 << dtype.bits)
    if dtype.bits > 8:
        low, high = 0, 10
    return rng.integers(low, high, spec.shape).astype(dtype.numpy)


def packed(array: Array, dtype: str) -> Array:
    """As `tcomp` takes it: two 4-bit values a byte."""
    from tcomp.ir.nibbles import pack_nibbles

    return pack_nibbles(array.astype(np.int16)) if dtypes.dtype(dtype).is_packed else array


def difference(results: Sequence[Any], reference: Sequence[Array]) -> float:
    """The largest difference, relative to each result's largest value; infinite where shapes differ."""
    worst = 0.0
    for ours, wanted in zip(results, reference, strict=True):
        if np.shape(ours) != wanted.shape:
            return float("inf")
        wide = np.asarray(ours).astype(np.float64)
        scale = float(np.max(np.abs(wanted), initial=0.0)) or 1.0
        gap = float(np.max(np.abs(wide - wanted), initial=0.0)) / scale
        worst = max(worst, gap if gap == gap else float("inf"))
    return worst


def tolerance(operation: Operation) -> float:
    """What `difference` may be; 0 for integers."""
    return max(TOLERANCES.get(t.dtype, 0.0) for t in operation.results)
