"""Stores whose lanes alternate in memory, as whole vectors.

    Z[2*t + 0 : 16 step 2] = a;  Z[2*t + 1 : 16 step 2] = b      Z[2*t : 16] = a0 b0 a1 b1 ...;  Z[2*t + 16 : 16] = ...

Tiles of results (Winograd, parity splits) are written so: one shuffle a vector instead of a store an element.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.ir.loop.nodes import Expr, Load, Shuffle, Stmt, Store, postorder
from tcomp.ir.loop.rewriting import expressions


def interleave_stores(block: Sequence[Stmt]) -> tuple[Stmt, ...]:
    """The block with every complete family of strided stores, a power of two of them, replaced.

    Families are looked for in a block that only computes and stores; a stored buffer is not read there.
    """
    read = {n.buffer for n in postorder(*expressions(block)) if isinstance(n, Load)}
    waiting = {n: s for n, s in enumerate(block) if isinstance(s, Store) and _alternates(s)}
    result: dict[int, tuple[Stmt, ...]] = {n: (stmt,) for n, stmt in enumerate(block)}
    for number, first in list(waiting.items()):
        if number not in waiting or first.buffer in read:
            continue
        family = [_fellow(first, k, waiting) for k in range(first.stride)]
        if None in family or len({waiting[n].value.dtype for n in family if n is not None}) > 1:
            continue
        places = [n for n in family if n is not None]
        vectors = _interleaved([waiting[n].value for n in places])
        whole = tuple(
            Store(first.buffer, first.index + k * first.value.lanes, vector)
            for k, vector in enumerate(vectors)
        )
        for n in places:
            result[n] = ()
            del waiting[n]
        result[max(places)] = whole
    return tuple(stmt for n in sorted(result) for stmt in result[n])


def _alternates(store: Store) -> bool:
    stride = store.stride
    return store.value.lanes > 1 and store.mask is None and stride in (2, 4, 8)


def _fellow(first: Store, offset: int, waiting: dict[int, Store]) -> int | None:
    """The store that fills the elements `offset` behind those of the first."""
    for number, store in waiting.items():
        same = store.buffer is first.buffer and store.stride == first.stride
        if same and store.value.lanes == first.value.lanes and store.index is first.index + offset:
            return number
    return None


def _interleaved(values: list[Expr]) -> list[Expr]:
    """One long vector a0 b0 c0 ... a1 b1 c1 ... in pieces as long as the values."""
    if len(values) == 1:
        return values
    even, odd = _interleaved(values[0::2]), _interleaved(values[1::2])
    pieces: list[Expr] = []
    for a, b in zip(even, odd, strict=True):
        lanes = a.lanes
        for half in (0, lanes // 2):
            picks = [half + k // 2 + (lanes if k % 2 else 0) for k in range(lanes)]
            pieces.append(Shuffle(a, b, tuple(picks)))
    return pieces
