"""What every operation tells: its program, its tensors, its reference, its work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tcomp.ir import dtypes

Array = np.ndarray[Any, Any]
Sizes = tuple[tuple[str, int], ...]  # values of the size names of a program


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An argument or a result. `constant` says that it is a weight: known before the first call."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    constant: bool = False

    @property
    def declaration(self) -> str:
        """As the language writes it: `W: f32[64, 64, 3, 3]`."""
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"

    @property
    def bytes(self) -> float:
        return math.prod(self.shape) * dtypes.dtype(self.dtype).bits / 8


class Operation(Protocol):
    """A computation that each contender performs in its own way."""

    @property
    def label(self) -> str:
        """A short name that tells shapes and options."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def results(self) -> tuple[TensorSpec, ...]: ...

    @property
    def text(self) -> str:
        """The program in the language."""

    @property
    def sizes(self) -> Sizes:
        """What its size names stand for; none where shapes are written out."""

    @property
    def multiply_adds(self) -> float:
        """Of the definition as it stands, whatever cleverer algorithms need."""

    def reference(self, arrays: Mapping[str, Array]) -> tuple[Array, ...]:
        """The results in float64 (integers exactly), from inputs of logical shape."""

    def shrunk(self) -> Operation:
        """The same with small extents, for tests."""
