"""What ways to sum a product with codes cost, in cycles of a core that starts two multiplications, two loads and four
vector instructions at a time: the basis of the choice between them. Instructions are counted, memory is the same."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tcomp.ir.loop.nodes import Op, postorder
from tcomp.ops.dots import MOST_PAIRS, instruction
from tcomp.ops.lookups import has_lookup
from tcomp.schedule.contraction.coded_geometry import CodedGeometry
from tcomp.schedule.contraction.fixed_codes import DIGITS
from tcomp.schedule.contraction.tasks import RowPanels

_MAKE = 70.0  # instructions that make the digits of a vector of elements
_SHARED_OUT = 1 << 15  # elements from which all threads make them
_EACH = 0.05  # cycles
_MULTIPLIERS, _LOADS, _PIPES = 2, 2, 4


@dataclass(frozen=True, slots=True)
class Count:
    """Vector instructions: those that multiply, others, and loads that none of them makes."""

    multiply: float
    other: float
    load: float

    def cycles(self) -> float:
        """The time of the ports that are busiest, and what each instruction adds to it."""
        whole = self.multiply + self.other
        busiest = max(self.multiply / _MULTIPLIERS, whole / _PIPES, self.load / _LOADS)
        return busiest + _EACH * (whole + self.load)


def cycles(g: CodedGeometry, rows: int, vectors: int, threads: int) -> float:
    """What tiles of so many rows and vectors of columns take for the whole, on each of the threads."""
    panels = RowPanels.of(g.rows.extent, rows)
    columns = ceil(g.columns.extent / g.lanes) / vectors
    rows = panels.tallest
    count = _integers(g, rows, vectors) if g.fixed is not None else _floats(g, rows, vectors)
    times = g.batch.extent * g.spread.extent * panels.count * columns * (g.inner / g.group)
    found = count.cycles() * times / threads
    if g.fixed is not None:
        makers = threads if makes_together(g) else 1
        found += g.batch.extent * g.rows.extent * g.inner / g.lanes * _MAKE / _PIPES / makers
    return found


def makes_together(g: CodedGeometry) -> bool:
    """Whether all threads make the digits of left."""
    return g.rows.extent * g.inner >= _SHARED_OUT


def _integers(g: CodedGeometry, rows: int, vectors: int) -> Count:
    """A tile's products of one group in fixed point."""
    fixed, tile = g.fixed, rows * vectors
    assert fixed is not None
    row = instruction(fixed.dot, g.lanes, g.scope.target.has)
    multiply, other = (2.0, 1.0) if row is not None and row.pairs else (1.0, 0.0)
    if fixed.halves:
        multiply, other = 1.0 + 2 / MOST_PAIRS, 1.0
    dots = g.words_of_group * fixed.phases * DIGITS * tile
    codes = g.words_of_group * vectors * (3 if fixed.phases > 1 else 0)
    held = len(g.constants)
    return Count(
        multiply=dots * multiply + tile * (4 + (fixed.shift is not None)),
        other=dots * other + codes + tile * DIGITS,
        load=g.words_of_group * (vectors + rows * fixed.phases * DIGITS)
        + held * vectors
        + 4 * rows,
    )


def _floats(g: CodedGeometry, rows: int, vectors: int) -> Count:
    """A tile's products of one group in floats."""
    tile, size = rows * vectors, g.group
    if g.table is not None and has_lookup(g.lanes, g.scope.target.has):
        decode = 2.0 + (len(g.constants) - (g.scale is not None))
    else:
        work = [n for n in postorder(g.value) if isinstance(n, Op)]
        decode = float(len(work)) + (2.0 if g.per_word > 1 else 0.0)
    return Count(
        multiply=size * tile + tile,
        other=size * vectors * decode,
        load=size * rows + g.words_of_group * vectors + len(g.constants) * vectors,
    )


def registers(g: CodedGeometry, rows: int, vectors: int) -> int:
    """Registers that a tile in fixed point needs: its sums, three of integers each, words, their codes, a factor,
    what masks and multiplies them, and the halves of sums if these wait for others."""
    fixed = g.fixed
    row = instruction(fixed.dot, g.lanes, g.scope.target.has) if fixed is not None else None
    found = (1 + DIGITS) * rows * vectors + vectors + 3
    if fixed is not None and fixed.halves:
        waits = g.words_of_group * fixed.phases > MOST_PAIRS
        return found + 1 + waits * DIGITS * rows * vectors
    return found + (row is not None and bool(row.pairs))
