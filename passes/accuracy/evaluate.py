"""Programs evaluated with the roundings of their own types, and without.

The reference interpreter computes in float64, sums in NumPy's order and forgets the roundings of f32.
Here `OwnTypes` rounds after every operation as the program's types say and adds strictly left to right;
`Truth` computes with more digits and rounds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType, compute_type, f64
from tcomp.ir.tensor.conversions import round_float
from tcomp.ir.tensor.interpreter import Array, Interpreter
from tcomp.ir.tensor.nodes import Apply, Program, Reduce

EXTENDED = np.dtype(np.longdouble)  # 64 bits of significand on x86, 113 on AArch64 Linux
MANY_SUMS = 128  # of which one vector operation adds a term each
HAS_EXTENDED = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant


class _Rounding(Interpreter):
    """Floats as arrays of a chosen NumPy type."""

    def work(self, dtype: DType) -> np.dtype[Any]:
        """The NumPy type in which a float type is computed."""
        raise NotImplementedError

    def stored(self, values: Array, dtype: DType) -> Array:
        """Values as a float type holds them."""
        return values.astype(self.work(dtype))

    def representation(self, dtype: DType) -> np.dtype[Any]:
        return self.work(dtype) if dtype.is_float else super().representation(dtype)

    def constant(self, value: float | int | bool, dtype: DType, rank: int) -> Array:
        if not dtype.is_float:
            return super().constant(value, dtype, rank)
        return np.full((1,) * rank, value, self.work(dtype))

    def convert(self, values: Array, source: DType, target: DType) -> Array:
        if target.is_float:
            return self.stored(values, target)
        if source.is_float:
            values = values.astype(np.float64)
        return super().convert(values, source, target)

    def apply(self, node: Apply, operands: list[Array]) -> Array:
        made = super().apply(node, operands)
        return made.astype(self.work(node.dtype), copy=False) if node.dtype.is_float else made

    def reduce_block(self, node: Reduce, parts: list[Array], extents: tuple[int, ...]) -> Any:
        if node.op != "sum" or not node.body.dtype.is_float:
            return super().reduce_block(node, parts, extents)
        terms = parts[0] if len(parts) == 1 else parts[0] * parts[1]
        outer = terms.shape[: terms.ndim - len(extents)]
        return self.total(np.broadcast_to(terms, (*outer, *extents)), len(extents))

    def total(self, terms: Array, axes: int) -> Array:
        """The sum of the last axes."""
        raise NotImplementedError


class OwnTypes(_Rounding):
    """Every operation in its own type, every sum left to right.

    `by_rows` sums the last iterator of a sum first, then the one before it, as nested loops do; else all
    terms are added to one partial sum. `single` computes f64 in f32, where no wider type is there to
    judge f64: the ratio of two errors in units of rounding is the same.
    """

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Array],
        *,
        by_rows: bool = False,
        single: bool = False,
    ) -> None:
        self.by_rows, self.single = by_rows, single
        super().__init__(program, inputs)

    def work(self, dtype: DType) -> np.dtype[Any]:
        return np.dtype(np.float32 if self.single or compute_type(dtype) is not f64 else np.float64)

    def stored(self, values: Array, dtype: DType) -> Array:
        if compute_type(dtype) is not dtype:
            values = round_float(values.astype(np.float64), dtype)
        return values.astype(self.work(dtype))

    def total(self, terms: Array, axes: int) -> Array:
        if not self.by_rows:
            terms, axes = terms.reshape(*terms.shape[: terms.ndim - axes], -1), 1
        for _ in range(axes):
            terms = _left_to_right(terms)
        return terms


def _left_to_right(terms: Array) -> Array:
    """The sum of the last axis: term by term where there are many sums, else by NumPy's only sum whose order is
    promised."""
    if np.prod(terms.shape[:-1]) < MANY_SUMS:
        return np.add.accumulate(terms, axis=-1)[..., -1]
    first, *others = np.ascontiguousarray(np.moveaxis(terms, -1, 0))
    total = first.copy()
    for term in others:
        np.add(total, term, out=total)
    return total


class Truth(_Rounding):
    """With more digits than any type of the program has: float64, or `extended` where f64 is judged."""

    def __init__(
        self, program: Program, inputs: Mapping[str, Array], *, extended: bool = False
    ) -> None:
        self.wide = EXTENDED if extended else np.dtype(np.float64)
        super().__init__(program, inputs)

    def work(self, dtype: DType) -> np.dtype[Any]:
        return self.wide

    def reduce_block(self, node: Reduce, parts: list[Array], extents: tuple[int, ...]) -> Any:
        if self.wide is not EXTENDED:  # matrix products
            return Interpreter.reduce_block(self, node, parts, extents)
        return super().reduce_block(node, parts, extents)

    def total(self, terms: Array, axes: int) -> Array:
        return terms.sum(tuple(range(terms.ndim - axes, terms.ndim)))
