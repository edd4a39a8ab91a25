"""A product with codes in memory: words of codes and the constants of blocks, each packed into panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import ceil, prod

from tcomp.ir.dtypes import DType, f32, i32, u8
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Buffer, Const, Expr, IntValue, Load, Lookup, Op, Space, rewrite
from tcomp.ir.tensor import nodes as t
from tcomp.ops.lookups import has_lookup
from tcomp.schedule.contraction.coded import CODES, PER_WORD, CodedContraction
from tcomp.schedule.contraction.dimensions import Dimension, Scope, is_affine
from tcomp.schedule.contraction.fixed_codes import (
    BY_BLOCK,
    BY_ELEMENT,
    FIXED,
    FixedPoint,
    fixed_point,
)
from tcomp.schedule.contraction.geometry import Geometry, Operand, survey
from tcomp.schedule.contraction.values import constant_value
from tcomp.schedule.vectorize import vectorize
from tcomp.schedule.words import word_of

WORD = i32
BITS = 4


@dataclass(frozen=True, slots=True)
class Panelled:
    """Scalars over the columns' counter and those of `inner`, to be packed: rows of panels, one for each
    position of inner. `marker` stands for them in expressions."""

    value: Expr
    inner: tuple[Dimension, ...]
    marker: Load

    @property
    def rows(self) -> int:
        """Positions of inner."""
        return prod(d.extent for d in self.inner)

    @property
    def dtype(self) -> DType:
        return self.value.dtype

    def runs_along(self, own: Dimension) -> bool:
        """Whether vectors run better along the columns than along inner."""
        return Operand(own, self.value, self.inner, (), self.value).runs_along_own()


@dataclass(frozen=True, slots=True)
class CodedGeometry(Geometry):
    """A contraction whose right side is `words` of codes and the `constants` of blocks.

    `value` is an element over the markers of the code and of constants; `table` has its values where it
    depends on the code alone. `scale` is what a block's sum is multiplied by, None for 1.
    With `fixed` sums of groups are those of integers, and words hold the codes that this wants.
    """

    block: Dimension
    words: Panelled
    constants: tuple[Panelled, ...]
    code: Load
    value: Expr
    table: tuple[float, ...] | None
    scale: Panelled | None
    size: int  # of a block
    per_word: int
    fixed: FixedPoint | None = None

    @property
    def panelled(self) -> tuple[Panelled, ...]:
        """All that is packed."""
        return (self.words, *self.constants)

    @property
    def words_of_group(self) -> int:
        return ceil(self.group / self.per_word)

    @property
    def way(self) -> int:
        """What the scale multiplies."""
        if self.fixed is not None:
            return FIXED
        return BY_ELEMENT if self.scale is None else BY_BLOCK

    @property
    def bits(self) -> int:
        """Bits of a code in a word."""
        return WORD.bits // self.per_word

    @property
    def group(self) -> int:
        """Inner positions whose sum is scaled at a time: a block, or part of it."""
        return self.fixed.group if self.fixed is not None else self.size

    def element(self, lanes: int, code: Expr, constants: Mapping[Load, Expr]) -> Expr:
        """A vector of elements, from one of words in whose low bits the codes are, or of codes themselves, and
        what stands for the markers of constants."""
        if self.table is not None and has_lookup(lanes, self.scope.target.has):
            found: Expr = Lookup(self.table, code)
            for each in constants.values():
                found = Op("mul", (found, each), f32)
            return found
        if self.per_word > 1:
            code = Op("bit_and", (code, Const((1 << self.bits) - 1, WORD, lanes)), WORD)
        return self._over(self.value, lanes, {**constants, self.code: _as(code, self.code.dtype)})

    def shift(self, lanes: int, constants: Mapping[Load, Expr]) -> Expr | None:
        """A vector of what is taken from codes in fixed point, beside their zero."""
        if self.fixed is None or self.fixed.shift is None:
            return None
        return self._over(self.fixed.shift, lanes, constants)

    def _over(self, value: Expr, lanes: int, given: Mapping[Load, Expr]) -> Expr:
        """A value over markers as a vector over what stands for them."""
        known = {marker.buffer: each for marker, each in given.items()}
        wide = vectorize(value, self.columns.at, lanes)
        return rewrite(wide, lambda n: known.get(n.buffer) if isinstance(n, Load) else None)


def survey_coded(contraction: CodedContraction, scope: Scope, way: int) -> CodedGeometry:
    """Finds the dimensions and templates of a product with codes. The scale multiplies elements, or sums of
    blocks in floats or in integers, as the `way` tells."""
    whole = survey(contraction, scope)
    block = scope.dimension(contraction.blocks, "block")
    within = scope.dimension(contraction.within, "k")
    around = [*whole.around(), whole.columns]

    def placed(expr: t.Expr) -> Expr:
        return scope.template(expr, [*around, block, within])

    def marked(name: str, dtype: DType) -> Load:
        return Load(Buffer(name, dtype, 1, Space.PRIVATE), Int.of(whole.columns.at))

    constants = {
        expr: Panelled(placed(expr), (block,), marked(f"constant{n}", expr.dtype))
        for n, expr in enumerate(contraction.constants)
    }
    code = marked("code", contraction.code.dtype)
    known = {e: p.marker for e, p in constants.items()} | {contraction.code: code}
    value = scope.template(contraction.value, around, known)
    table = None if constants or contraction.per_word == 1 else _table(value, code)
    scale = None
    if contraction.scale is not None:
        scale = Panelled(placed(contraction.scale), (block,), marked("scale", f32))
        if way == BY_ELEMENT:
            value = Op("mul", (value, scale.marker), f32)
    packed = (*constants.values(), *([scale] if scale else []))
    kept = {f.name: getattr(whole, f.name) for f in fields(Geometry)}
    held = {expr: panel.marker for expr, panel in constants.items()}
    fixed = None
    per_word = contraction.per_word
    if way == FIXED:
        fixed = fixed_point(contraction, value, code, held, scope.target)
    if fixed is not None:
        per_word, code = fixed.per_word, marked("code", WORD)
        value = fixed.element(code)
        table = _table(value, code) if fixed.shift is None and fixed.bits == BITS else None
    words = _words(scope, placed(contraction.code), (block, within), per_word)
    if fixed is not None and fixed.mask:
        flipped = Op("bit_xor", (words.value, Const(fixed.masks, WORD)), WORD)
        words = replace(words, value=flipped)
    return CodedGeometry(
        **kept, block=block, words=words, constants=packed, code=code, value=value, table=table,
        scale=None if way == BY_ELEMENT else scale, size=contraction.block, per_word=per_word,
        fixed=fixed,
    )  # fmt: skip


def _words(scope: Scope, code: Expr, inner: Sequence[Dimension], per_word: int) -> Panelled:
    """Words of the codes at consecutive positions; behind a block's end the last code again. Or codes."""
    block, within = inner
    count = ceil(within.extent / per_word)
    blocks = Iter("block", Int.of(0), Int.of(block.extent))
    number = Iter("word", Int.of(0), Int.of(count))

    def word(at: Int, position: Int) -> Expr:
        parts = []
        for j in range(per_word):
            place = position * per_word + j
            if within.extent % per_word:
                place = place.min(within.extent - 1)
            parts.append(code.sub({block.at: at, within.at: place}))
        return _joined(parts)

    dtype = code.dtype if per_word == 1 else WORD
    marker = Load(Buffer("word", dtype, 1, Space.PRIVATE), Int.of(0))
    flat = scope.dimension([blocks, number], "w")
    value = word(Int.of(flat.at) // count, Int.of(flat.at) % count)
    if is_affine(value, flat.at):
        return Panelled(value, (flat,), marker)
    outer, last = scope.dimension([blocks], "block"), scope.dimension([number], "w")
    return Panelled(word(Int.of(outer.at), Int.of(last.at)), (outer, last), marker)


def _joined(codes: Sequence[Expr]) -> Expr:
    """A word of codes: eight of 4 bits, four bytes, or one as it is."""
    if len(codes) == PER_WORD:
        return packed_codes([_as(code, WORD) for code in codes])
    return word_of(codes, WORD) if len(codes) > 1 else codes[0]


def packed_codes(parts: Sequence[Expr]) -> Expr:
    """A word of codes, the first one in its low bits: one load where they lie so in memory."""
    nibbles = [found for part in parts if (found := _nibble(part)) is not None]
    in_order = [first for _, first in nibbles] == [BITS * (k % 2) for k in range(len(parts))]
    loads = [load for load, _ in nibbles]
    if in_order and loads[::2] == loads[1::2]:
        return word_of(loads[::2], WORD)
    result = parts[0]
    for k, part in enumerate(parts[1:], 1):
        moved = Op("shift_left", (part, Const(BITS * k, WORD)), WORD)
        result = Op("bit_or", (result, moved), WORD)
    return result


def _nibble(part: Expr) -> tuple[Load, int] | None:
    """The byte and the first bit of `byte >> first & 15`, None for another expression."""
    match part:
        case Op("cast", (inner,), _):
            return _nibble(inner)
        case Op("bit_and", (Op("shift_right", (Op("cast", (Load() as load,), _), by), _), mask), _):
            first = _constant(by)
        case Op("bit_and", (Op("cast", (Load() as load,), _), mask), _):
            first = 0
        case _:
            return None
    fits = _constant(mask) == CODES - 1 and load.dtype is u8 and load.mask is None
    return (load, first) if fits and first is not None else None


def _constant(expr: Expr) -> int | None:
    match expr:
        case Const(value, _, _):
            return int(value)
        case IntValue(base, _, _, _) if base.is_constant:
            return int(base)
    return None


def _as(value: Expr, dtype: DType) -> Expr:
    return value if value.dtype is dtype else Op("cast", (value,), dtype)


def _table(value: Expr, code: Load) -> tuple[float, ...] | None:
    """The values for all codes, where the code is all that a value depends on."""
    found = []
    for number in range(CODES):
        given = Const(number, code.dtype)
        known = constant_value(rewrite(value, dict[Expr, Expr]({code: given}).get))
        if known is None:
            return None
        found.append(float(known))
    return tuple(found)
