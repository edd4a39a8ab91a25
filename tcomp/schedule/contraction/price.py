"""What a contraction by outer products costs in all, to compare forms with each other."""

from __future__ import annotations

from math import ceil

from tcomp.schedule.contraction import cost
from tcomp.schedule.contraction.blocking import PRIVATE, SHARED, Blocking
from tcomp.schedule.contraction.geometry import Geometry

_GUARDED = 2.0  # how much dearer packing is by runs, with tests at borders


def outer_products(g: Geometry, b: Blocking, threads: int) -> float:
    """Multiplications of whole vectors that take as long, for the busiest thread.

    Memory beyond L2 is left out, but for a copy of right: what it costs is not in the prices of other forms either.
    """
    panels = g.row_panels(b.tile_rows)
    columns = min(b.task_columns, g.columns.extent)
    count = min(b.task_panels, panels.count)
    outside = g.batch.extent * g.spread.extent
    tasks = outside * ceil(panels.count / count) * ceil(g.columns.extent / columns)
    step = cost.block_step(panels, 0, count, ceil(columns / b.lanes), b.tile_vectors)
    each = step * g.inner + cost.TASK
    if b.left == PRIVATE:
        each += cost.copy_left(g, count * panels.tallest)
    if b.right == PRIVATE:
        each += cost.copy_right(g, columns, b.lanes) * (_GUARDED if g.right.by_lines else 1.0)
    shares = ceil(tasks / threads) + (0.2 if threads > 1 else 0.0)
    return shares * each + (outside * _shared(g, b) / threads if b.right == SHARED else 0.0)


def _shared(g: Geometry, b: Blocking) -> float:
    """Packing all of right, to where it is then read from."""
    columns = g.columns.extent
    written = columns * g.inner / b.lanes * cost.afar(g, columns)
    return cost.copy_right(g, columns, b.lanes) + written
