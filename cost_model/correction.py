"""What estimates of whole programs get wrong, learned from forms that were timed.

A program's estimate is the sum over its kernels. A race tells what the sum took; each kernel of it is an example
whose factor is that of the sum, with its share as weight. Trees learn the logarithm of the factor from the
features of the kernel (`features.py`) and the estimate itself, so that without examples the estimate stands. Several
of them, each trained on other programs, tell how sure that is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import xgboost

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
MIN_FORMS, MIN_PROGRAMS = 40, 10  # with fewer the estimate alone orders as well
MEMBERS = 5
_ROUNDS = 60
_PARAMETERS: dict[str, Any] = {
    "objective": "reg:squarederror",
    "max_depth": 5,
    "eta": 0.1,
    "subsample": 0.9,
    "lambda": 1.0,
    "nthread": 2,
}


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of a form: features with their analytical schedules, and the estimate of each."""

    rows: Rows
    estimates: tuple[float, ...]

    @property
    def inputs(self) -> Rows:
        """What the trees see: a row for each kernel."""
        logs = np.asarray([[log2(max(e, 1.0))] for e in self.estimates], np.float32)
        return np.concatenate([self.rows, logs], axis=1)


@dataclass(frozen=True, slots=True)
class Timed:
    """A form with the time that it took. `program` tells forms of one program from those of others."""

    program: str
    kernels: Kernels
    seconds: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Seconds of a form; `low` and `high` are where most of the trained models lie."""

    seconds: float
    low: float
    high: float

    def below(self, other: Prediction) -> bool:
        """Whether the form is faster than another one beyond what the models disagree about."""
        return self.high < other.low


@dataclass(frozen=True)
class Correction:
    """The trained models. `mean` is the logarithm of seconds for a unit of the estimate, over all examples."""

    boosters: tuple[xgboost.Booster, ...]
    mean: float
    forms: int

    def predict(self, kernels: Kernels) -> Prediction:
        """The sum over a form's kernels of their estimates, corrected."""
        import xgboost

        data = xgboost.DMatrix(kernels.inputs)
        estimates = np.asarray(kernels.estimates)
        totals = np.asarray(
            [float(np.sum(estimates * 2.0 ** (self.mean + b.predict(data)))) for b in self.boosters]
        )
        logs = np.log2(np.maximum(totals, 1e-30))
        middle, spread = float(logs.mean()), float(logs.std())
        return Prediction(2.0**middle, 2.0 ** (middle - 2 * spread), 2.0 ** (middle + 2 * spread))


def learn(examples: Sequence[Timed], seed: int = 0) -> Correction | None:
    """A correction from timed forms; None where there are too few, or of too few programs."""
    programs = sorted({e.program for e in examples})
    if len(examples) < MIN_FORMS or len(programs) < MIN_PROGRAMS:
        return None
    import xgboost

    rows = np.concatenate([e.kernels.inputs for e in examples])
    label = np.concatenate([_factors(e) for e in examples])
    weight = np.concatenate([_shares(e) for e in examples])
    owner = np.repeat(
        [programs.index(e.program) for e in examples], [len(e.kernels.estimates) for e in examples]
    )
    mean = float(np.average(label, weights=weight))
    rng = random.Random(seed)
    boosters = []
    for member in range(MEMBERS):
        chosen = rng.choices(range(len(programs)), k=len(programs))
        drawn = np.bincount(chosen, minlength=len(programs))
        taken = drawn[owner] > 0
        data = xgboost.DMatrix(
            rows[taken], label=label[taken] - mean, weight=(weight * drawn[owner])[taken]
        )
        boosters.append(xgboost.train({**_PARAMETERS, "seed": member}, data, _ROUNDS))
    return Correction(tuple(boosters), mean, len(examples))


def _factors(example: Timed) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How many seconds a unit of the estimate took: the same for all kernels of a form, as a logarithm."""
    total = sum(example.kernels.estimates)
    return np.full(len(example.kernels.estimates), log2(example.seconds / max(total, 1e-30)))


def _shares(example: Timed) -> np.ndarray[Any, np.dtype[np.float64]]:
    estimates = np.asarray(example.kernels.estimates)
    shares: np.ndarray[Any, np.dtype[np.float64]] = estimates / max(float(estimates.sum()), 1e-30)
    return shares
