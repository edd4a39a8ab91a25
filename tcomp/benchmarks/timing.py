"""Times contenders side by side (product.md section 5): interleaved rounds, warm, minimum and median."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

ROUNDS = 15  # the fewest
SHORTEST_SAMPLE = 1e-3  # seconds; quicker calls are repeated within a sample
LONGEST_REPEAT = 1000
# Worker threads of most libraries stay awake for a while after their last work (OpenBLAS about 25 ms, ONNX Runtime's
# spin 2^20 times), and hold a core that the next contender needs: our matmul on two cores took 14.3 ms right behind
# OpenBLAS, 11.3 ms after a pause. Settings that put them to sleep at once would slow their owners down instead.
_REST_STEP = 5e-3  # seconds
_REST_LIMIT = 0.25
# A sleeping thread may be scheduled only milliseconds after it is woken, a virtual processor above all.
_WARM = 5e-3  # seconds of calls before a sample
_SLOW = 0.05  # seconds of a call that gains nothing from being warmed up, nor from being repeated
_AWAKE = 0.2  # share of a step that this process may still be computing


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

    Every sample begins when the threads of the one before sleep, and with calls that are not timed unless calls
    are slow; the order rotates from round to round. So nobody pays for caches, frequency or threads that always
    the same other one left behind.
    """
    samples: list[list[float]] = [[] for _ in contenders]
    with uncollected():
        quick = [estimate(c) < _SLOW for c in contenders]
        repeats = [_repeats(c) if q else 1 for c, q in zip(contenders, quick, strict=True)]
        deadline = time.perf_counter() + budget
        while len(samples[0]) < ROUNDS or time.perf_counter() < deadline:
            first = len(samples[0]) % len(contenders)
            for n in (*range(first, len(contenders)), *range(first)):
                rest()
                if quick[n]:
                    _warm(contenders[n])
                samples[n].append(_sample(contenders[n], repeats[n]))
    return [Timing(c.name, tuple(s)) for c, s in zip(contenders, samples, strict=True)]


def estimate(contender: Contender) -> float:
    """Seconds of one call, from a few; what warms it up."""
    rest()
    once = min(_sample(contender, 1) for _ in range(2))
    if once > _SLOW:
        return once
    repeat = _repeats(contender)
    return min(_sample(contender, repeat) for _ in range(3))


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's garbage collector, whose work would fall on whoever is at it."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def rest() -> None:
    """Waits until the threads of this process are asleep, a quarter of a second at most."""
    deadline = time.perf_counter() + _REST_LIMIT
    while time.perf_counter() < deadline:
        start, used = time.perf_counter(), time.process_time()
        time.sleep(_REST_STEP)
        if time.process_time() - used < _AWAKE * (time.perf_counter() - start):
            return


def _repeats(contender: Contender) -> int:
    """How often to call within a sample; the calls made here warm caches, pages and threads."""
    _sample(contender, 2)
    once = min(_sample(contender, 1) for _ in range(3))
    return max(1, min(LONGEST_REPEAT, round(SHORTEST_SAMPLE / max(once, 1e-9))))


def _warm(contender: Contender) -> None:
    deadline = time.perf_counter() + _WARM
    contender.call()
    while time.perf_counter() < deadline:
        contender.call()


def _sample(contender: Contender, repeat: int) -> float:
    call = contender.call
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def limit_threads(threads: int) -> None:
    """Gives this process `threads` processors, and the libraries of peers as many threads.

    Must run before NumPy is imported: its libraries read the variables once.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    # Another processor's kernels: 1024 cubed takes 8.6 ms with them, 4.5 with its own.
    os.environ.pop("OPENBLAS_CORETYPE", None)
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) > threads:
            os.sched_setaffinity(0, allowed[:threads])
