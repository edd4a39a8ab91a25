"""Races of forms: the program as written and its most promising derivations, timed in turns in a child process.

Estimates order forms well enough to find the few that are worth a measurement; which of those is the fastest, the
clock says. What it said is a record of the tuning database, and `compile` follows it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcomp.autotune.forms import form_text, keep_forms, trace_of
from tcomp.autotune.measurement import Measurement, Runner, Task
from tcomp.autotune.runner import ProcessRunner
from tcomp.autotune.tuner import CANDIDATE_SECONDS, NEAR, winner
from tcomp.passes.derivation import Derivation, Measured, candidates_holding, contenders
from tcomp.pipeline import machine_of, searched

if TYPE_CHECKING:
    from tcomp.forecast import Forecast
    from tcomp.ir.tensor.nodes import Program
    from tcomp.options import Options

MOST_FORMS = 4  # beside the program as written
POOL = 3  # times as many are ordered


@dataclass(frozen=True, slots=True)
class Form:
    """A form in a race: its rules, what it should cost beside the program as written, and what it took."""

    rules: tuple[str, ...]
    estimate: float
    measurement: Measurement

    @property
    def seconds(self) -> float:
        """The best sample; infinity for a form that failed."""
        return min(self.measurement.seconds, default=float("inf"))


@dataclass(frozen=True, slots=True)
class Race:
    """A race and its forms, the program as written first."""

    derivations: tuple[Derivation, ...]
    forms: tuple[Form, ...]

    @property
    def chosen(self) -> int:
        """The number of the fastest form; the program as written stays where none is clearly faster."""
        return winner([f.seconds for f in self.forms], 0)

    @property
    def near(self) -> Derivation | None:
        """The next fastest form, if schedules may make it the fastest."""
        order = sorted(range(len(self.forms)), key=lambda n: self.forms[n].seconds)
        second = next((n for n in order if n != self.chosen), None)
        limit = NEAR * self.forms[self.chosen].seconds
        if second is None or not self.forms[second].seconds <= limit:
            return None
        return self.derivations[second]

    @property
    def makes(self) -> tuple[str, ...]:
        """The results of the program, or of the part of one, whose forms raced."""
        return tuple(t.name for t in self.derivations[0].source.results)

    def __str__(self) -> str:
        form, written = self.forms[self.chosen], self.forms[0]
        if not form.measurement.ok:
            return f"measured: none of {len(self.forms)} forms, {form.measurement.error_text}"
        gain = written.seconds / form.seconds if written.measurement.ok else None
        return Measured(len(self.forms), gain).told(form.rules)

    def to_json(self) -> list[dict[str, Any]]:
        """The same as plain data."""
        return [
            {
                "makes": list(self.makes),
                "rules": list(form.rules),
                "estimate": form.estimate,
                "seconds": form.seconds if form.measurement.ok else None,
                "error": form.measurement.error_text,
                "chosen": number == self.chosen,
            }
            for number, form in enumerate(self.forms)
        ]


def process_runner() -> ProcessRunner:
    """The runner of forms: a child process that builds, checks and times whole programs."""
    return ProcessRunner([sys.executable, "-m", "tcomp.race_worker"])


def candidates(
    program: Program,
    options: Options,
    constants: frozenset[str],
    most: int = MOST_FORMS,
    forecast: Forecast | None = None,
) -> tuple[Derivation, ...]:
    """A program of one part as written, and the derivations of it that hold and are worth a measurement: the
    first choice of the estimates, then what the `forecast` likes best of their next ones, or they themselves."""
    found = searched(program, options.accuracy, constants, machine=machine_of(options))
    pool = contenders(found, POOL * most)
    if forecast is not None and len(pool) > most:
        pool[1:] = sorted(
            pool[1:], key=lambda c: forecast.of(program, c.program, constants).seconds
        )
    held = candidates_holding(found, options.accuracy, most, pool)
    return (found.without_steps(), *held)


def race(
    derivations: Sequence[Derivation],
    options: Options,
    constants: frozenset[str],
    runner: Runner,
    *,
    tuned: bool = False,
    seed: int = 0,
) -> Race:
    """Times forms of one program with their analytical schedules, or with those on record where they are
    `tuned`, and keeps the result in the database."""
    program = derivations[0].source
    task = Task(
        form_text(program, constants),
        options.threads,
        options.accuracy,
        seed,
        str(options.database or "") if tuned else None,
    )
    traces = [trace_of(d.steps) for d in derivations]
    measured = runner.race(task, traces, CANDIDATE_SECONDS * len(traces))
    keep_forms(
        program,
        constants,
        options,
        [(d.steps, m) for d, m in zip(derivations, measured, strict=True)],
    )
    return Race(
        tuple(derivations),
        tuple(
            Form(tuple(s.rule for s in d.steps), d.cost_after / d.cost_before, m)
            for d, m in zip(derivations, measured, strict=True)
        ),
    )
