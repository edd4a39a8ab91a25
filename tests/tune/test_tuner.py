"""The tuner with fakes: it finds the best, keeps everything, and survives what runners do."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tcomp.autotune.measurement import Measurement, Task
from tcomp.autotune.search import Search
from tcomp.autotune.tuner import FINALISTS, Contest, tune

TASK = Task("def f() -> y: f32:\n    y = 1\n", 1, "standard")


class Squares:
    """Pairs of small numbers; the fastest is (5, 3)."""

    def sample(self, rng: random.Random) -> tuple[int, int]:
        return rng.randrange(8), rng.randrange(8)

    def neighbours(self, schedule: tuple[int, int]) -> Iterable[tuple[int, int]]:
        a, b = schedule
        moved = ((a - 1, b), (a + 1, b), (a, b - 1), (a, b + 1))
        return [(x, y) for x, y in moved if 0 <= x < 8 and 0 <= y < 8]


class FakeRunner:
    def __init__(self, answer: Any = None) -> None:
        self.answer, self.calls, self.closed = answer, 0, False

    def measure(self, task: Task, trace: Any, limit: float) -> Measurement:
        self.calls += 1
        if self.answer is not None:
            result = self.answer(trace, self.calls)
            if result is not None:
                return result  # type: ignore[no-any-return]
        a, b = trace
        return Measurement((1.0 + (a - 5) ** 2 + (b - 3) ** 2,))

    def race(self, task: Task, traces: Sequence[Any], limit: float) -> list[Measurement]:
        return [self.measure(task, trace, limit) for trace in traces]

    def close(self) -> None:
        self.closed = True


def contest(seed: int = 0) -> tuple[Contest[tuple[int, int]], list[Measurement]]:
    kept: list[Measurement] = []
    search = Search(Squares(), lambda pool: [0.0] * len(pool), (0, 0), seed)
    return Contest("w", TASK, search, list, lambda pairs: kept.extend(m for _, m in pairs)), kept


def test_the_best_is_found_and_everything_is_kept() -> None:
    one, kept = contest()
    runner = FakeRunner()
    outcome = tune([one], runner, seconds=None, trials=64)
    assert one.best == (5, 3)
    assert len(kept) == runner.calls
    assert outcome.trials <= 64
    assert runner.closed
    assert one.gain == pytest.approx(35.0)


def test_no_candidate_is_measured_twice() -> None:
    one, _ = contest()
    seen: list[Any] = []
    tune([one], FakeRunner(lambda t, n: seen.append(tuple(t))), seconds=None, trials=60)
    assert len(set(seen)) >= len(seen) - FINALISTS  # which are timed once more, in turns


def test_the_same_seed_gives_the_same_trials() -> None:
    histories = []
    for _ in range(2):
        one, _ = contest(seed=7)
        tune([one], FakeRunner(), seconds=None, trials=20)
        histories.append(one.history)
    assert histories[0] == histories[1]


def test_failures_cost_their_candidate_only() -> None:
    def sometimes(trace: Any, n: int) -> Measurement | None:
        return Measurement((), "crash", "status -11") if n % 3 == 0 else None

    one, kept = contest()
    tune([one], FakeRunner(sometimes), seconds=None, trials=60)
    assert 5 < one.failures <= sum(not m.ok for m in kept)
    assert one.best_seconds <= 2.0


def test_a_budget_of_zero_measures_nothing() -> None:
    one, _ = contest()
    runner = FakeRunner()
    assert tune([one], runner, seconds=0.0).trials == 0
    assert tune([one], FakeRunner(), seconds=None, trials=0).trials == 0
    assert runner.closed


def test_interruption_keeps_what_was_measured() -> None:
    def interrupted(trace: Any, n: int) -> None:
        if n == 5:
            raise KeyboardInterrupt

    one, kept = contest()
    runner = FakeRunner(interrupted)
    outcome = tune([one], runner, seconds=None)
    assert outcome.interrupted
    assert len(kept) == 4
    assert one.best is not None
    assert runner.closed


def test_a_lucky_winner_is_found_out() -> None:
    """The first schedule was measured on a busy machine; measured again it is the fastest."""

    def busy_at_first(trace: Any, n: int) -> Measurement | None:
        if tuple(trace) == (0, 0):
            return Measurement((9.0 if n == 1 else 0.5,))
        return None

    one, kept = contest()
    tune([one], FakeRunner(busy_at_first), seconds=None, trials=30)
    assert one.best == (0, 0)
    assert one.gain == 1.0
    assert min(m.seconds for m in kept[-FINALISTS:]) == (0.5,)


def test_what_is_known_from_before_is_tried_next() -> None:
    one, _ = contest()
    one.search.known = [(5, 2)]
    seen: list[Any] = []
    tune([one], FakeRunner(lambda t, n: seen.append(tuple(t))), seconds=None, trials=3)
    assert seen[:2] == [(0, 0), (5, 2)]


def test_a_race_decides_over_single_measurements() -> None:
    """Once it looked twice as fast; timed in turns it is no faster than the first."""

    def lucky_once(trace: Any, n: int) -> Measurement | None:
        return Measurement((0.5 if n <= 20 and tuple(trace) == (1, 0) else 1.0,))

    one, kept = contest()
    tune([one], FakeRunner(lucky_once), seconds=None, trials=20)
    assert one.best == (0, 0)
    assert one.gain == 1.0
    assert (0.5,) in [m.seconds for m in kept]


def test_when_everything_fails_there_is_no_best() -> None:
    one, _ = contest()
    always = FakeRunner(lambda t, n: Measurement((), "timeout", ""))
    tune([one], always, seconds=None)
    assert one.best is None
    assert one.done


def test_the_slow_workload_gets_most_of_the_time() -> None:
    slow, _ = contest(1)
    fast, _ = contest(2)
    fast.weight, slow.weight = 0.01, 1.0
    tune([fast, slow], FakeRunner(), seconds=None, trials=20)
    assert slow.trials > fast.trials >= 1
