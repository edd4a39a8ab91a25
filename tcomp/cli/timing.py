"""Times contenders side by side (product.md section 5): interleaved rounds, warm, minimum and median."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUNDS = 15  # the fewest
SHORTEST_SAMPLE = 1e-3  # seconds; quicker calls are repeated within a sample
LONGEST_REPEAT = 1000
# Before each sample, in seconds: OpenBLAS's threads stay awake for a while after their last work and hold a core
# that the next contender needs (our matmul on two cores, minima: 14.3 ms without a pause, 11.3 ms with this one).
PAUSE = 0.08


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to be timed; `call` does the work once."""

    name: str
    call: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call, one sample a round, in the order they were taken."""

    name: str
    samples: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


def interleave(contenders: Sequence[Contender], budget: float = 3.0) -> list[Timing]:
    """Runs all contenders in every round, for at least 15 rounds and then until `budget` seconds are spent.

    Every sample follows a pause and a call that is not timed, and the order rotates from round to round, so
    that nobody pays for caches, frequency or threads that always the same other one left behind.
    """
    repeats = [_calibrated(c) for c in contenders]
    samples: list[list[float]] = [[] for _ in contenders]
    collecting = gc.isenabled()
    gc.disable()
    try:
        deadline = time.perf_counter() + budget
        while len(samples[0]) < ROUNDS or time.perf_counter() < deadline:
            first = len(samples[0]) % len(contenders)
            for n in (*range(first, len(contenders)), *range(first)):
                time.sleep(PAUSE)
                contenders[n].call()
                samples[n].append(_sample(contenders[n], repeats[n]))
    finally:
        if collecting:
            gc.enable()
    return [Timing(c.name, tuple(s)) for c, s in zip(contenders, samples, strict=True)]


def _calibrated(contender: Contender) -> int:
    """How often to call within a sample; the calls made here warm caches, pages and threads."""
    _sample(contender, 2)
    once = min(_sample(contender, 1) for _ in range(3))
    return max(1, min(LONGEST_REPEAT, round(SHORTEST_SAMPLE / max(once, 1e-9))))


def _sample(contender: Contender, repeat: int) -> float:
    call = contender.call
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def limit_threads(threads: int) -> None:
    """Gives this process `threads` processors, and NumPy's BLAS as many threads.

    Must run before NumPy is imported: its libraries read the variables once.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) > threads:
            os.sched_setaffinity(0, allowed[:threads])
