"""What estimates of whole programs get wrong, learned from forms that were timed.

A program's estimate is the sum over its kernels. A race tells what the sum took; each kernel of it is an example
whose factor is that of the sum, with its share as weight. Trees learn the logarithm of the factor from the
features of the kernel (`features.py`) and the estimate itself, so that without examples the estimate stands. Several
models are trained, each without a fifth of the programs: where they differ nothing is sure, and what they say of
programs that they have not seen tells whether they are better than the estimates at all.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import xgboost

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
MIN_FORMS, MIN_PROGRAMS = 40, 10  # with fewer the estimate alone orders as well
FOLDS = 5
TRIED = 2  # forms that an order is judged by: the fastest of the first so many
_ROUNDS = 60
_PARAMETERS: dict[str, Any] = {
    "objective": "reg:squarederror",
    "max_depth": 3,
    "eta": 0.1,
    "subsample": 0.9,
    "lambda": 1.0,
    "nthread": 1,
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
    """The trained models. `mean` is the logarithm of seconds for a unit of the estimate, over all examples.

    `unseen` is what they say of the examples, each by the model that has not seen its program; `regret` is that of
    this order (see the function), `plain_regret` that of the estimates' order.
    """

    boosters: tuple[xgboost.Booster, ...]
    mean: float
    unseen: tuple[float, ...]
    regret: float
    plain_regret: float

    @property
    def helps(self) -> bool:
        """Whether the corrected order is the better one."""
        return self.regret < self.plain_regret

    def predict(self, kernels: Kernels) -> Prediction:
        """The sum over a form's kernels of their estimates, corrected."""
        logs = np.log2([max(_total(b, self.mean, kernels), 1e-30) for b in self.boosters])
        middle, spread = float(logs.mean()), float(logs.std())
        return Prediction(2.0**middle, 2.0 ** (middle - 2 * spread), 2.0 ** (middle + 2 * spread))


def learn(examples: Sequence[Timed], seed: int = 0) -> Correction | None:
    """A correction from timed forms; None where there are too few, or of too few programs."""
    programs = sorted({e.program for e in examples})
    if len(examples) < MIN_FORMS or len(programs) < MIN_PROGRAMS:
        return None
    random.Random(seed).shuffle(programs)
    fold = {program: n % FOLDS for n, program in enumerate(programs)}
    mean = float(
        np.average(
            np.concatenate([_factors(e) for e in examples]),
            weights=np.concatenate([_shares(e) for e in examples]),
        )
    )
    boosters = tuple(
        _trained([e for e in examples if fold[e.program] != n], mean, seed) for n in range(FOLDS)
    )
    unseen = tuple(_total(boosters[fold[e.program]], mean, e.kernels) for e in examples)
    return Correction(
        boosters,
        mean,
        unseen,
        regret(examples, unseen),
        regret(examples, [sum(e.kernels.estimates) for e in examples]),
    )


def regret(examples: Sequence[Timed], guesses: Sequence[float], tried: int = TRIED) -> float:
    """The time of the fastest of those forms of a program that are guessed to be the first, beside that of the
    fastest of all: a geometric mean over programs."""
    first = itemgetter(0)  # of equal guesses the one that comes first
    forms: dict[str, list[tuple[float, float]]] = {}
    for example, guess in zip(examples, guesses, strict=True):
        forms.setdefault(example.program, []).append((guess, example.seconds))
    logs = [
        log2(min(s for _, s in sorted(known, key=first)[:tried]) / min(s for _, s in known))
        for known in forms.values()
    ]
    return float(2.0 ** (sum(logs) / max(1, len(logs))))


def _trained(examples: Sequence[Timed], mean: float, seed: int) -> xgboost.Booster:
    import xgboost

    data = xgboost.DMatrix(
        np.concatenate([e.kernels.inputs for e in examples]),
        label=np.concatenate([_factors(e) for e in examples]) - mean,
        weight=np.concatenate([_shares(e) for e in examples]),
    )
    return xgboost.train({**_PARAMETERS, "seed": seed}, data, _ROUNDS)


def _total(booster: xgboost.Booster, mean: float, kernels: Kernels) -> float:
    """What one model says of a form, in seconds."""
    import xgboost

    corrections = booster.predict(xgboost.DMatrix(kernels.inputs))
    return float(np.sum(np.asarray(kernels.estimates) * 2.0 ** (mean + corrections)))


def _factors(example: Timed) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How many seconds a unit of the estimate took: the same for all kernels of a form, as a logarithm."""
    total = sum(example.kernels.estimates)
    return np.full(len(example.kernels.estimates), log2(example.seconds / max(total, 1e-30)))


def _shares(example: Timed) -> np.ndarray[Any, np.dtype[np.float64]]:
    estimates = np.asarray(example.kernels.estimates)
    shares: np.ndarray[Any, np.dtype[np.float64]] = estimates / max(float(estimates.sum()), 1e-30)
    return shares
