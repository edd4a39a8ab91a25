"""What a user's mistake looks like: a code, a place, a cause and a remedy.

`CompileError`, `BindingError` and `InternalError` are the only exceptions that leave the package on
purpose. The catalogue of codes with their explanations is in `tcomp.explanations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open place in a source text. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str = ""  # the whole source line(s) from `line` to `end_line`

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def excerpt(self) -> str:
        """The first source line with the place marked by carets."""
        first = self.text.split("\n", 1)[0]
        end = self.end_column if self.end_line == self.line else len(first) + 1
        marks = "".join(c if c == "\t" else " " for c in first[: self.column - 1])
        number = str(self.line)
        gutter = " " * len(number)
        return f" {number} | {first}\n {gutter} | {marks}{'^' * max(1, end - self.column)}"


class Error(Exception):
    """Base of every error that tcomp raises on purpose.

    Attributes: `message`, `code` (`TC0xx`, see `tcomp explain-error`), `span` (or None), `hint` (or "").
    """

    def __init__(
        self, message: str, *, code: str, span: Span | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.span = span
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.span}: " if self.span else ""
        parts = [f"{place}{self.code}: {self.message}"]
        if self.span and self.span.text:
            parts.append(self.span.excerpt())
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


class CompileError(Error):
    """The program is wrong: syntax, names, ranges, types, or sizes that do not fit."""


class BindingError(Error, TypeError, ValueError):
    """The arguments of a call do not fit the program's signature."""


class InternalError(Error):
    """tcomp itself is wrong. The message says how to report it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known name, or "" where none is close."""
    candidates = list(known)
    other_case = [k for k in candidates if k.casefold() == name.casefold()]
    close = other_case or get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
