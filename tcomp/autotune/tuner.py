"""Tuning: for each workload of a program, schedules are proposed, measured, and the best is kept.

The analytical schedule is measured first and stays in the race, so a tuned program is never slower than
the untuned one by more than noise. The time goes where it promises most: the workload that takes the
largest share of the program's time and improved most recently gets the next candidate (a simple form of
Ansor's task scheduler). Every measurement is recorded before the next one begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tcomp.autotune.measurement import Measurement, Runner, Task
from tcomp.autotune.search import Search

T = TypeVar("T")

CANDIDATE_SECONDS = 10.0  # for building, checking and timing one schedule
PATIENCE = 24  # candidates without improvement after which a workload rests
MARGIN = 0.98  # a schedule must take less than this share of the best's time to replace it
FINALISTS = 4  # that are timed in turns in the end
NEAR = 1.1  # of the best's time, that others may take to be among them


@dataclass
class Contest(Generic[T]):
    """One workload while it is tuned.

    `encode` makes a schedule plain data; `record` keeps measurements: one, or those of a race, which compare.
    `weight` is how often the program runs the workload.
    """

    name: str
    task: Task
    search: Search[T]
    encode: Callable[[T], Any]
    record: Callable[[Sequence[tuple[T, Measurement]]], None]
    weight: float = 1.0
    best: T | None = None
    best_seconds: float = float("inf")
    first_seconds: float = float("inf")
    trials: int = 0
    failures: int = 0
    idle: int = 0
    done: bool = False
    history: list[float] = field(default_factory=list)

    @property
    def gain(self) -> float:
        """How much faster the best schedule is than the analytical one."""
        if self.best_seconds == float("inf") or self.first_seconds == float("inf"):
            return 1.0
        return self.first_seconds / self.best_seconds

    @property
    def urgency(self) -> tuple[bool, float]:
        """Larger is next: untried first, then expected time to be saved."""
        if not self.trials:
            return (True, self.weight)
        if self.best_seconds == float("inf"):
            return (False, 0.0)
        return (False, self.weight * self.best_seconds / (1 + self.idle))


@dataclass(frozen=True, slots=True)
class Progress:
    """What a watcher is told after each candidate."""

    name: str
    trials: int
    failures: int
    best_seconds: float
    first_seconds: float
    elapsed: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a tuning run. `interrupted` tells that the user stopped it; nothing measured is lost."""

    contests: tuple[Contest[Any], ...]
    seconds: float
    interrupted: bool = False

    @property
    def trials(self) -> int:
        return sum(c.trials for c in self.contests)


def tune(
    contests: Sequence[Contest[Any]],
    runner: Runner,
    *,
    seconds: float | None,
    trials: int | None = None,
    watch: Callable[[Progress], None] = lambda progress: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Measures until the seconds or the trials are used up, or nothing is left to try.

    A budget of zero measures nothing. Ctrl-C ends it early and keeps what was measured.
    """
    start = clock()
    interrupted = False
    total = 0
    try:
        while total < (trials if trials is not None else 1 << 62):
            left = float("inf") if seconds is None else seconds - (clock() - start)
            contest = _next(contests)
            if left <= 0 or contest is None:
                break
            limit = min(CANDIDATE_SECONDS, left) if contest.trials else CANDIDATE_SECONDS
            if not _step(contest, runner, limit):
                continue
            total += 1
            watch(
                Progress(
                    contest.name,
                    total,
                    sum(c.failures for c in contests),
                    contest.best_seconds,
                    contest.first_seconds,
                    clock() - start,
                    max(0.0, left),
                )
            )
        for contest in contests:
            _confirm(contest, runner)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        runner.close()
    return Outcome(tuple(contests), clock() - start, interrupted)


def _next(contests: Sequence[Contest[Any]]) -> Contest[Any] | None:
    waiting = [c for c in contests if not c.done]
    return max(waiting, key=lambda c: c.urgency) if waiting else None


def _step(contest: Contest[Any], runner: Runner, limit: float) -> bool:
    """Measures one candidate; False where there was none left."""
    schedule = contest.search.propose()
    if schedule is None:
        contest.done = True
        return False
    measurement = runner.measure(contest.task, contest.encode(schedule), limit)
    contest.record([(schedule, measurement)])
    contest.trials += 1
    if not measurement.ok:
        contest.failures += 1
        contest.idle += 1
    else:
        _improve(contest, schedule, min(measurement.seconds))
    contest.done = contest.idle >= PATIENCE
    return True


def _confirm(contest: Contest[Any], runner: Runner) -> None:
    """Times the analytical schedule and the fastest others in turns, and lets that decide: they were measured
    at different times, when the machine may have been busy with something else."""
    first = contest.search.first
    near = [t for s, t in contest.search.measured if s <= NEAR * contest.best_seconds]
    finalists = list(dict.fromkeys((first, *near)))[:FINALISTS]
    if len(finalists) == 1 or contest.best is None:
        return
    encoded = [contest.encode(t) for t in finalists]
    measurements = runner.race(contest.task, encoded, CANDIDATE_SECONDS * len(finalists))
    standing = list(zip(finalists, measurements, strict=True))
    contest.record(standing)
    seconds = [min(m.seconds, default=float("inf")) for m in measurements]
    if min(seconds) == float("inf"):
        return
    number = winner(seconds, 0)
    contest.best, contest.best_seconds = finalists[number], seconds[number]
    if measurements[0].ok:
        contest.first_seconds = seconds[0]


def winner(seconds: Sequence[float], first: int) -> int:
    """The fastest, by its number; but the first where nothing is clearly faster."""
    best = min(range(len(seconds)), key=seconds.__getitem__)
    return first if seconds[best] >= MARGIN * seconds[first] else best


def _improve(contest: Contest[Any], schedule: Any, seconds: float) -> None:
    contest.search.tell(schedule, seconds)
    contest.history.append(seconds)
    if contest.trials == 1:
        contest.first_seconds = seconds
    if seconds < contest.best_seconds * MARGIN or contest.best is None:
        contest.best, contest.best_seconds = schedule, seconds
        contest.idle = 0
    else:
        contest.idle += 1
