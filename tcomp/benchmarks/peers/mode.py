"""What adapters of peers are given and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tcomp.benchmarks.operations import Operation
from tcomp.benchmarks.operations.tensor import Array

Inputs = Mapping[str, Array]  # of logical shape; 4-bit ones as ml_dtypes arrays


class Unavailable(Exception):
    """Why a peer cannot compute an operation, in a few words."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way of a peer: `call` computes, `arrays` makes NumPy arrays of what it returned."""

    name: str
    call: Callable[[], Any]
    arrays: Callable[[Any], tuple[Array, ...]] = lambda value: (np.asarray(value),)


def no_form(operation: Operation) -> Unavailable:
    """For operations that a peer has no name for."""
    return Unavailable(f"no form for {type(operation).__name__}")
