"""Codes that are integers: what sums of products in fixed point need to know of them.

    value(code) == (code ^ mask) - zero - shift             mask and zero literals, shift the same within a block
    sum[k](x[k] * value[k]) == sum[k](x[k] * (code[k] ^ mask)) - (zero + shift) * sum[k](x[k])

Words hold `code ^ mask`, which is never negative: 4 bits as they are for u4, with the highest one flipped for i4,
and bytes likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tcomp.ir.dtypes import f32
from tcomp.ir.loop.nodes import Const, Expr, Load, Op, postorder, rewrite
from tcomp.ir.tensor import nodes as t
from tcomp.ops.dots import PAIRS, WORD, instruction
from tcomp.schedule.contraction.coded import CodedContraction
from tcomp.schedule.contraction.narrow import value_range
from tcomp.schedule.contraction.values import constant_value
from tcomp.target import Target

BY_ELEMENT, BY_BLOCK, FIXED = (
    0,
    1,
    2,
)  # what a scale multiplies: elements, sums of floats, sums of integers

DIGITS = 3  # of an element in fixed point, each a signed byte
_DOTS = {4: "dot_u7_i8", 8: "dot_u8_i8"}  # by the bits of a code
_ADD_UP = "dot_i16_i16"
_LONGEST = 128  # positions of a group: they share an exponent, and their sums stay far inside i32
_EXACT = 1 << 23  # integers up to it are floats


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Codes of `bits` bits as integers. `group` positions, a block or an even part of it, share an exponent;
    `dot` multiplies their words, in `halves` several times before these are added up."""

    bits: int
    dot: str
    mask: int
    zero: int
    shift: Expr | None  # in f32, over the markers of constants
    group: int
    halves: bool

    @property
    def per_word(self) -> int:
        """Codes in a word."""
        return WORD.bits // self.bits

    @property
    def phases(self) -> int:
        """Bytes that a byte of a word is taken apart into."""
        return 8 // self.bits

    @property
    def masks(self) -> int:
        """The mask for all codes of a word, as a signed number."""
        word = sum(self.mask << self.bits * k for k in range(self.per_word))
        return word - (1 << WORD.bits) if word >> (WORD.bits - 1) else word

    def element(self, code: Expr) -> Expr:
        """The value of a code in a word, without the shift, in f32."""
        found: Expr = Op("cast", (code,), f32)
        if self.zero:
            found = Op("sub", (found, Const(float(self.zero), f32)), f32)
        return found if self.shift is None else Op("sub", (found, self.shift), f32)


def fixed_point(
    contraction: CodedContraction,
    value: Expr,
    code: Load,
    constants: Mapping[t.Expr, Load],
    target: Target,
) -> FixedPoint | None:
    """How a value over markers is an integer, None where it is none or the target cannot multiply such."""
    bits = 4 if contraction.per_word > 1 else contraction.code.dtype.bits
    if not target.fixed_point or bits not in _DOTS or not contraction.code.dtype.is_integer:
        return None
    lanes = target.lanes(WORD.bits)
    row = instruction(_DOTS[bits], lanes, target.has)
    if row is None:
        return None
    halves = all(instruction(op, lanes, target.has) for op in (PAIRS, _ADD_UP)) and bool(row.pairs)
    whole, shift = _apart(value, code)
    exact = shift is None or _is_exact(shift, constants)
    offset = _offset(whole, code, bits)
    group = _group(contraction.block, WORD.bits // bits)
    if not exact or offset is None or group is None:
        return None
    if shift is not None and shift.dtype is not f32:
        shift = Op("cast", (shift,), f32)
    return FixedPoint(bits, PAIRS if halves else _DOTS[bits], *offset, shift, group, halves)


def _apart(value: Expr, code: Load) -> tuple[Expr, Expr | None]:
    """What is decided by the code, and what is subtracted from it."""
    match value:
        case Op("cast", (Op("sub", (left, right), _),), _) | Op("sub", (left, right), _):
            if any(isinstance(n, Load) for n in postorder(right)) and code not in postorder(right):
                return left, right
    return value, None


def _is_exact(shift: Expr, constants: Mapping[t.Expr, Load]) -> bool:
    """Whether a shift is a float, or an integer that is exact as one."""
    if shift.dtype is f32:
        return True
    for expr, marker in constants.items():
        if marker is shift and expr.dtype.is_integer:
            low, high = value_range(expr)
            return low > -_EXACT and high < _EXACT
    return False


def _offset(value: Expr, code: Load, bits: int) -> tuple[int, int] | None:
    """The mask and the zero of a value over a code alone."""
    numbers = np.arange(1 << bits)
    if bits == code.dtype.bits:
        numbers = numbers.astype(np.uint8).view(code.dtype.numpy)
    found: list[float] = []
    for number in numbers:
        given = dict[Expr, Expr]({code: Const(int(number), code.dtype)})
        known = constant_value(rewrite(value, given.get))
        if known is None:
            return None
        found.append(float(known))
    mask = int(np.argmin(found))
    zero = -found[mask]
    expected = (np.arange(1 << bits) ^ mask) - zero
    return (mask, int(zero)) if np.array_equal(found, expected) else None


def _group(block: int, unit: int) -> int | None:
    """The most positions of an even part of a block, in whole words unless it is all of it."""
    if block <= _LONGEST:
        return block
    parts = (n for n in range(_LONGEST, unit - 1, -1) if block % n == 0 and n % unit == 0)
    return next(parts, None)
