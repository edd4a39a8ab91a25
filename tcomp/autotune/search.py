"""Which schedule to try next: variations of the best so far, ranked by a model, some left to chance.

Most of a batch are the ranker's favourites; a share is random, because a ranker that sees only what it
likes never learns that it is wrong (the epsilon-greedy choice of AutoTVM, arXiv 1805.08166, and Ansor,
arXiv 2006.06762).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

EXPLORE = 0.15  # share of proposals that are random
PARENTS = 6  # measured schedules that are varied
POOL = 24  # variations ranked for one proposal


class Space(Protocol[T]):
    """The legal schedules of one workload."""

    def sample(self, rng: random.Random) -> T:
        """Any legal schedule."""
        ...

    def neighbours(self, schedule: T) -> Iterable[T]:
        """Legal schedules that differ from the given one in one decision, in a fixed order."""
        ...


Ranker = Callable[[Sequence[T]], Sequence[float]]


@dataclass
class Search(Generic[T]):
    """Proposes schedules of a space, none twice. Deterministic for a seed and a history.

    `rank` gives smaller numbers to schedules that it expects to be faster. `first` is proposed first, then
    those that are `known` to be good from before.
    """

    space: Space[T]
    rank: Ranker[T]
    first: T
    seed: int = 0
    known: Sequence[T] = ()
    proposed: set[T] = field(default_factory=set)
    measured: list[tuple[float, T]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)

    def propose(self) -> T | None:
        """The next schedule to measure; None where nothing new was found."""
        for schedule in (self.first, *self.known):
            if schedule not in self.proposed:
                return self._take(schedule)
        if self._rng.random() < EXPLORE:
            drawn = self._draw()
            if drawn is not None:
                return self._take(drawn)
        pool = self._variations()
        if not pool:
            drawn = self._draw()
            return None if drawn is None else self._take(drawn)
        scores = self.rank(pool)
        return self._take(pool[min(range(len(pool)), key=lambda n: (scores[n], n))])

    def tell(self, schedule: T, seconds: float) -> None:
        """What measuring a schedule gave; failures are not told."""
        self.measured.append((seconds, schedule))
        self.measured.sort(key=lambda pair: pair[0])

    def _take(self, schedule: T) -> T:
        self.proposed.add(schedule)
        return schedule

    def _draw(self) -> T | None:
        for _ in range(20):
            drawn = self.space.sample(self._rng)
            if drawn not in self.proposed:
                return drawn
        return None

    def _variations(self) -> list[T]:
        """New neighbours of the best schedules, best parents first."""
        parents = [schedule for _, schedule in self.measured[:PARENTS]] or [self.first]
        pool: dict[T, None] = {}
        for parent in parents:
            for neighbour in self.space.neighbours(parent):
                if neighbour not in self.proposed:
                    pool[neighbour] = None
            if len(pool) >= POOL:
                break
        found = list(pool)
        return found if len(found) <= POOL else self._rng.sample(found, POOL)
