"""The learned ranker: gradient-boosted trees that order schedules of one workload by speed.

Only the order within a workload matters to the search, so the objective is pairwise ranking (XGBoost's
LambdaMART; Chen and others found ranking better than regression for this, arXiv 1805.08166) and each
workload is a group. Models are stored in XGBoost's own JSON with a small header; nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tcomp.cost_model.features import FEATURES, VERSION
from tcomp.diagnostics import Error

if TYPE_CHECKING:
    import xgboost

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
MIN_SAMPLES = 48  # below this a model knows less than the analytical order
_PARAMETERS: dict[str, Any] = {
    "objective": "rank:pairwise",
    "max_depth": 6,
    "eta": 0.15,
    "subsample": 0.9,
    "lambda": 1.0,
    "min_child_weight": 1,
    "nthread": 2,
    "seed": 0,
}
_ROUNDS = 120


class ModelError(Error):
    """A model file that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Example:
    """Measured schedules of one workload: a row of features and the seconds of each."""

    rows: Rows
    seconds: np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Ranker:
    """A trained model. `score` is smaller for schedules that should be faster."""

    booster: xgboost.Booster
    samples: int
    workloads: int

    def score(self, rows: Rows) -> np.ndarray[Any, np.dtype[np.float32]]:
        """One number for each row of features of the same workload."""
        import xgboost

        predicted: np.ndarray[Any, np.dtype[np.float32]] = self.booster.predict(
            xgboost.DMatrix(rows)
        )
        return -predicted

    def importance(self) -> dict[str, float]:
        """The gain that each feature brought, as a share of the whole, largest first."""
        gains: dict[str, Any] = dict(self.booster.get_score(importance_type="total_gain"))
        total = sum(gains.values()) or 1.0
        named = {FEATURES[int(k[1:])].name: v / total for k, v in gains.items()}
        return dict(sorted(named.items(), key=lambda item: -item[1]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model; the file appears whole or not at all."""
        body = {
            "tcomp_model": 1,
            "features": VERSION,
            "samples": self.samples,
            "workloads": self.workloads,
            "booster": json.loads(self.booster.save_raw("json")),
        }
        temporary = Path(f"{path}.{os.getpid()}.part")
        temporary.write_text(json.dumps(body), encoding="utf-8")
        temporary.replace(path)


def train(examples: Sequence[Example]) -> Ranker | None:
    """A ranker from measurements; None where there are too few to learn from."""
    usable = [e for e in examples if len(e.seconds) >= 2]
    samples = sum(len(e.seconds) for e in usable)
    if samples < MIN_SAMPLES:
        return None
    import xgboost

    data = xgboost.DMatrix(
        np.concatenate([e.rows for e in usable]),
        label=np.concatenate([relevance(e.seconds) for e in usable]),
    )
    data.set_group([len(e.seconds) for e in usable])
    return Ranker(xgboost.train(_PARAMETERS, data, _ROUNDS), samples, len(usable))


def relevance(
    seconds: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """How good each schedule of a workload is: 31 for the fastest, falling with the logarithm of time."""
    slower = np.log2(seconds / seconds.min())
    grades: np.ndarray[Any, np.dtype[np.float32]] = (
        (31.0 - 8.0 * slower).clip(0).round().astype(np.float32)
    )
    return grades


def load(path: str | os.PathLike[str]) -> Ranker:
    """The model of a file. Raises ModelError for what is none, or is of other features."""
    import xgboost

    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}", code="TC097") from error
    except ValueError as error:
        raise ModelError(f"{path} is not a model: {error}", code="TC097") from error
    if not isinstance(body, dict) or body.get("tcomp_model") != 1:
        raise ModelError(f"{path} is not a model of tcomp", code="TC097")
    if body.get("features") != VERSION:
        raise ModelError(
            f"{path} was trained on features of version {body.get('features')}, this is {VERSION}",
            code="TC097",
            hint="train it again: tcomp model train",
        )
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(json.dumps(body["booster"]).encode()))
    except (KeyError, xgboost.core.XGBoostError) as error:
        raise ModelError(f"{path} is damaged: {error}", code="TC097") from error
    return Ranker(booster, int(body.get("samples", 0)), int(body.get("workloads", 0)))


@dataclass(frozen=True, slots=True)
class Quality:
    """How well an order finds fast schedules: `pairs` is the share of pairs ordered rightly, `top1`,
    `top8` the speed of the best among the first 1 and 8 beside the best of all (1 is perfect)."""

    pairs: float
    top1: float
    top8: float


def evaluate(ranker: Ranker, examples: Sequence[Example]) -> Quality:
    """Quality on measured workloads, averaged over them."""
    pairs, top1, top8 = [], [], []
    for example in examples:
        if len(example.seconds) < 2:
            continue
        order = np.argsort(ranker.score(example.rows), kind="stable")
        seconds = example.seconds[order]
        earlier, later = np.triu_indices(len(seconds), 1)
        pairs.append(float(np.mean(seconds[earlier] <= seconds[later])))
        best = seconds.min()
        top1.append(float(best / seconds[0]))
        top8.append(float(best / seconds[:8].min()))
    return Quality(*(float(np.mean(x)) if x else 0.0 for x in (pairs, top1, top8)))
