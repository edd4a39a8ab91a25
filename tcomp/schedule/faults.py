"""The faults that a module's checks report: what to tell the user, numbered from 1."""

from __future__ import annotations


class Faults:
    """Collects messages; equal messages share a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, message: str) -> int:
        """The fault number (> 0) of a message."""
        return self._numbers.setdefault(message, len(self._numbers) + 1)

    def table(self) -> tuple[str, ...]:
        """Messages in order: fault n is entry n - 1."""
        return tuple(self._numbers)
