"""Tiles of a product with codes: words are loaded as vectors of columns, codes shifted out and decoded in
registers, then multiplied with broadcast elements of left as in every tile of outer products.

    for block:  c[v] = constants(block, v)
      for word:  w[v] = words(word, v)
        for j in 0:8:  b[v] = value(w[v] >> 4*j, c[v]);  for i:  acc[i, v] += broadcast(left(i, k)) * b[v]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from tcomp.ir.dtypes import f32
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Const,
    Declare,
    Expr,
    For,
    Load,
    Local,
    Op,
    Prefetch,
    Space,
    Stmt,
)
from tcomp.schedule.contraction.blocking import Blocking
from tcomp.schedule.contraction.coded import PER_WORD
from tcomp.schedule.contraction.coded_geometry import WORD, CodedGeometry, Panelled
from tcomp.schedule.contraction.dimensions import positions
from tcomp.schedule.contraction.outer_product import RegisterTileNest
from tcomp.schedule.contraction.pack import Block, Packer, Panel
from tcomp.schedule.contraction.tasks import Place, Task, Tile, column_panels
from tcomp.schedule.contraction.tile import Accumulators, Position, TileShape, multiply_add

_LINE = 64  # bytes of a cache line
CHAINS = 8  # independent sums that hide the latency of multiply-adds


@dataclass(frozen=True, slots=True)
class CodedRight:
    """Words and constants of all columns in panels, packed once by all threads together."""

    g: CodedGeometry
    b: Blocking
    buffers: dict[Load, Buffer]
    width: int

    @staticmethod
    def of(g: CodedGeometry, b: Blocking) -> CodedRight:
        width = b.tile_vectors * b.lanes
        points = g.spread.extent * ceil(g.columns.extent / width) * width
        buffers = {
            p.marker: Buffer(
                g.scope.names.fresh("right"), p.dtype, points * p.rows, Space.WORKSPACE
            )
            for p in g.panelled
        }
        return CodedRight(g, b, buffers, width)

    def share(self, place: Place) -> list[Stmt]:
        """Packs every part."""
        return [stmt for part in self.g.panelled for stmt in self._share(part, place)]

    def pack(self, task: Task, start: Int, stop: Int) -> list[Stmt]:
        return []

    def load(self, part: Panelled, row: Int, tile: Tile, vector: int) -> Load:
        """A vector of a tile's columns in one row of a part's panels."""
        base = self._base(part, tile.task.place[self.g.spread.at], tile.column // self.width)
        address = base + row * self.width + vector * self.b.lanes
        return Load(self.buffers[part.marker], address, self.b.lanes)

    def _share(self, part: Panelled, place: Place) -> list[Stmt]:
        g, names, columns = self.g, self.g.scope.names, self.g.columns.extent
        spread = names.loop("spread", 0, g.spread.extent - 1)
        value = part.value.sub(place | {g.spread.at: Int.of(spread)})
        block = Block.of(part.inner, 0, part.rows)
        packer = Packer(value, self.buffers[part.marker], block, self.b.lanes, names)
        parallel, last = bool(self.b.parallel), len(part.inner) - 1
        statements: list[Stmt] = []
        for p in column_panels(
            Int.of(0), Int.of(columns), columns + -columns % self.width, columns, self.width, names
        ):
            base = self._base(part, Int.of(spread), Int.of(p.counter))
            panel = Panel(p.counter, p.start, p.stop, p.first, p.width, self.width, base)
            if part.runs_along(g.columns):
                statements += packer.panels(g.columns, panel, parallel)
            else:
                statements += packer.transposed_panels(g.columns, panel, last, parallel)
        return [For(spread, Int.of(0), Int.of(g.spread.extent), tuple(statements))]

    def _base(self, part: Panelled, spread: Int, panel: Int) -> Int:
        panels = ceil(self.g.columns.extent / self.width)
        return (spread * panels + panel) * (part.rows * self.width)


class CodedNest(RegisterTileNest):
    """Tiles of a product with codes."""

    g: CodedGeometry
    right: CodedRight

    def right_operand(self) -> CodedRight:
        return CodedRight.of(self.g, self.b)

    def add_products(self, tile: Tile, shape: TileShape, sums: Accumulators) -> list[Stmt]:
        return CodedTile(self, tile, shape).statements(sums)

    def place(self, position: Int) -> Position:
        """The counters of inner at a position of all of it."""
        return positions(self.inner, position)


class CodedTile:
    """The code of one tile's products. Where it has few sums, several chains of each hide their latency."""

    def __init__(self, nest: CodedNest, tile: Tile, shape: TileShape) -> None:
        self.nest, self.g, self.tile, self.shape = nest, nest.g, tile, shape
        self.names, self.fused = nest.names, nest.g.scope.target.has_fma
        self.count = max(1, min(PER_WORD, CHAINS // (shape.rows * shape.vectors)))

    def statements(self, sums: Accumulators) -> list[Stmt]:
        """Adds all products to the sums."""
        if self.g.scale is not None:
            return self.over_groups(lambda at: self._own_sums(at, sums))
        chains = [sums, *self._more_chains()]
        unroll = self.nest.b.unroll
        return [
            *_zero(chains[1:]),
            *self.over_groups(lambda at: self.block(at, chains, unroll)),
            *_joined(chains),
        ]

    def over_groups(self, body: Callable[[Int], list[Stmt]]) -> list[Stmt]:
        """A loop over groups, where there are several."""
        count = self.g.inner // self.g.group
        if count == 1:
            return body(Int.of(0))
        var = self.names.loop("group", 0, count - 1)
        return [For(var, Int.of(0), Int.of(count), tuple(body(Int.of(var))))]

    def _own_sums(self, at: Int, sums: Accumulators) -> list[Stmt]:
        """A group's own sums, multiplied by its scale."""
        own = Accumulators(self.shape, f32, self.names)
        chains = [own, *self._more_chains()]
        return [
            *_zero(chains),
            *self.block(at, chains, self.nest.b.unroll),
            *_joined(chains),
            *self.scaled(at, own, sums),
        ]

    def scaled(self, at: Int, own: Accumulators, sums: Accumulators) -> list[Stmt]:
        """Adds a group's own sums, multiplied by its scale."""
        scale = self.g.scale
        if scale is None:
            return sums.assign(_sum_of(sums, own))
        scales = [self._constant(scale, at, v) for v in range(self.shape.vectors)]
        return sums.assign(
            lambda i, v: multiply_add(scales[v], own.locals[i][v], sums.locals[i][v], self.fused)
        )

    def constants(self, at: Int) -> tuple[list[dict[Load, Local]], list[Stmt]]:
        """What elements of a group depend on beside their codes, in locals, for each vector."""
        statements: list[Stmt] = []
        constants: list[dict[Load, Local]] = []
        for v in range(self.shape.vectors):
            held: dict[Load, Local] = {}
            for part in self.g.constants:
                if part is not self.g.scale:
                    local = self.names.local("c", part.dtype, self.shape.lanes)
                    statements.append(Declare(local, self._constant(part, at, v)))
                    held[part.marker] = local
            constants.append(held)
        return constants, statements

    def block(self, at: Int, chains: list[Accumulators], unroll: int) -> list[Stmt]:
        """The products of one group; words whole but for the last one."""
        constants, statements = self.constants(at)
        each = self.g.per_word
        whole, rest = divmod(self.g.group, each)
        most = unroll * (PER_WORD // each)
        unroll = max(u for u in range(1, most + 1) if whole % u == 0)

        def body(first: Int, number: int, count: int) -> list[Stmt]:
            turned = chains[number * each % len(chains) :] + chains[: number * each % len(chains)]
            ahead = self.ahead(at, first + number, number)
            return [*ahead, *self._word(at, first + number, count, constants, turned)]

        if whole == unroll:
            for w in range(whole):
                statements += body(Int.of(0), w, each)
        else:
            var = self.names.loop("w", 0, whole - 1)
            inner = [s for u in range(unroll) for s in body(Int.of(var), u, each)]
            statements.append(For(var, Int.of(0), Int.of(whole), tuple(inner), unroll))
        return statements + (body(Int.of(0), whole, rest) if rest else [])

    def ahead(self, group: Int, word: Int, number: int) -> list[Stmt]:
        """Asks for the line of words that comes `prefetch` lines later, once in each line."""
        distance, g, width = self.nest.b.prefetch, self.g, self.nest.width
        line = _LINE // g.words.dtype.bytes
        if not distance or number % max(1, line // width):
            return []
        row = self.nest.right.load(g.words, group * g.words_of_group + word, self.tile, 0)
        first = row.index + distance * line
        return [Prefetch(row.buffer, first + n, 1) for n in range(0, width, line)]

    def _word(
        self,
        group: Int,
        word: Int,
        count: int,
        constants: list[dict[Load, Local]],
        chains: list[Accumulators],
    ) -> list[Stmt]:
        """The products with the first `count` codes of a word."""
        shape, g = self.shape, self.g
        row = group * g.words_of_group + word
        statements: list[Stmt] = []
        words: list[Local] = []
        for v in range(shape.vectors):
            words.append(self.names.local("w", g.words.dtype, shape.lanes))
            load = self.nest.right.load(g.words, row, self.tile, v)
            statements.append(Declare(words[v], load))
        for j in range(count):
            place = self.nest.place(group * g.group + word * g.per_word + j)
            sums = chains[j % len(chains)]
            columns: list[Local] = []
            for v in range(shape.vectors):
                by = Const(g.bits * j, WORD, shape.lanes)
                code = Op("shift_right", (words[v], by), WORD) if j else words[v]
                value = g.element(shape.lanes, code, constants[v])
                columns.append(self.names.local("b", f32, shape.lanes))
                statements.append(Declare(columns[v], value))
            for i, each in enumerate(sums.locals):
                factor = self.names.local("a", f32, shape.lanes)
                left = self.nest.left.element(self.tile, i, place)
                statements.append(Declare(factor, Broadcast(left, shape.lanes)))
                for v, local in enumerate(each):
                    value = multiply_add(factor, columns[v], local, self.fused)
                    statements.append(Assign(local, value))
        return statements

    def _constant(self, part: Panelled, group: Int, vector: int) -> Expr:
        block = group // (self.g.size // self.g.group)
        return self.nest.right.load(part, block, self.tile, vector)

    def _more_chains(self) -> list[Accumulators]:
        return [Accumulators(self.shape, f32, self.names) for _ in range(self.count - 1)]


def _zero(chains: list[Accumulators]) -> list[Stmt]:
    return [stmt for chain in chains for stmt in chain.zero()]


def _joined(chains: list[Accumulators]) -> list[Stmt]:
    """Adds all chains to the first one, in pairs."""
    statements: list[Stmt] = []
    distance = 1
    while distance < len(chains):
        for k in range(0, len(chains) - distance, 2 * distance):
            into, other = chains[k], chains[k + distance]
            statements += into.assign(_sum_of(into, other))
        distance *= 2
    return statements


def _sum_of(a: Accumulators, b: Accumulators) -> Callable[[int, int], Expr]:
    return lambda i, v: Op("add", (a.locals[i][v], b.locals[i][v]), f32)
