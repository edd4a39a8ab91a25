"""The cheapest order of a product of many factors, by trying every one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

Part: TypeAlias = frozenset[Hashable]


def fewest_products(
    factors: Sequence[Iterable[Any]], output: Iterable[Any], extent: Mapping[Any, int]
) -> float:
    """The fewest multiplications over every order of pairwise products; a factor is its indices.

    An index that no other factor and not the output has is summed first, which multiplies nothing.
    """
    best = float("inf")
    kept = frozenset(output)

    def walk(parts: tuple[Part, ...], spent: float) -> None:
        nonlocal best
        if spent >= best:
            return
        if len(parts) == 1:
            best = spent
            return
        for both, rest in _pairs(parts):
            walk((*rest, both & kept.union(*rest)), spent + prod(extent[n] for n in both))

    walk(tuple(map(frozenset, factors)), 0.0)
    return best


def _pairs(
    parts: tuple[Part, ...],
) -> Iterator[tuple[Part, tuple[Part, ...]]]:
    for m in range(len(parts)):
        for n in range(m):
            yield parts[m] | parts[n], tuple(p for k, p in enumerate(parts) if k not in (m, n))
