"""What measuring a candidate gives, and who measures: the runner's interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Measurement:
    """Samples of one call each, in seconds, or what went wrong.

    Error classes: `build` (no code), `crash` (the process died), `timeout`, `wrong` (another result than
    the reference), `fault` (a status other than success), `worker` (the runner itself).
    """

    seconds: tuple[float, ...] = ()
    error_class: str = ""
    error_text: str = ""
    build_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return bool(self.seconds)


@dataclass(frozen=True, slots=True)
class Task:
    """One program's text, for which schedules, or forms of it, compete.

    Forms get the schedules on record in `database` ("" is the user's), and analytical ones where it is None.
    """

    program: str
    threads: int
    accuracy: str
    seed: int = 0
    database: str | None = None


class Runner(Protocol):
    """Measures candidates of a task. Each call may fail in any way; none may take the tuner down."""

    def measure(self, task: Task, trace: Any, limit: float) -> Measurement:
        """Builds, checks and times one schedule; `limit` is in seconds for all of it."""
        ...

    def race(self, task: Task, traces: Sequence[Any], limit: float) -> list[Measurement]:
        """Builds and checks schedules, then times them in turns, so that their figures compare."""
        ...

    def close(self) -> None:
        """Lets go of processes and memory."""
        ...
