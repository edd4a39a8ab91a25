"""Floats as exact integers: a ring with an order, in which max(a, b) + c = max(a + c, b + c).

A field has no such order, so max-plus and min-plus programs are compared here. Inputs are small, so that
sums of products of a few factors stay below 2**63. Functions that are no ring operations are uninterpreted,
with small values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType
from tcomp.ir.tensor.interpreter import Array, Interpreter
from tcomp.ir.tensor.nodes import Apply
from tcomp.ops import OPS, TypeRule
from tcomp.passes.verification.field import FieldInterpreter, mixed

LARGEST = 1 << 9  # of the absolute values of inputs and of uninterpreted functions
ENDLESS = 1 << 56  # stands for infinity
EXACT = ("add", "sub", "mul", "neg", "where", "minimum", "maximum", "relu", "abs")


class OrderedRing(FieldInterpreter):
    """Evaluates with floats as int64."""

    def input_array(self, tensor: Any, inputs: Any) -> Array:
        given = super().input_array(tensor, inputs)
        return _small(given) if tensor.dtype.is_float else given

    def constant(self, value: float | int | bool, dtype: DType, rank: int) -> Array:
        if not dtype.is_float:
            return Interpreter.constant(self, value, dtype, rank)
        if abs(value) == float("inf"):
            made = ENDLESS if value > 0 else -ENDLESS
        elif value == int(value if value == value else 0):
            made = int(value)
        else:
            made = int(_small(mixed(repr(value), [np.zeros(1, np.int64)]))[0])
        return np.full((1,) * rank, made, np.int64)

    def convert(self, values: Array, source: DType, target: DType) -> Array:
        if target.is_float:
            return values.astype(np.int64)
        return super().convert(values, source, target)

    def apply(self, node: Apply, operands: list[Array]) -> Array:
        floats = any(a.dtype.is_float for a in node.args)
        if not floats or node.op in EXACT or OPS[node.op].rule is TypeRule.COMPARISON:
            return np.asarray(OPS[node.op].numpy(*operands))
        if OPS[node.op].rule is TypeRule.TEST:
            return super().apply(node, operands)
        return _small(mixed(node.op, operands))

    def reduce_block(self, node: Any, parts: list[Array], extents: tuple[int, ...]) -> Any:
        if len(parts) == 2 and node.body.dtype.is_float:
            parts = [parts[0] * parts[1]]
        return Interpreter.reduce_block(self, node, parts, extents)

    def combine(self, node: Any, earlier: Array, later: Array) -> Array:
        return Interpreter.combine(self, node, earlier, later)


def _small(values: Array) -> Array:
    return values % (2 * LARGEST + 1) - LARGEST
