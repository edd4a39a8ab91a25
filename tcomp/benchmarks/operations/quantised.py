"""Products with 4-bit weights and a scale for each block, as language models are served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tcomp.benchmarks.operations.tensor import Array, Sizes, TensorSpec

ZERO_POINT = 8  # u4 weights mean q - 8


@dataclass(frozen=True, slots=True)
class BlockScaledProduct:
    """`Y[m, n] = sum[k](X[m, k] * (W[n, k] - 8) * S[n, k // block])`, W of type u4, the rest f32."""

    m: int
    n: int
    k: int
    block: int = 32

    @property
    def label(self) -> str:
        return f"u4 product {self.m}x{self.n}x{self.k} block {self.block}"

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (
            TensorSpec("X", "f32", (self.m, self.k)),
            TensorSpec("W", "u4", (self.n, self.k), True),
            TensorSpec("S", "f32", (self.n, self.k // self.block), True),
        )

    @property
    def results(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("Y", "f32", (self.m, self.n)),)

    @property
    def text(self) -> str:
        declared = ", ".join(t.declaration for t in self.inputs)
        return (
            f"def product({declared}) -> {self.results[0].declaration}:\n"
            f"    Y[i, j] = sum[k](X[i, k] * (W[j, k] - {ZERO_POINT}) * S[j, k//{self.block}])\n"
        )

    @property
    def sizes(self) -> Sizes:
        return ()

    @property
    def multiply_adds(self) -> float:
        return float(self.m) * self.n * self.k

    def reference(self, arrays: Mapping[str, Array]) -> tuple[Array, ...]:
        scales = np.repeat(arrays["S"].astype(np.float64), self.block, axis=1)
        weights = (arrays["W"].astype(np.float64) - ZERO_POINT) * scales
        return (arrays["X"].astype(np.float64) @ weights.T,)

    def shrunk(self) -> BlockScaledProduct:
        return replace(self, m=min(self.m, 3), n=16, k=3 * self.block)
