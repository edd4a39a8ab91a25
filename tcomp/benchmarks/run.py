"""Runs a suite: one workload after the other, each result kept at once, so that a run can be taken up again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tcomp.benchmarks import results
from tcomp.benchmarks.measure import Settings, failed, prepare, race
from tcomp.benchmarks.results import Result
from tcomp.benchmarks.workload import Suite, Workload
from tcomp.diagnostics import BindingError, Error


@dataclass(frozen=True, slots=True)
class Progress:
    """After a workload: how many of how many are done, and about how many seconds are left."""

    done: int
    total: int
    result: Result
    seconds_left: float


def run(
    suite: Suite, workloads: Sequence[Workload], settings: Settings, output: Path | None = None
) -> Iterator[Progress]:
    """Measures workloads. With `output` every result is added to that file as soon as there is one."""
    start = time.monotonic()
    for number, workload in enumerate(workloads, start=1):
        try:
            result = race(prepare(suite, workload, settings))
        except Error as problem:  # ours, for one workload: the others still count
            result = failed(suite, workload, settings, str(problem))
        if output is not None:
            results.append(output, result)
        left = (time.monotonic() - start) / number * (len(workloads) - number)
        yield Progress(number, len(workloads), result, left)


def measured_before(output: Path, suite: Suite, threads: int) -> list[Result]:
    """What a file has of a suite, on as many threads. Raises BindingError for a file that has other things."""
    if not output.exists():
        return []
    kept, bad = results.read(output)
    if bad:
        raise BindingError(
            f"{output}: {bad} lines are no results of this version",
            code="TC092",
            hint="name another file with --output",
        )
    return [r for r in kept if r.suite == suite.name and r.threads == threads]
