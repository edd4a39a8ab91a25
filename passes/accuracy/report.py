"""What a measurement of rounding errors says, and what the accuracy classes make of it.

standard: at most twice the error of direct evaluation, on N(0, 1) and on N(1000, 1) inputs
fast:     at most 1e-5 of the largest result, on N(0, 1) inputs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

STANDARD_FACTOR = 2.0
FAST_ERROR = 1e-5  # of the largest result in f32; other types in proportion to their epsilon
FAST_EPSILONS = FAST_ERROR * 2**23


@dataclass(frozen=True, slots=True)
class ResultError:
    """Largest errors of one result for one kind of inputs, as parts of its largest value.

    `mean` is that of the normal inputs. `direct` is the error of the source evaluated left to right in
    its own types, `derived` that of the other program, `epsilon` the unit of the result's type: what no
    evaluation is asked to undercut. For integers and bools an error is the share of wrong elements.
    """

    result: str
    mean: float
    direct: float
    derived: float
    epsilon: float

    @property
    def ratio(self) -> float:
        """How many times the direct error the other program makes."""
        return self.derived / max(self.direct, self.epsilon / 2)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The rounding errors of a program beside those of the program that it was derived from."""

    errors: tuple[ResultError, ...]

    @property
    def ratio(self) -> float:
        """The worst ratio to the direct error: what `standard` bounds by 2."""
        return max((e.ratio for e in self.errors), default=0.0)

    @property
    def error(self) -> float:
        """The largest error on N(0, 1) inputs, as a part of the largest result: what `fast` bounds."""
        return max((e.derived for e in self.errors if not e.mean), default=0.0)

    @property
    def bound(self) -> str:
        """The tightest class whose bound is met: `standard`, `fast` or `none`."""
        if self.ratio <= STANDARD_FACTOR:
            return "standard"
        plain = [e for e in self.errors if not e.mean]
        if all(e.derived <= FAST_EPSILONS * e.epsilon for e in plain):
            return "fast"
        return "none"

    def allows(self, accuracy: str) -> bool:
        """Whether the accuracy class allows the program; `strict` is decided by the rules instead, and
        `none` allows all."""
        return accuracy in ("none", self.bound) or self.bound == "standard"

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {"bound": self.bound, "ratio_to_direct": self.ratio, "error": self.error}

    def __str__(self) -> str:
        if not self.errors:
            return "exact: no floats are computed"
        text = (
            f"{self.ratio:.3g} times the error of direct evaluation, "
            f"{self.error:.3g} of the largest result on N(0, 1) inputs"
        )
        if self.bound == "none":
            return f"no bound is met: {text}"
        return f"the bound of '{self.bound}' is met: {text}"
