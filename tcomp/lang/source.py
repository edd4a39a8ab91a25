"""A program's text, and where in it something stands."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from tcomp.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file. Syntax nodes hold offsets into it; `span` makes them lines and columns.

    `library` marks the standard library: mistakes that show inside it are reported at the user's call.
    """

    file: str
    text: str
    library: bool = False
    _starts: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    def span(self, start: int, end: int) -> Span:
        """The place of the characters `start` to `end` (exclusive); never empty at a line's end."""
        line, column = self.position(start)
        end_line, end_column = self.position(max(start, end))
        return Span(
            self.file,
            line + 1,
            column + 1,
            end_line + 1,
            end_column + 1,
            self.lines(line, end_line),
        )

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 0."""
        if not self._starts:
            self._starts.append(0)
            self._starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        line = bisect_right(self._starts, min(offset, len(self.text))) - 1
        return line, min(offset, len(self.text)) - self._starts[line]

    def lines(self, first: int, last: int) -> str:
        """The whole lines `first` to `last`, from 0, without the final line feed."""
        begin = self._starts[first]
        end = self._starts[last + 1] - 1 if last + 1 < len(self._starts) else len(self.text)
        return self.text[begin:end].rstrip("\r\n")
