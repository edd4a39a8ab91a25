"""The decisions about a group of blocks: sizes of blocks, threads, and the traces of its parts.

`size.k` is the size of blocks along the k-th blocked iterator; where all sizes are whole there is one
block, the parts are made one after the other by all threads, and nothing stays in a cache on purpose.
A scan in steps has steps of 1, and as its first parts what makes the values before the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcomp.ir.plan import Group
from tcomp.schedule.blocks.parts import states_of
from tcomp.schedule.trace import Trace, trace

KIND = "blocks"
_KINDS = ("nest", "contraction", "scatter", "recurrence", KIND)  # a part's class as a number


@dataclass(frozen=True, slots=True)
class Blocks:
    """The decisions, typed. `parallel` shares blocks out over threads."""

    sizes: tuple[int, ...]
    parallel: int
    parts: tuple[Trace, ...]


def to_trace(blocks: Blocks) -> Trace:
    """The decisions as a trace."""
    return trace(KIND, _decisions(blocks))


def from_trace(group: Group, decided: Trace) -> Blocks:
    """The decisions that a trace holds. Raises KeyError where one is missing."""
    sizes = tuple(decided[f"size.{k}"] for k in range(len(group.blocked)))
    count = len(states_of(group)) + len(group.parts)
    parts = tuple(_part(decided, f"p{n}.") for n in range(count))
    return Blocks(sizes, decided["parallel"], parts)


def _decisions(blocks: Blocks) -> Iterator[tuple[str, int]]:
    for k, size in enumerate(blocks.sizes):
        yield f"size.{k}", size
    yield "parallel", blocks.parallel
    for n, part in enumerate(blocks.parts):
        yield f"p{n}.kind", _KINDS.index(part.kind)
        for name, value in part:
            yield f"p{n}.{name}", value


def _part(decided: Trace, prefix: str) -> Trace:
    kind = decided[f"{prefix}kind"]
    if not 0 <= kind < len(_KINDS):
        raise KeyError(f"{prefix}kind")
    own = [(n[len(prefix) :], v) for n, v in decided if n.startswith(prefix)]
    return trace(_KINDS[kind], [(n, v) for n, v in own if n != "kind"])
