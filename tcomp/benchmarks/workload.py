"""Workloads and suites: what is timed, where it comes from, and what speed is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcomp.benchmarks.operations import Operation


@dataclass(frozen=True, slots=True)
class Workload:
    """An operation as a network performs it.

    `kind` names the class whose target ratio holds; `source` the network or the paper it was taken from.
    """

    source: str
    kind: str
    operation: Operation
    accuracy: str = "standard"

    @property
    def name(self) -> str:
        """Unique within a suite."""
        accuracy = "" if self.accuracy == "standard" else f" {self.accuracy}"
        return f"{self.source} {self.operation.label}{accuracy}"


@dataclass(frozen=True, slots=True)
class Suite:
    """Workloads that are measured together.

    `peers` are compared with by default. `targets` are the least ratios asked, by (kind, accuracy) or by
    kind alone.
    """

    name: str
    title: str
    workloads: tuple[Workload, ...]
    peers: tuple[str, ...]
    targets: dict[str | tuple[str, str], float]

    def target(self, kind: str, accuracy: str) -> float | None:
        return self.targets.get((kind, accuracy), self.targets.get(kind))

    def chosen(self, words: Iterable[str]) -> tuple[Workload, ...]:
        """The workloads whose name, kind or source has one of `words` in it; all of them without words."""
        wanted = [w.lower() for w in words]
        return tuple(
            w
            for w in self.workloads
            if not wanted or any(s in f"{w.name} {w.kind}".lower() for s in wanted)
        )
