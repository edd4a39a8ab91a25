"""The left side of a product with codes in fixed point: each group of inner positions as integers of one unit.

    x[k] = unit * (65536 * d2[k] + 256 * d1[k] + d0[k])      -128 <= d <= 127, unit a power of two

The integers have 23 bits and a sign, so that an element differs from its integer by at most 2^-23 of the largest
one in its group: about what a float of that size is rounded by. (Slices of integers instead of floats: Ozaki et
al., Numer. Algorithms 59, 2012; Ootomo et al., IJHPCA 38, 2024.) Digits of positions that share a word of codes
stand in one word. A group with infinity or NaN, with numbers of very different sizes, or with nothing but tiny
ones, has the unit 0: such are summed as floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from tcomp.ir.dtypes import DType, boolean, f32, i8, i32, i64, u32
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Const,
    Declare,
    Expr,
    For,
    Horizontal,
    Load,
    Local,
    Op,
    Space,
    Stmt,
    Store,
)
from tcomp.ops.dots import WORD
from tcomp.schedule.contraction.coded_geometry import CodedGeometry
from tcomp.schedule.contraction.coded_price import makes_together
from tcomp.schedule.contraction.dimensions import positions
from tcomp.schedule.contraction.fixed_codes import DIGITS, FixedPoint
from tcomp.schedule.contraction.tasks import Place
from tcomp.schedule.contraction.tile import leading
from tcomp.schedule.vectorize import vectorize

_ELEMENTS = 4  # in a word
_CENTRE = 0x808080  # makes digits of 0 .. 255 of signed ones
_HIGH = 16  # bits below the last digit
_FRACTION = 23  # bits of a float's fraction
_WHOLE, _WHOLE_BITS = 1 << 23, 0x4B000000  # from here on floats are integers
_EXPONENT = 0x7F800000
_MARGIN = (
    1 << 17
)  # of the fraction: a largest number nearer to a power of two gets the next exponent
_LEAST = 27 << _FRACTION  # the bits of 2^-100
_SPAN = (
    16 << _FRACTION
)  # between the largest and the smallest number but 0: all keep at least 7 bits
_UNIT = 22 << _FRACTION  # from the exponent of the largest number to that of the unit
_INVERSE = (276 << _FRACTION) - (1 << 32)  # less a number's exponent: that of 2^22 divided by it


@dataclass(frozen=True, slots=True)
class FixedLeft:
    """Digits, units and sums of all rows, made before the tasks."""

    g: CodedGeometry
    fixed: FixedPoint
    digits: Buffer
    units: Buffer
    starts: Buffer  # low 16 bits, high ones
    totals: Buffer  # sums of elements, as floats

    @staticmethod
    def of(g: CodedGeometry, fixed: FixedPoint) -> FixedLeft:
        """The buffers."""
        groups = g.rows.extent * (g.inner // fixed.group)
        length = DIGITS * _ELEMENTS * fixed.phases * ceil(fixed.group / fixed.per_word)

        def buffer(stem: str, dtype: DType, extent: int) -> Buffer:
            return Buffer(g.scope.names.fresh(stem), dtype, extent, Space.WORKSPACE)

        return FixedLeft(
            g, fixed, buffer("digits", i8, groups * length), buffer("units", f32, groups),
            buffer("starts", i32, 2 * groups), buffer("totals", f32, groups),
        )  # fmt: skip

    # -- what tiles read -----------------------------------------------------------------------------

    def unit(self, row: Int, group: Int) -> Expr:
        """The unit of a group, 0 where its elements are no integers."""
        return Load(self.units, self._group(row, group))

    def start(self, row: Int, group: Int, digit: int) -> Expr:
        """What sums of products with a digit start from: together, the zero of codes times the sum of elements,
        negative."""
        if not self.fixed.zero or digit == 1:
            return Const(0, i32)
        return Load(self.starts, self._group(row, group) * 2 + digit // 2)

    def total(self, row: Int, group: Int) -> Expr:
        """The sum of a group's elements."""
        return Load(self.totals, self._group(row, group))

    def word(self, row: Int, group: Int, word: Int, phase: int, digit: int) -> Expr:
        """The digits of the positions that are in one phase of a word of codes."""
        index = self._digits(row, group, phase, digit) + word * _ELEMENTS
        return Load(self.digits, index, word=WORD)

    def _group(self, row: Int, group: Int) -> Int:
        return row * (self.g.inner // self.fixed.group) + group

    def _digits(self, row: Int, group: Int, phase: int, digit: int) -> Int:
        streams = DIGITS * self.fixed.phases
        number = self._group(row, group) * streams + (phase * DIGITS + digit)
        return number * self._stream

    @property
    def _stream(self) -> int:
        """Digits of a group in one phase, whole words."""
        return _ELEMENTS * ceil(self.fixed.group / self.fixed.per_word)

    # -- how they are made ---------------------------------------------------------------------------

    def share(self, place: Place, parallel: bool) -> list[Stmt]:
        """Makes them all, with all threads where that pays and they are there."""
        g, count = self.g, self.g.inner // self.fixed.group
        at = g.scope.names.loop("group", 0, g.rows.extent * count - 1)
        row, group = Int.of(at) // count, Int.of(at) % count
        parallel = parallel and makes_together(g)
        body = tuple(self._make(place, row, group))
        return [For(at, Int.of(0), Int.of(g.rows.extent * count), body, 1, parallel, 8)]

    def _make(self, place: Place, row: Int, group: Int) -> list[Stmt]:
        names, lanes = self.g.scope.names, self.g.lanes
        statements: list[Stmt] = []
        parts = list(self._parts(place, row, group))
        elements = [names.local("x", f32, lanes) for _ in parts]
        largest: Expr | None = None
        smallest: Expr | None = None
        for local, (_, _, value) in zip(elements, parts, strict=True):
            statements.append(Declare(local, value))
            bits = Op("bitcast", (local,), u32)
            size = Op("bit_and", (bits, Const(0x7FFFFFFF, u32, lanes)), u32)
            less = Op("sub", (size, Const(1, u32, lanes)), u32)  # 0 becomes the largest number
            largest = size if largest is None else Op("maximum", (largest, size), u32)
            smallest = less if smallest is None else Op("minimum", (smallest, less), u32)
        assert largest is not None and smallest is not None
        top, low = names.local("largest", i32), names.local("smallest", i32)
        exponent = names.local("exponent", i32)
        least = Op("add", (Horizontal("minimum", smallest), Const(1, u32)), u32)
        statements += [
            Declare(top, Op("bitcast", (Horizontal("maximum", largest),), i32)),
            Declare(low, Op("bitcast", (least,), i32)),
            Declare(exponent, _exponent(top)),
        ]
        at = self._group(row, group)
        statements.append(Store(self.units, at, _unit(top, low, exponent)))
        inverse = names.local("inverse", f32, lanes)
        bits = Op("sub", (Const(_INVERSE, i32), exponent), i32)
        statements.append(Declare(inverse, _spread(Op("bitcast", (bits,), f32), lanes)))
        total = names.local("total", i32, lanes)
        statements.append(Declare(total, Const(0, i32, lanes)))
        for local, (phase, first, _) in zip(elements, parts, strict=True):
            whole = names.local("whole", i32, lanes)
            statements += [
                Declare(whole, _rounded(local, inverse)),
                Assign(total, Op("add", (total, whole), i32)),
                *self._put(whole, self._digits(row, group, phase, 0) + first, first),
            ]
        return statements + self._sums(at, Horizontal("add", total), exponent)

    def _parts(self, place: Place, row: Int, group: Int) -> Iterator[tuple[int, int, Expr]]:
        """Vectors of a group's elements, each with its phase and its first place in that."""
        g, fixed, lanes = self.g, self.fixed, self.g.lanes
        at = g.scope.names.loop("k", 0, self._stream - 1)
        for phase in range(fixed.phases):
            position = group * fixed.group + Int.of(at) * fixed.phases + phase
            there = positions(g.left.inner, position) | {g.rows.at: row}
            element = g.left.value.sub(place | there)
            count = ceil((fixed.group - phase) / fixed.phases)
            for first in range(0, self._stream, lanes):
                if first >= count:
                    yield phase, first, Const(0.0, f32, lanes)
                    continue
                mask = leading(min(lanes, count - first), lanes)
                yield phase, first, vectorize(element, at, lanes, mask).sub({at: Int.of(first)})

    def _put(self, whole: Local, index: Int, first: int) -> list[Stmt]:
        """Stores the digits of a vector of integers."""
        lanes = whole.lanes
        mask = leading(min(lanes, self._stream - first), lanes)
        centre = Const(_CENTRE, i32, lanes)
        digits = Op("bit_xor", (Op("add", (whole, centre), i32), centre), i32)
        statements: list[Stmt] = []
        for d in range(DIGITS):
            moved = Op("shift_right", (digits, Const(8 * d, i32, lanes)), i32) if d else digits
            digit = Op("cast", (moved,), i8)
            statements.append(Store(self.digits, index + d * self._stream, digit, mask=mask))
        return statements

    def _sums(self, at: Int, total: Expr, exponent: Local) -> list[Stmt]:
        """Stores what the sum of a group's integers is needed for."""
        names, fixed = self.g.scope.names, self.fixed
        whole = names.local("total", i32)
        statements: list[Stmt] = [Declare(whole, total)]
        if fixed.zero:
            less = names.local("less", i64)
            product = Op("mul", (Op("cast", (whole,), i64), Const(-fixed.zero, i64)), i64)
            low = Op("bit_and", (less, Const((1 << _HIGH) - 1, i64)), i64)
            high = Op("shift_right", (less, Const(_HIGH, i64)), i64)
            statements += [
                Declare(less, product),
                Store(self.starts, at * 2, Op("cast", (low,), i32)),
                Store(self.starts, at * 2 + 1, Op("cast", (high,), i32)),
            ]
        if fixed.shift is not None:
            unit = Op("bitcast", (Op("sub", (exponent, Const(_UNIT, i32)), i32),), f32)
            total = Op("mul", (Op("cast", (whole,), f32), unit), f32)
            statements.append(Store(self.totals, at, total))
        return statements


def _exponent(top: Expr) -> Expr:
    """The bits of the power of two of which all elements are small parts."""
    field = Op("bit_and", (Op("add", (top, Const(_MARGIN, i32)), i32), Const(_EXPONENT, i32)), i32)
    return Op("maximum", (field, Const(_LEAST, i32)), i32)


def _unit(top: Expr, low: Expr, exponent: Expr) -> Expr:
    """The unit, or 0 where the largest element is not finite or tiny, or much larger than the smallest."""
    finite = Op("lt", (top, Const(_EXPONENT - _MARGIN, i32)), boolean)
    zero = Op("eq", (top, Const(0, i32)), boolean)
    fair = Op("or", (zero, Op("ge", (top, Const(_LEAST, i32)), boolean)), boolean)
    even = Op("le", (Op("sub", (top, low), i32), Const(_SPAN, i32)), boolean)
    unit = Op("sub", (exponent, Const(_UNIT, i32)), i32)
    good = Op("and", (Op("and", (finite, fair), boolean), even), boolean)
    chosen = Op("where", (good, unit, Const(0, i32)), i32)
    return Op("bitcast", (chosen,), f32)


def _rounded(x: Local, inverse: Local) -> Expr:
    """x / unit as an integer; any where that is not below 2^23. Adding 2^23 to its size rounds it: conversions
    would look for NaN."""
    lanes = x.lanes
    bits = Op("bitcast", (x,), i32)
    size = Op("bitcast", (Op("bit_and", (bits, Const(0x7FFFFFFF, i32, lanes)), i32),), f32)
    sum_ = Op("add", (Op("mul", (size, inverse), f32), Const(float(_WHOLE), f32, lanes)), f32)
    first = Const(_WHOLE_BITS, i32, lanes)
    found = Op("sub", (Op("bitcast", (sum_,), i32), first), i32)
    sign = Op("shift_right", (bits, Const(31, i32, lanes)), i32)
    return Op("sub", (Op("bit_xor", (found, sign), i32), sign), i32)


def _spread(value: Expr, lanes: int) -> Expr:
    return Broadcast(value, lanes) if lanes > 1 else value
