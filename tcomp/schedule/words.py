"""Words: several narrow elements side by side in one wider integer, the first one in its low bits."""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.ir.dtypes import DType, u8, u16
from tcomp.ir.loop.nodes import Const, Expr, Load, Op

_UNSIGNED = {8: u8, 16: u16}


def word_of(parts: Sequence[Expr], word: DType) -> Expr:
    """The word that holds `parts`, all of one narrow type: one load where they lie side by side."""
    whole = _one_load(parts, word)
    if whole is not None:
        return whole
    bits = parts[0].dtype.bits
    result: Expr | None = None
    for k, part in enumerate(parts):
        wide = Op("cast", (_unsigned(part),), word)
        placed = wide
        if k:
            placed = Op("shift_left", (wide, Const(bits * k, word, part.lanes)), word)
        result = placed if result is None else Op("bit_or", (result, placed), word)
    assert result is not None
    return result


def _one_load(parts: Sequence[Expr], word: DType) -> Load | None:
    first = parts[0]
    if not isinstance(first, Load) or first.word is not None:
        return None
    for k, part in enumerate(parts):
        follows = (
            isinstance(part, Load)
            and part.word is None
            and part.buffer is first.buffer
            and (part.lanes, part.stride, part.mask) == (first.lanes, first.stride, first.mask)
            and part.index - first.index is first.index - first.index + k
        )
        if not follows:
            return None
    return Load(first.buffer, first.index, first.lanes, first.stride, first.mask, word)


def _unsigned(part: Expr) -> Expr:
    """The same bits, so that widening fills with zeros."""
    goal = _UNSIGNED[part.dtype.bits]
    if part.dtype is goal:
        return part
    return Op("bitcast", (part,), goal)
