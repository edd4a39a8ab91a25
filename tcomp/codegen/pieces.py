"""Masks that are known, as the whole vectors that they are made of.

Processors without predicated stores pay for masked ones: vmaskmovps to memory is some twenty steps on AMD's, narrow
elements are stored one by one, and so is everything without AVX.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcomp.ir.loop.nodes import Const, Expr, IntValue, Op
from tcomp.target import Target


def stores_masked(target: Target) -> bool:
    """Whether a store under a mask costs what one of a whole vector does."""
    return target.has("avx512bw") and target.has("avx512vl")


def known_lanes(mask: Expr) -> list[bool] | None:
    """Which lanes a mask lets through, None where that is found out by running."""
    match mask:
        case Op("lt", (IntValue(base, _, lanes, stride), Const(limit))) if base.is_constant:
            return [base.constant + stride * lane < limit for lane in range(lanes)]
    return None


def pieces(lanes: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First lane and length of the longest vectors, by powers of two, that make up the lanes.

    >>> list(pieces([True] * 7 + [False]))
    [(0, 4), (4, 2), (6, 1)]
    """
    first = 0
    while first < len(lanes):
        run = next((k for k in range(first, len(lanes)) if not lanes[k]), len(lanes)) - first
        if not run:
            first += 1
            continue
        size = 1 << (run.bit_length() - 1)
        yield first, size
        first += size
