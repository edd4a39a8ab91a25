"""Products of two tensors summed over shared axes: matrix products in every layout, batched, tensor contractions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tcomp.benchmarks.operations.epilogue import NONE, Epilogue
from tcomp.benchmarks.operations.tensor import Array, Sizes, TensorSpec
from tcomp.ir import dtypes

SMALL = 7  # the largest extent of a shrunk operation


@dataclass(frozen=True, slots=True)
class Contraction:
    """`einsum(subscripts, A, B)` with an epilogue. `weights` says that B is a constant.

    The channel of the epilogue is the last axis of the result.
    """

    subscripts: str
    extents: tuple[tuple[str, int], ...]
    dtypes: tuple[str, str, str] = ("f32", "f32", "f32")  # of A, B and the result
    weights: bool = False
    epilogue: Epilogue = NONE
    title: str = ""

    @property
    def axes(self) -> tuple[str, str, str]:
        """The letters of A, B and the result."""
        operands, out = self.subscripts.split("->")
        left, right = operands.split(",")
        return left, right, out

    @property
    def label(self) -> str:
        a, b, result = self.dtypes
        kind = "" if {a, b, result} == {"f32"} else f" {a}" if a == b else f" {a}*{b}"
        name = self.title or "-".join(self.axes[n] for n in (2, 0, 1))
        return f"{name}{kind}{self.epilogue.label}{' weights' * self.weights}"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        left, right, out = self.axes
        specs = [
            TensorSpec("A", self.dtypes[0], self.shape(left)),
            TensorSpec("B", self.dtypes[1], self.shape(right), self.weights),
        ]
        if self.epilogue.bias:
            specs.append(TensorSpec("b", "f32", self.shape(out[-1]), True))
        if self.epilogue.residual:
            specs.append(TensorSpec("R", "f32", self.shape(out)))
        return tuple(specs)

    @property
    def results(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("C", self.dtypes[2], self.shape(self.axes[2])),)

    @property
    def text(self) -> str:
        left, right, out = (", ".join(letters) for letters in self.axes)
        summed = ", ".join(sorted(set(left + right) - set(out) - set(", ")))
        product = f"sum[{summed}](A[{left}] * B[{right}])"
        value = self.epilogue.expression(product, self.axes[2][-1], out)
        (result,) = self.results
        declared = ", ".join(t.declaration for t in self.inputs)
        return f"def product({declared}) -> {result.declaration}:\n    C[{out}] = {value}\n"

    @property
    def sizes(self) -> Sizes:
        return ()

    @property
    def multiply_adds(self) -> float:
        return math.prod(float(n) for _, n in self.extents)

    def shape(self, letters: str) -> tuple[int, ...]:
        extents = dict(self.extents)
        return tuple(extents[c] for c in letters)

    def reference(self, arrays: Mapping[str, Array]) -> tuple[Array, ...]:
        # Exact for bytes too: sums of 2^38 products of them stay below 2^53.
        wide = {n: a.astype(np.float64) for n, a in arrays.items()}
        product = np.einsum(self.subscripts, wide["A"], wide["B"], optimize=True)
        result = self.epilogue.apply(product, wide.get("b"), wide.get("R"))
        dtype = dtypes.dtype(self.dtypes[2])
        return (result.astype(dtype.numpy) if not dtype.is_float else result,)

    def shrunk(self) -> Contraction:
        return replace(
            self, extents=tuple((c, min(n, SMALL - i)) for i, (c, n) in enumerate(self.extents))
        )


LAYOUTS = {"nn": "mk,kn->mn", "tn": "km,kn->mn", "nt": "mk,nk->mn", "tt": "km,nk->mn"}


def matmul(
    m: int,
    n: int,
    k: int,
    layout: str = "nn",
    *,
    batch: int = 0,
    dtypes: tuple[str, str, str] = ("f32", "f32", "f32"),
    weights: bool = False,
    epilogue: Epilogue = NONE,
) -> Contraction:
    """An `m x k` by `k x n` product; `layout` says which operands are stored transposed."""
    subscripts = LAYOUTS[layout]
    extents: tuple[tuple[str, int], ...] = (("m", m), ("n", n), ("k", k))
    count = ""
    if batch:
        left, rest = subscripts.split(",")
        right, out = rest.split("->")
        subscripts = f"z{left},z{right}->z{out}"
        extents, count = (("z", batch), *extents), f"{batch}x"
    suffix = "" if layout == "nn" else f" {layout}"
    title = f"matmul {count}{m}x{n}x{k}{suffix}"
    return Contraction(subscripts, extents, dtypes, weights, epilogue, title)
