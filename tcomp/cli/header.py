"""What a program file's first comments tell the command line.

# sizes: M=512, K=768       sizes to use where --size and the inputs leave them open
# positive: var, T          inputs whose random values must be positive
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

_ENTRY = re.compile(r"#\s*(sizes|positive|scale)\s*:\s*(.*)")
_PAIR = re.compile(r"([A-Za-z_]\w*)\s*=\s*([\d.eE+-]+)\Z")


@dataclass(frozen=True, slots=True)
class Header:
    """Defaults that a program file brings along."""

    sizes: dict[str, int] = field(default_factory=dict)
    positive: frozenset[str] = frozenset()
    scale: dict[str, float] = field(default_factory=dict)


def read_header(text: str) -> Header:
    """The entries in the comments before the first line of code; what does not fit is only a comment.

    >>> read_header("# a layer\\n# sizes: M=4, K=8\\ndef f(): ...").sizes
    {'M': 4, 'K': 8}
    """
    sizes: dict[str, int] = {}
    positive: set[str] = set()
    scale: dict[str, float] = {}
    for line in _leading_comments(text):
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        parts = [p.strip() for p in entry[2].split(",") if p.strip()]
        if entry[1] == "positive":
            positive.update(parts)
        elif entry[1] == "scale":
            scale.update(_pairs(parts, float))
        else:
            sizes.update(_pairs(parts, int))
    return Header(sizes, frozenset(positive), scale)


def _pairs(parts: list[str], read: Callable[[str], T]) -> Iterator[tuple[str, T]]:
    for match in map(_PAIR.match, parts):
        if match is not None:
            try:
                yield match[1], read(match[2])
            except ValueError:
                continue


def _leading_comments(text: str) -> Iterator[str]:
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            yield stripped
        elif stripped and not stripped.startswith("tcomp "):
            return
