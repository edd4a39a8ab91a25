"""Contractions of narrow elements, several inner positions at a time: each side as words.

    sum[k](A[i, k] * B[k, j])  ==  sum[w](dot(a[i, w], b[w, j])),   a[i, w] = A[i, 4*w .. 4*w + 3] in one i32

A word is a scalar like any other, so packers, panels, guards and blocks of inner are those of every
contraction, over a quarter (bytes) or half (16 bits) of the inner positions. What lies behind the last
position is zero.

Where the processor multiplies unsigned by signed bytes only, 128 is added to signed ones of the left:
sum[k]((a + 128) * b) - sum[k](128 * b) is the same number, as both wrap alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from tcomp.ir.dtypes import DType, bf16, boolean, i8, i16, i64, u8
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Const, Expr, IntValue, Load, Op, rewrite
from tcomp.ir.tensor import nodes as t
from tcomp.ops.dots import DOTS, WORD, instruction
from tcomp.schedule.conditions import conjunction
from tcomp.schedule.contraction.blocking import SHARED
from tcomp.schedule.contraction.dimensions import Dimension, Scope
from tcomp.schedule.contraction.geometry import Geometry, Operand, survey
from tcomp.schedule.contraction.match import Contraction, extent
from tcomp.schedule.contraction.narrow import narrowed
from tcomp.schedule.words import word_of
from tcomp.target import Target

_SIGN_BITS = 0x80808080 - (1 << 32)  # added to each byte of a word without carries, by exclusive or


@dataclass(frozen=True, slots=True)
class WordForm:
    """Which elements the words of both sides hold, and the operation that multiplies them.

    `flipped`: the left words are the operation's second operand. `offset`: left bytes get 128 added.
    """

    left: DType
    right: DType
    op: str
    flipped: bool = False
    offset: bool = False

    @property
    def group(self) -> int:
        """Inner positions of a word."""
        return WORD.bits // self.left.bits

    def is_available(self, target: Target) -> bool:
        """Whether the target has an instruction for its longest vectors."""
        return instruction(self.op, target.lanes(WORD.bits), target.has) is not None

    def is_fast(self, target: Target) -> bool:
        """Whether that instruction is known to be faster than products one by one."""
        return DOTS[self.op].sums.is_integer or target.cpu in _FAST_FLOATS

    def multiply(self, sums: Expr, left: Expr, right: Expr) -> Expr:
        """sums + left . right, word by word."""
        a, b = (right, left) if self.flipped else (left, right)
        return Op(self.op, (sums, a, b), DOTS[self.op].sums)


# A trace holds a form's number: rows are appended, never moved. 0 stands for products one by one.
FORMS: tuple[WordForm | None, ...] = (
    None,
    WordForm(i8, i8, "dot_i8_i8"),
    WordForm(u8, i8, "dot_u8_i8"),
    WordForm(i8, u8, "dot_u8_i8", flipped=True),
    WordForm(i8, i8, "dot_u8_i8", offset=True),
    WordForm(i16, i16, "dot_i16_i16"),
    WordForm(bf16, bf16, "dot_bf16_bf16"),
)
# vdpbf16ps has twice the products of an f32 multiply-add here. On an Emerald Rapids core it ran at 0.55 of the
# speed of f32 products (1024 cubed: 13.8 ms, f32 products of f16 7.6 ms).
_FAST_FLOATS = frozenset({"znver5"})


def word_forms(contraction: Contraction, target: Target) -> list[int]:
    """The numbers of the forms that hold a contraction's factors and that the target can multiply."""
    return [
        number
        for number, form in enumerate(FORMS)
        if form is not None
        and DOTS[form.op].sums is contraction.total.dtype
        and form.is_available(target)
        and narrowed(contraction.left, form.left) is not None
        and narrowed(contraction.right, form.right) is not None
    ]


@dataclass(frozen=True, slots=True)
class WordGeometry(Geometry):
    """A contraction whose sides are words; `inner` counts words, and so does all that is derived of it."""

    form: WordForm
    words: Dimension

    def inner_dimensions(self, direct: Sequence[tuple[t.Expr, Dimension]]) -> list[Dimension]:
        return [self.words]

    def factor(self, expr: t.Expr, own: Dimension, inner: Sequence[Dimension]) -> Expr:
        side = self.left if expr is self.contraction.left else self.right
        return side.value

    def spare_registers(self, right: int) -> int:
        """Sums of the offset too, unless they are packed with right."""
        return 4 if self.form.offset and right != SHARED else 1


def survey_words(contraction: Contraction, scope: Scope, form: WordForm) -> WordGeometry:
    """Finds the dimensions and templates of a contraction in words."""
    whole = survey(contraction, scope)
    inner = extent(contraction.inner)
    count = -(-inner // form.group)
    word = scope.dimension([Iter("word", Int.of(0), Int.of(count))], "w")
    sides = []
    for side, expr, dtype, offset in (
        (whole.left, contraction.left, form.left, form.offset),
        (whole.right, contraction.right, form.right, False),
    ):
        element = narrowed(expr, dtype)
        assert element is not None  # `word_forms` has looked
        maker = _WordMaker(whole, element, word, form.group, offset)
        sides.append(
            Operand(side.own, maker.at([side.own]), (word,), side.runs, maker.at(side.runs))
        )
    values = {f.name: getattr(whole, f.name) for f in fields(Geometry)}
    values |= {"inner": count, "left": sides[0], "right": sides[1]}
    return WordGeometry(**values, form=form, words=word)


@dataclass(frozen=True, slots=True)
class _WordMaker:
    """Words of `group` consecutive inner positions of one side's elements."""

    g: Geometry
    element: t.Expr
    word: Dimension
    group: int
    offset: bool

    def at(self, own: Sequence[Dimension]) -> Expr:
        """The word over the counters of its own dimensions and of `word`."""
        scope, inner = self.g.scope, self.g.contraction.inner
        flat = scope.dimension(inner, "k")
        value = scope.template(self.element, [*self.g.around(), *own, flat])
        first = Int.of(self.word.at) * self.group
        parts = [self._part(value, flat, first + j, j) for j in range(self.group)]
        word = word_of(parts, WORD)
        return Op("bit_xor", (word, Const(_SIGN_BITS, WORD)), WORD) if self.offset else word

    def _part(self, value: Expr, flat: Dimension, at: Int, j: int) -> Expr:
        part = value.sub({flat.at: at})
        rest = flat.extent % self.group
        if not rest or j < rest:
            return part
        inside = Op("lt", (IntValue(at, i64), Const(flat.extent, i64)), boolean)
        return _guarded(part, inside)


def _guarded(value: Expr, inside: Expr) -> Expr:
    """The value where `inside` holds, else zero; no memory is touched there."""

    def rule(node: Expr) -> Expr | None:
        match node:
            case Load(buffer, index, lanes, stride, mask, word):
                return Load(buffer, index, lanes, stride, conjunction(mask, inside), word)
        return None

    masked = rewrite(value, rule)
    if isinstance(masked, Load):
        return masked
    zero = Const(0, value.dtype)
    return Op("where", (inside, masked, zero), value.dtype)
