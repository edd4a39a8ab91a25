"""Tiles of a product with codes in fixed point: sums of a group's products are those of integers.

    for group:  p[d, i, v] = start(i, d)
      for word:  w[v] = words(word, v)
        for phase:  c = (w[v] >> 4*phase) & 15 of each byte;  for d, i:  p[d, i, v] += dot(c, digits(d, i, word, phase))
      acc[i, v] += scale[v] * (unit(i) * (65536 * p[2] + 256 * p[1] + p[0]))

One instruction multiplies four codes of each column. What is rounded are the few operations for a group; those of
integers are exact. Groups that are no integers are summed as floats.
"""

from __future__ import annotations

from collections.abc import Callable

from tcomp.ir.dtypes import boolean, f32, i32
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Const,
    Declare,
    Expr,
    For,
    If,
    Local,
    Op,
    Stmt,
)
from tcomp.ops.dots import MOST_PAIRS, WORD
from tcomp.schedule.contraction.blocking import Blocking
from tcomp.schedule.contraction.coded_geometry import CodedGeometry
from tcomp.schedule.contraction.coded_product import CHAINS, CodedNest, CodedTile
from tcomp.schedule.contraction.fixed_codes import DIGITS, FixedPoint
from tcomp.schedule.contraction.fixed_left import FixedLeft
from tcomp.schedule.contraction.tasks import Place, Tile
from tcomp.schedule.contraction.tile import Accumulators, TileShape, multiply_add

_MOST_CHAINS = 4


class FixedPointNest(CodedNest):
    """Tiles of a product with codes in fixed point."""

    def __init__(self, geometry: CodedGeometry, blocking: Blocking, fixed: FixedPoint) -> None:
        super().__init__(geometry, blocking)
        self.fixed, self.digits = fixed, FixedLeft.of(geometry, fixed)

    def before_tasks(self, place: Place) -> list[Stmt]:
        return self.digits.share(place, bool(self.b.parallel))

    def add_products(self, tile: Tile, shape: TileShape, sums: Accumulators) -> list[Stmt]:
        return _FixedTile(self, tile, shape).statements(sums)


class _FixedTile(CodedTile):
    nest: FixedPointNest

    def __init__(self, nest: FixedPointNest, tile: Tile, shape: TileShape) -> None:
        super().__init__(nest, tile, shape)
        self.fixed, self.left = nest.fixed, nest.digits

    def statements(self, sums: Accumulators) -> list[Stmt]:
        return self.over_groups(lambda at: self._group(at, sums))

    def _group(self, at: Int, sums: Accumulators) -> list[Stmt]:
        """Adds a group's own sums to those of the tile."""
        own = Accumulators(self.shape, f32, self.names)
        exact: Expr | None = None
        for i in range(self.shape.rows):
            unit = self.left.unit(self.tile.row + i, at)
            here = Op("gt", (unit, Const(0.0, f32)), boolean)
            exact = here if exact is None else Op("and", (exact, here), boolean)
        assert exact is not None
        return [
            *own.zero(),
            If(exact, tuple(self._integers(at, own)), tuple(self.block(at, [own], 1))),
            *self.scaled(at, own, sums),
        ]

    def _integers(self, at: Int, own: Accumulators) -> list[Stmt]:
        """The sums of a group of integers."""
        chains = self._chains()
        statements: list[Stmt] = []
        for number, digits in enumerate(chains):
            for d, each in enumerate(digits):
                statements += self._begun(each, at, d, first=number == 0)
        count = self.g.words_of_group
        most = MOST_PAIRS // self.fixed.phases if self.fixed.halves else self.nest.b.unroll
        unroll = max(u for u in range(1, most + 1) if count % u == 0)
        if count == unroll:
            statements += self._steps(at, Int.of(0), unroll, chains)
        else:
            var = self.names.loop("w", 0, count - 1)
            body = self._steps(at, Int.of(var), unroll, chains)
            statements.append(For(var, Int.of(0), Int.of(count), tuple(body), unroll))
        return statements + self._combined(at, chains, own)

    def _steps(
        self, at: Int, first: Int, count: int, chains: list[list[Accumulators]]
    ) -> list[Stmt]:
        """The products with so many words of codes."""
        if not self.fixed.halves:
            return [s for u in range(count) for s in self._step(at, first, u, chains)]
        halves = [Accumulators(self.shape, i32, self.names) for _ in range(DIGITS)]
        statements = [stmt for each in halves for stmt in each.zero()]
        for u in range(count):
            statements += self._step(at, first, u, [halves])
        ones = Const(0x10001, WORD, self.shape.lanes)
        for whole, each in zip(chains[0], halves, strict=True):
            statements += whole.assign(_added_up(whole, each, ones))
        return statements

    def _chains(self) -> list[list[Accumulators]]:
        """Sums for each digit, several where a tile has few."""
        most = min(_MOST_CHAINS, self.g.words_of_group * self.fixed.phases)
        count = min(most, -(-CHAINS // (DIGITS * self.shape.rows * self.shape.vectors)))
        count = 1 if self.fixed.halves else count
        return [
            [Accumulators(self.shape, i32, self.names) for _ in range(DIGITS)] for _ in range(count)
        ]

    def _begun(self, sums: Accumulators, at: Int, digit: int, first: bool) -> list[Stmt]:
        """Declares the sums of a digit with what they are before any product."""
        lanes = self.shape.lanes
        statements: list[Stmt] = []
        for i, row in enumerate(sums.locals):
            start = self.left.start(self.tile.row + i, at, digit)
            known = not first or isinstance(start, Const)
            value = Const(0, i32, lanes) if known else Broadcast(start, lanes)
            statements += [Declare(local, value) for local in row]
        return statements

    def _step(
        self, at: Int, first: Int, number: int, chains: list[list[Accumulators]]
    ) -> list[Stmt]:
        """The products with one word of codes."""
        shape, g, fixed, lanes = self.shape, self.g, self.fixed, self.shape.lanes
        word = first + number
        statements = self.ahead(at, word, number)
        words: list[Local] = []
        for v in range(shape.vectors):
            words.append(self.names.local("w", WORD, lanes))
            load = self.nest.right.load(g.words, at * g.words_of_group + word, self.tile, v)
            statements.append(Declare(words[v], load))
        for phase in range(fixed.phases):
            sums = chains[(number * fixed.phases + phase) % len(chains)]
            codes: list[Local] = []
            for v in range(shape.vectors):
                codes.append(self.names.local("c", WORD, lanes))
                statements.append(Declare(codes[v], self._codes(words[v], phase)))
            for i in range(shape.rows):
                for d, each in enumerate(sums):
                    left = self.names.local("a", WORD, lanes)
                    digits = self.left.word(self.tile.row + i, at, word, phase, d)
                    statements.append(Declare(left, Broadcast(digits, lanes)))
                    for v, local in enumerate(each.locals[i]):
                        value = Op(fixed.dot, (local, codes[v], left), i32)
                        statements.append(Assign(local, value))
        return statements

    def _codes(self, word: Local, phase: int) -> Expr:
        """The codes of a phase, in the bytes of a word."""
        bits = self.fixed.bits
        if self.fixed.phases == 1:
            return word
        mask = sum(((1 << bits) - 1) << 8 * k for k in range(4))
        moved = Op("shift_right", (word, Const(bits * phase, WORD, word.lanes)), WORD)
        return Op("bit_and", (moved if phase else word, Const(mask, WORD, word.lanes)), WORD)

    def _combined(self, at: Int, chains: list[list[Accumulators]], own: Accumulators) -> list[Stmt]:
        """The sums of all digits as floats, without what the shift of codes is too much."""
        lanes = self.shape.lanes
        weight = Const(256.0, f32, lanes)
        constants, statements = self.constants(at)

        def value(i: int, v: int) -> Expr:
            whole: Expr | None = None
            for d in reversed(range(DIGITS)):
                digit: Expr = chains[0][d].locals[i][v]
                for more in chains[1:]:
                    digit = Op("add", (digit, more[d].locals[i][v]), i32)
                part = Op("cast", (digit,), f32)
                whole = part if whole is None else multiply_add(whole, weight, part, self.fused)
            assert whole is not None
            row = self.tile.row + i
            found = Op("mul", (whole, Broadcast(self.left.unit(row, at), lanes)), f32)
            shift = self.g.shift(lanes, constants[v])
            if shift is None:
                return found
            total = Op("neg", (Broadcast(self.left.total(row, at), lanes),), f32)
            return multiply_add(shift, total, found, self.fused)

        return [*statements, *own.assign(value)]


def _added_up(whole: Accumulators, halves: Accumulators, ones: Expr) -> Callable[[int, int], Expr]:
    """Sums and what is in the halves of words."""
    return lambda i, v: Op("dot_i16_i16", (whole.locals[i][v], halves.locals[i][v], ones), i32)
