"""What parts of a contraction cost, in multiplications of whole vectors: the basis of analytical choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import ceil

from tcomp.schedule.contraction.geometry import Geometry, Operand
from tcomp.schedule.contraction.tasks import RowPanels
from tcomp.target import Target

_LINE, _PAGE = 64, 4096
_L2_WAYS = 8  # at least

PACK = 2.0  # a vector loaded and stored
PACK_TRANSPOSED = 5.0  # and exchanged with others on the way
_TALLEST = 16
READ_FAR = 5.0  # more for a line from beyond L2 that was asked for in time
FAR = 10.0  # more for a line from beyond L2: 64 bytes at 10 to 20 GB/s
FED = 4.5  # a line from L2, while tiles multiply (256 x 14 x 14 with tiles of 5 x 4 554 us, of 14 x 2 477)
SHORT_PIECES = (
    2.0  # how much dearer it is from where rows are not contiguous (abcd-aebf-fdec: 29 in all)
)
TASK = 200.0  # starting a task
RUN = 24.0  # a run of stores beyond L2 (16x384x384x64 nt: columns by 64 0.68 ms, by 384 0.63)


def tile_step(rows: int, vectors: int) -> float:
    """One inner position of a register tile: its multiplications, or 1.3 times its loads where these are
    more, or what the latency of nine sums leaves idle, a little for each load, and for the loop.

    Fitted to shapes measured on Zen 3 (6x16 95 GFLOP/s, 14x8 71, 8x8 63, 4x16 84, 2x16 51).
    """
    return max(float(rows * vectors), 1.3 * (rows + vectors), 9.0) + 0.05 * (rows + vectors) + 0.25


def block_step(
    panels: RowPanels, first: int, count: int, vectors: int, per_tile: int, fed: float = 0.0
) -> float:
    """One inner position of row panels first .. first + count, over `vectors` vectors of columns, each of which
    takes `fed` to come."""
    full, rest = divmod(vectors, per_tile)
    larger = max(0, min(count, panels.larger - first))
    cost = 0.0
    for rows, number in ((panels.rows + panels.unit, larger), (panels.rows, count - larger)):
        if number:
            row = full * _beside(tile_step(rows, per_tile), fed * per_tile)
            row += _beside(tile_step(rows, rest), fed * rest) if rest else 0.0
            cost += number * row
    return cost


def _beside(work: float, feed: float) -> float:
    """Both at the same time: the longer one, and somewhat more where they are about equal."""
    return float((work**4 + feed**4) ** 0.25) if feed else work


def register_tile(
    rows: int, columns: int, lanes: int, registers: int, unit: int = 1
) -> tuple[int, int]:
    """Rows, whole multiples of `unit`, and vectors of the cheapest register tile for an output of
    rows x columns.

    It obeys `rows * vectors + vectors + 1 <= registers`: one register too many costs 4-7x. Tiles
    of more than 16 rows gain nothing, and LLVM may take 20 times longer for them.
    """
    _, tile_rows, vectors = min(
        register_tiles(rows, columns, lanes, registers, unit), default=(0.0, unit, 1)
    )
    return tile_rows, vectors


def register_tiles(
    rows: int, columns: int, lanes: int, registers: int, unit: int = 1
) -> Iterator[tuple[float, int, int]]:
    """The cheapest register tile of each number of vectors, with its cost."""
    wanted = ceil(columns / lanes)
    for vectors in range(1, min(4, wanted) + 1):
        most = min((registers - vectors - 1) // vectors, _TALLEST)
        found = []
        for tile_rows in range(unit, min(most, rows) + 1, unit):
            panels = RowPanels.of(rows, tile_rows, unit)
            cost = block_step(panels, 0, panels.count, wanted, vectors)
            found.append((cost * (1 + 0.0005 * tile_rows * vectors), tile_rows, vectors))
        if found:
            yield min(found)


def collides(operand: Operand, tile_rows: int, depth: int, target: Target) -> bool:
    """Whether lines that a tile reads of a side fight for the same sets of a cache.

    Rows whose distance is a multiple of 4096 bytes do in L1: with 14 rows on 8 ways a product of 1024 cubed
    runs at 70 % of its speed. A matrix that is read by columns has one line for each inner position; these
    need only stay in L2 until the next tile (256 cubed 130 us, packed 170; 1024 cubed 16 ms, packed 8).
    """
    size = operand.value.dtype.bytes
    row, inner = operand.step_own() * size, operand.step_inner() * size
    ways = max(1, target.l1 // _PAGE)
    crowded_rows = _crowding(row, tile_rows, _PAGE) > ways // 2
    return crowded_rows or _crowding(inner, min(depth, 4096), target.l2 // _L2_WAYS) > _L2_WAYS


def crowds(operand: Operand, depth: int, target: Target) -> bool:
    """Whether the lines of an operand's inner positions fight for the same sets of L1 (abcd-ebad-ce, rows of right
    90 pages apart: 1.36 ms as they lie, packed 1.21)."""
    step = operand.step_inner() * operand.value.dtype.bytes
    return _crowding(step, depth, _PAGE) > max(1, target.l1 // _PAGE)


def _crowding(distance: int, count: int, way: int) -> int:
    """The most lines that share a set, of `count` places `distance` bytes apart, where a way has `way` bytes."""
    lines = {i * distance // _LINE for i in range(count)}
    return max(Counter(line % (way // _LINE) for line in lines).values())


def pack_left(g: Geometry, rows: int) -> float:
    """Packing rows of left over all of inner."""
    return copy_left(g, rows) + rows * g.inner / g.lanes * afar(g, g.rows.extent)


def copy_left(g: Geometry, rows: int) -> float:
    """Packing them from L2."""
    return rows * g.inner / g.lanes * PACK


def pack_right(g: Geometry, columns: int, lanes: int) -> float:
    """Packing columns of right over all of inner."""
    each = afar(g, g.columns.extent) * (1.0 if g.right.runs_along_own() else SHORT_PIECES)
    return copy_right(g, columns, lanes) + columns * g.inner / lanes * each


def copy_right(g: Geometry, columns: int, lanes: int) -> float:
    """Packing them from L2."""
    if g.right.runs_along_own():
        return columns * g.inner / lanes * PACK * min(max(1, g.right.step_own()), 4)
    along = g.right.inner[g.right.along].extent
    return columns * g.inner / along * ceil(along / lanes) * PACK_TRANSPOSED


def read_left(g: Geometry, rows: int) -> float:
    """Reading rows of left where they lie."""
    far = READ_FAR * lines(g.scope.target)
    return rows * g.inner / g.lanes * (far if afar(g, g.rows.extent) else 0.0)


def read_right(g: Geometry, columns: int, lanes: int) -> float:
    """Reading columns of right where they lie, or from a copy of all of them."""
    far = READ_FAR * lines(g.scope.target)
    return columns * g.inner / lanes * (far if afar(g, g.columns.extent) else 0.0)


def afar(g: Geometry, own: int) -> float:
    """What a vector of a side of `own` positions costs for not being near: 0 if all of it fits half of L2."""
    target = g.scope.target
    return FAR * lines(target) if own * g.inner * g.dtype.bytes > target.l2 // 2 else 0.0


def lines(target: Target) -> float:
    """Lines of a cache in a vector: what comes from afar comes by lines."""
    return target.vector_bits / (8 * _LINE)
