"""Whether tiles go across several places of spread, and how many: where columns alone leave lanes of vectors empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

from tcomp.schedule.contraction import cost
from tcomp.schedule.contraction.blocking import OUTER, PRIVATE, Blocking, can_prefetch
from tcomp.schedule.contraction.geometry import Geometry
from tcomp.schedule.contraction.spread import last_of_spread

_GAIN = 0.9  # of the time of tiles at one place, at most
_VECTORS = 4  # of a tile
_TASKS = 4  # for each thread at least
_WHOLE_LINES = 0.95  # of the time of the best height, from which one wins that divides the last iterator of rows


def choose_joined(g: Geometry, plain: Blocking, threads: int) -> Blocking:
    """Joined tiles where they should take clearly less time than the blocking that was chosen without; not where
    that one packs long lines of memory for several places."""
    if plain.task_spread > 1:
        return plain
    panels = g.row_panels(plain.tile_rows)
    columns = g.columns.extent
    alone = cost.block_step(
        panels, 0, panels.count, ceil(columns / plain.lanes), plain.tile_vectors
    )
    candidates = list(joined(g, plain, threads))
    best = min(candidates, key=lambda b: _step(g, b), default=plain)
    return best if candidates and _step(g, best) < _GAIN * alone else plain


def joined(g: Geometry, plain: Blocking, threads: int) -> Iterator[Blocking]:
    """Joined tiles of each possible width."""
    if not can_join(g) or plain.form != OUTER or plain.staged or plain.words:
        return
    extent, columns, lanes = last_of_spread(g).extent, g.columns.extent, g.lanes
    for places in range(2, extent + 1):
        vectors = ceil(places * columns / lanes)
        if extent % places or vectors > _VECTORS:
            continue
        rows = _height(g, vectors)
        panels = g.row_panels(rows)
        around = g.batch.extent * g.spread.extent // places
        shares = ceil(_TASKS * threads / around) if plain.parallel else 1
        yield replace(
            plain,
            lanes=lanes,
            tile_rows=rows,
            tile_vectors=vectors,
            depth=g.inner,
            task_panels=ceil(panels.count / shares),
            task_columns=columns,
            right=PRIVATE,
            prefetch=int(g.output_is_far() and can_prefetch(g, PRIVATE)),
            by_rows=0,
            task_spread=places,
            joined=1,
        )


def can_join(g: Geometry) -> bool:
    """Whether columns of several places can lie side by side: right is packed by vectors along them."""
    return (
        g.spread.extent > 1
        and g.columns.extent % g.lanes > 0
        and g.right.is_affine_along(g.columns)
        and not g.right.by_lines
        and g.row_unit == 1
    )


def is_legal_joined(g: Geometry, b: Blocking) -> bool:
    """Whether joined tiles are whole, and decided as their code expects."""
    width = ceil(b.task_spread * g.columns.extent / b.lanes)
    return (
        can_join(g)
        and (b.form, b.right, b.staged, b.by_rows, b.words) == (OUTER, PRIVATE, 0, 0, 0)
        and b.lanes == g.lanes
        and b.depth == g.inner
        and b.task_columns == g.columns.extent
        and b.task_spread > 1
        and last_of_spread(g).extent % b.task_spread == 0
        and b.tile_vectors == width
    )


def _step(g: Geometry, b: Blocking) -> float:
    """One inner position of all rows at one place."""
    panels = g.row_panels(b.tile_rows)
    step = cost.block_step(panels, 0, panels.count, b.tile_vectors, b.tile_vectors)
    return step / b.task_spread


def _height(g: Geometry, vectors: int) -> int:
    """Rows of a tile: the cheapest number; or where it costs little more, one that divides the last iterator of rows,
    so that a tile stores what lies together."""
    most = min((g.scope.target.vector_registers - vectors - 1) // vectors, g.rows.extent)
    costs = {}
    for rows in range(max(1, most // 2), most + 1):
        panels = g.row_panels(rows)
        costs[rows] = cost.block_step(panels, 0, panels.count, vectors, vectors)
    best = min(costs, key=lambda rows: costs[rows])
    last = next((int(it.extent) for it in reversed(g.rows.iters) if int(it.extent) > 1), 1)
    even = [r for r in costs if last % r == 0 and _WHOLE_LINES * costs[r] <= costs[best]]
    return min(even, key=lambda rows: costs[rows], default=best)
