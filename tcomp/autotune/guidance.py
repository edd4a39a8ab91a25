"""What orders candidates: the learned ranker once there is something to learn from, the prior before.

The ranker is trained on the database's other workloads, and again as measurements of this one come in.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tcomp.cost_model.features import features
from tcomp.cost_model.prior import estimates
from tcomp.cost_model.ranker import Example, Ranker, train
from tcomp.ir.plan import Group
from tcomp.schedule.trace import Trace
from tcomp.target import Target

RETRAIN_EVERY = 16  # measurements


@dataclass
class Guidance:
    """Ranks the schedules of one group."""

    group: Group
    target: Target
    threads: int
    seed: int = 0
    others: Sequence[Example] = ()
    _measured: dict[Trace, float] = field(default_factory=dict)
    _model: Ranker | None = None
    _trained_on: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._model = train(self.others)

    def learn(self, measured: Sequence[tuple[str, float]]) -> None:
        """Takes in traces with their seconds; those of another shape are ignored."""
        for text, seconds in measured:
            try:
                trace = Trace.from_json(text)
            except ValueError:
                continue
            self._measured[trace] = min(seconds, self._measured.get(trace, seconds))

    def rank(self, traces: Sequence[Trace]) -> Sequence[float]:
        """Smaller for schedules expected to be faster."""
        if len(self._measured) >= self._trained_on + RETRAIN_EVERY:
            self._train()
        if self._model is None:  # the prior leaves many schedules equal: chance decides among those
            guesses = estimates(self.group, traces, self.target, self.threads)
            return [guess * (1 + 0.1 * self._rng.random()) for guess in guesses]
        rows = features(self.group, traces, self.target, self.threads)
        return [float(s) for s in self._model.score(rows)]

    def _train(self) -> None:
        traces = list(self._measured)
        rows = features(self.group, traces, self.target, self.threads)
        seconds = np.asarray([self._measured[t] for t in traces])
        self._model = train([*self.others, Example(rows, seconds)]) or self._model
        self._trained_on = len(traces)
