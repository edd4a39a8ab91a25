"""What a form of a program should take: estimates of its kernels, corrected by what races on record say.

It orders the forms that are to be measured, no more, and only where it orders unseen programs better than the
estimates do (`tools/form_ranking.py` shows both). `compile` does not use it: reading a hundred forms takes a second.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tcomp import schedule
from tcomp.autotune.database import Database
from tcomp.autotune.forms import CLASS, MOST_STEPS
from tcomp.autotune.workload import read_text
from tcomp.cost_model.correction import Correction, Kernels, Prediction, Timed, learn
from tcomp.cost_model.features import features
from tcomp.diagnostics import Error
from tcomp.passes.derivation import call_cost
from tcomp.passes.derivation.estimate import Known, cycles
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.proof import replay_steps
from tcomp.pipeline import machine_of, planned

if TYPE_CHECKING:
    from tcomp.autotune.record import Record
    from tcomp.ir.tensor.nodes import Program
    from tcomp.options import Options

MOST_EXAMPLES = 160  # forms that are learned from, about two seconds

logger = logging.getLogger("tcomp")


@dataclass(frozen=True)
class Forecast:
    """A correction for one machine and number of threads."""

    correction: Correction
    options: Options

    def of(self, program: Program, form: Program, constants: frozenset[str]) -> Prediction:
        """What a form of a program should take, in seconds."""
        return self.correction.predict(kernels_of(program, form, constants, self.options))


def forecast_from(options: Options, most: int = MOST_EXAMPLES) -> Forecast | None:
    """Learned from the latest races in the database; None where it holds too few, or where the estimates order
    unseen programs as well."""
    correction = learn(timed_forms(options, most))
    if correction is None or not correction.helps:
        return None
    return Forecast(correction, options)


def timed_forms(options: Options, most: int = MOST_EXAMPLES) -> list[Timed]:
    """The forms that were timed for this target and number of threads, those timed last first."""
    found = []
    for record in _races(options)[:most]:
        try:
            found.append(_timed(record, options))
        except Error as error:  # of a version with other rules, or another language
            logger.info("a form on record could not be read: %s", error)
    return found


def kernels_of(
    program: Program, form: Program, constants: frozenset[str], options: Options
) -> Kernels:
    """The kernels that a form is planned as, with analytical schedules."""
    _, _, plan = planned(program, form, constants)
    machine = machine_of(options)
    traces = schedule.analytical(plan, options.target, options.threads)
    rows, estimates = [], []
    for group, trace in zip(plan.groups, traces, strict=True):
        known = Known(frozenset(group.constants), frozenset(group.scratch), machine)
        estimates.append(sum(cycles(d, known) for d in group.members))
        rows.append(features(group, [trace], options.target, options.threads)[0])
    # The judge of whole programs knows what is handed on between kernels.
    scale = call_cost(form, constants, machine) / max(sum(estimates), 1.0)
    return Kernels(np.asarray(rows, np.float32), tuple(scale * e for e in estimates))


def _races(options: Options) -> list[Record]:
    from tcomp.autotune.lookup import make_key

    key = make_key("", CLASS, options)
    records = Database(options.database).records(
        target=key.target, threads=key.threads, schedule_class=CLASS
    )
    good = [r for r in records if r.seconds and isinstance(r.trace, list) and len(r.trace) <= MOST_STEPS]  # fmt: skip
    return sorted(good, key=lambda r: (-r.time, r.id))


def _timed(record: Record, options: Options) -> Timed:
    program, bound = read_text(record.program)
    steps = replay_steps(program, record.trace)
    form = steps[-1].program if steps else normal_form(program)
    names = frozenset(t.name for t in bound)
    return Timed(record.key.workload, kernels_of(program, form, names, options), record.best)
