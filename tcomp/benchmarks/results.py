"""What was measured of a workload, as it is kept: one JSON object a line."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1  # of the lines
OURS, OURS_OUT, OURS_TUNED = "tcomp", "tcomp, into out", "tcomp, tuned"


@dataclass(frozen=True, slots=True)
class Standing:
    """One contender. `samples` are seconds of a call, one a round; none where `note` says why.

    `difference` is the largest one to the reference, relative to the largest value.
    """

    name: str
    mode: str
    samples: tuple[float, ...]
    difference: float | None = None
    note: str = ""

    @property
    def best(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def counts(self) -> bool:
        """Whether its times may be compared: measured, and right."""
        return bool(self.samples) and not self.note.startswith("wrong")


@dataclass(frozen=True, slots=True)
class Result:
    """A workload measured once. `peak` in operations and `bandwidth` in bytes per second, of the same rounds.

    `facts` are what else there is to tell, such as the rules that a derivation used.
    """

    suite: str
    workload: str
    source: str
    kind: str
    accuracy: str
    threads: int
    standings: tuple[Standing, ...]
    operations: float
    bytes: float
    peak: float
    bandwidth: float
    when: str
    machine: dict[str, Any]
    versions: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)

    def standing(self, name: str) -> Standing | None:
        return next((s for s in self.standings if s.name == name), None)

    @property
    def ours(self) -> Standing | None:
        """Our time where it counts: into the caller's memory, as peers have their outputs bound."""
        candidates = [s for s in map(self.standing, (OURS, OURS_OUT)) if s is not None and s.counts]
        return min(candidates, key=lambda s: s.best, default=None)

    @property
    def peers(self) -> list[Standing]:
        return [s for s in self.standings if not s.name.startswith(OURS)]

    @property
    def best_peer(self) -> Standing | None:
        return min((s for s in self.peers if s.counts), key=lambda s: s.best, default=None)

    @property
    def ratio(self) -> float | None:
        """The best peer's minimum over ours; None where either has no time."""
        ours, peer = self.ours, self.best_peer
        return None if ours is None or peer is None else peer.best / ours.best

    @property
    def limit(self) -> float:
        """Seconds that the machine needs at least for the work as defined, by multiply-adds in f32 or bytes."""
        return max(self.operations / self.peak, self.bytes / self.bandwidth)

    @property
    def share(self) -> float | None:
        """Of the machine's limit; over 1 where an algorithm or a narrow type saves work."""
        return None if self.ours is None else self.limit / self.ours.best

    @property
    def analytical_share(self) -> float | None:
        """How near the schedule without measuring comes to the best on record; None where nothing was tuned."""
        ours, tuned = self.standing(OURS_OUT), self.standing(OURS_TUNED)
        if ours is None or tuned is None or not (ours.counts and tuned.counts):
            return None
        return min(1.0, tuned.best / ours.best)


def append(path: Path, result: Result) -> None:
    """Adds a line at once, so that nothing measured is lost."""
    line = json.dumps({"version": VERSION, **asdict(result)})
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read(path: Path) -> tuple[list[Result], int]:
    """The results of a file in the order of measuring, and how many lines were no such thing."""
    results, bad = [], 0
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            results.append(_result(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError):
            bad += 1
    return results, bad


def _result(facts: dict[str, Any]) -> Result:
    if facts.pop("version") != VERSION:
        raise ValueError("another version of the format")
    standings = tuple(
        Standing(**{**s, "samples": tuple(map(float, s["samples"]))}) for s in facts["standings"]
    )
    return Result(**{**facts, "standings": standings})


def repeated(results: Iterable[Result]) -> dict[tuple[str, str], list[Result]]:
    """Results of the same workload together, under (suite, workload)."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result.suite, result.workload), []).append(result)
    return found
