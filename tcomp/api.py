"""The Python interface: `compile`, `load`, `check`, and the compiled function they give and take.

A `Compiled` holds one program and, for every combination of element types and shapes that it has met,
a kernel specialised to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from tcomp.ir.tensor.nodes import Program
    from tcomp.pipeline import Stages
    from tcomp.runtime.kernel import Kernel
    from tcomp.target import Target

Number: TypeAlias = int | float | bool
Array: TypeAlias = Any  # an ndarray, or anything `runtime.arrays` accepts


@dataclass(frozen=True, slots=True)
class Options:
    """What decides a kernel beside the program, its types and its sizes."""

    target: Target
    threads: int
    accuracy: str = "standard"
    tune: str | float = "cached"


@dataclass(frozen=True, slots=True)
class Specialisation:
    """One kernel: its program with all sizes bound, and the weights that every call hands it.

    `stages` makes what compilation went through again when a kernel came from the cache.
    """

    kernel: Kernel
    program: Callable[[], Program]
    stages: Callable[[], Stages]
    constants: tuple[np.ndarray[Any, Any], ...] = ()
