"""Schedule traces: an ordered list of named decisions with integers.

A trace is all that is decided about one group; replaying it gives the same loop nest. It is plain data:
stored, hashed, mutated and explained without knowledge of what the names mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trace:
    """Decisions about one group. `kind` is the schedule class that replays them.

    >>> trace = Trace("nest", (("Y.lanes", 16), ("parallel", 1)))
    >>> Trace.from_json(trace.to_json()) == trace
    True
    """

    kind: str
    decisions: tuple[tuple[str, int], ...]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.decisions)

    def __getitem__(self, name: str) -> int:
        """The value of a decision. Raises KeyError where it was not made."""
        for known, value in self.decisions:
            if known == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: int) -> int:
        """The value of a decision, or the default."""
        return next((value for known, value in self.decisions if known == name), default)

    def replaced(self, name: str, value: int) -> Trace:
        """The trace with one decision changed. Raises KeyError where it was not made."""
        self[name]
        return Trace(self.kind, tuple((n, value if n == name else v) for n, v in self.decisions))

    def to_json(self) -> str:
        """One line of JSON, keys in the order of decision."""
        return json.dumps({"kind": self.kind, "decisions": dict(self.decisions)})

    @staticmethod
    def from_json(text: str) -> Trace:
        """The trace written by `to_json`. Raises ValueError for anything else."""
        data = json.loads(text)
        if not isinstance(data, dict) or not isinstance(data.get("decisions"), dict):
            raise ValueError("not a schedule trace")
        return trace(str(data.get("kind")), data["decisions"].items())


def trace(kind: str, decisions: Iterable[tuple[str, int]]) -> Trace:
    """A trace of named integers. Raises ValueError for a value that is none, or a name used twice."""
    pairs = tuple(decisions)
    for name, value in pairs:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"decision {name!r} is not an integer: {value!r}")
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a decision is made twice")
    return Trace(kind, pairs)
