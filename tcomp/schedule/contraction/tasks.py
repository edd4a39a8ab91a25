"""How a contraction's output is divided: tasks for threads, panels of rows and columns, tiles."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import LoopVar
from tcomp.schedule.naming import Names

Place: TypeAlias = dict[
    LoopVar, Int
]  # what stands for counters of dimensions at some point of the nest


@dataclass(frozen=True, slots=True)
class Panels:
    """Panels `counter` = start .. stop, each of `width` positions from `first`."""

    counter: LoopVar
    start: Int
    stop: Int
    first: Int
    width: int

    def first_of(self, panel: Int) -> Int:
        """The first position of one panel."""
        return self.first.sub({self.counter: panel})


@dataclass(frozen=True, slots=True)
class RowPanels:
    """Rows divided evenly: `count` panels of `rows` rows, the first `larger` of them with `unit` more.

    Even panels matter: a last panel of one or two rows has too few independent sums.
    """

    count: int
    rows: int
    larger: int
    unit: int = 1

    @staticmethod
    def of(rows: int, tallest: int, unit: int = 1) -> RowPanels:
        """The fewest panels of at most `tallest` rows, all whole multiples of `unit`, which divides rows."""
        count = ceil(rows // unit / max(1, tallest // unit))
        each, larger = divmod(rows // unit, count)
        return RowPanels(count, each * unit, larger, unit)

    @property
    def tallest(self) -> int:
        return self.rows + (self.unit if self.larger else 0)

    def first_row(self, panel: Int) -> Int:
        """The first row of a panel; of `count`, the number of rows."""
        return panel * self.rows + panel.min(self.larger) * self.unit

    def within(self, start: Int, stop: Int, names: Names) -> list[Panels]:
        """Panels start .. stop, those of equal height together."""
        variants = [(self.rows + self.unit, 0, self.larger)] if self.larger else []
        variants.append((self.rows, self.larger, self.count))
        result: list[Panels] = []
        for rows, low, high in variants:
            counter = names.loop("p", 0, self.count - 1)
            first = Int.of(counter) * rows + (self.larger * self.unit if rows == self.rows else 0)
            result.append(Panels(counter, start.max(low), stop.min(high), first, rows))
        return result


@dataclass(frozen=True, slots=True)
class Task:
    """Where a task works. `place` positions batch and the first of its `spreads` places of spread; the rest bounds
    its output. `after` is the task that a thread is likely to do next."""

    place: Place
    first_panel: Int
    stop_panel: Int
    first_column: Int
    stop_column: Int
    spreads: Int = Int.of(1)  # noqa: RUF009
    after: Task | None = None


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a tile is: its task, its range of inner, its panels (counted in the task) and first element.

    `block` counts blocks of inner; None where there is but one. `spread` counts the task's places of spread.
    """

    task: Task
    block: Int | None
    start: Int
    stop: Int
    row_panel: Int = Int.of(0)  # noqa: RUF009
    column_panel: Int = Int.of(0)  # noqa: RUF009
    row: Int = Int.of(0)  # noqa: RUF009
    column: Int = Int.of(0)  # noqa: RUF009
    spread: Int = Int.of(0)  # noqa: RUF009


def column_panels(
    first: Int, stop: Int, step: int, columns: int, width: int, names: Names
) -> list[Panels]:
    """Whole panels of `width` columns from `first` to `stop`, then the narrower one behind them.

    Tasks are `step` columns apart: a multiple of the panel width, or a divisor of `columns`.
    """
    counter = names.loop("j", 0, max(0, ceil(columns / width) - 1))
    j, step = Int.of(counter), min(step, columns)
    if step % width:
        origin, whole, rest = first, step // width, step % width
        full = Panels(counter, Int.of(0), Int.of(whole), origin + j * width, width)
        tail = Panels(counter, Int.of(whole), Int.of(whole + 1), origin + j * width, rest)
        return ([full] if whole else []) + ([tail] if rest else [])
    whole, rest = divmod(columns, width)
    full = Panels(counter, first // width, stop // width, j * width, width)
    tail = Panels(
        counter, (first // width).max(whole), (stop + (width - 1)) // width, j * width, rest
    )
    return ([full] if whole else []) + ([tail] if rest else [])
