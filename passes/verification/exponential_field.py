"""A field in which exp(a + b) = exp(a) exp(b): what online softmax rests on.

Every float is two residues, modulo P and modulo Q, where P = 2 Q + 1 and both are prime. The powers of an
element of order Q make a group of that order in the field of P, so exp(x) = BASE ** (x mod Q) mod P is
a homomorphism. Its value modulo Q means nothing and is an uninterpreted function. (Two fields with Q a
divisor of P - 1 are from Mirage, Wu et al., OSDI 2025; here P is the largest safe prime below 2**31.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType
from tcomp.ir.tensor.interpreter import Array, Interpreter
from tcomp.ir.tensor.nodes import Apply, Reduce
from tcomp.ops import OPS, TypeRule
from tcomp.passes.verification.field import FieldInterpreter, inverse, mixed, residue

P = 2_147_483_579
Q = (P - 1) // 2
BASES = {"exp": 4, "exp2": 9}  # squares of 2 and 3, so of order Q
HALF = 31  # bits: a float is p << HALF | q
MASK = (1 << HALF) - 1


class ExponentialField(FieldInterpreter):
    """Evaluates with floats as pairs of residues; results are the residues modulo P alone."""

    p, q = P, Q

    def run(self) -> tuple[Array, ...]:
        found = zip(super().run(), self.program.results, strict=True)
        return tuple(a >> HALF if t.dtype.is_float else a for a, t in found)

    def input_array(self, tensor: Any, inputs: Any) -> Array:
        given = super().input_array(tensor, inputs)
        if not tensor.dtype.is_float:
            return given
        return packed(given % self.p, mixed("q", [given]) % self.q)

    def constant(self, value: float | int | bool, dtype: DType, rank: int) -> Array:
        if not dtype.is_float:
            return Interpreter.constant(self, value, dtype, rank)
        pair = packed(
            np.int64(residue(value, dtype, self.p)), np.int64(residue(value, dtype, self.q))
        )
        return np.full((1,) * rank, pair, np.int64)

    def convert(self, values: Array, source: DType, target: DType) -> Array:
        if source.is_float or not target.is_float:
            return super().convert(values, source, target)
        whole = values.astype(np.int64)
        return packed(whole % self.p, whole % self.q)

    def apply(self, node: Apply, operands: list[Array]) -> Array:
        if not any(a.dtype.is_float for a in node.args):
            return Interpreter.apply(self, node, operands)
        if node.op in ("add", "sub", "mul", "neg", "fma", "div"):
            high = _ring(node.op, [o >> HALF for o in operands], self.p)
            return packed(high, _ring(node.op, [o & MASK for o in operands], self.q))
        if node.op in ("where", "minimum", "maximum"):  # of equal first halves either is right
            return np.asarray(OPS[node.op].numpy(*operands))
        if node.op in BASES:
            return self.opaque(_power(BASES[node.op], operands[0] & MASK, self.p))
        highs = [
            o >> HALF if a.dtype.is_float else o for o, a in zip(operands, node.args, strict=True)
        ]
        if OPS[node.op].rule in (TypeRule.COMPARISON, TypeRule.TEST):
            return super().apply(node, highs)
        return self.opaque(super().apply(node, highs) % self.p)

    def reduce_block(self, node: Reduce, parts: list[Array], extents: tuple[int, ...]) -> Any:
        if not node.body.dtype.is_float or node.op not in ("sum", "prod"):
            return super().reduce_block(node, parts, extents)
        halves = (([v >> HALF for v in parts], self.p), ([v & MASK for v in parts], self.q))
        return packed(*(_fold(node.op, vs, extents, modulus) for vs, modulus in halves))

    def combine(self, node: Reduce, earlier: Array, later: Array) -> Array:
        if not node.body.dtype.is_float or node.op not in ("sum", "prod"):
            return super().combine(node, earlier, later)
        op = "add" if node.op == "sum" else "mul"
        high = _ring(op, [earlier >> HALF, later >> HALF], self.p)
        return packed(high, _ring(op, [earlier & MASK, later & MASK], self.q))

    def opaque(self, high: Array) -> Array:
        """The pair of a residue modulo P whose other half means nothing."""
        return packed(high, mixed("q", [high]) % self.q)


def packed(high: Array, low: Array) -> Array:
    return high << HALF | low


def _ring(op: str, operands: list[Array], modulus: int) -> Array:
    match op:
        case "add":
            return (operands[0] + operands[1]) % modulus
        case "sub":
            return (operands[0] - operands[1]) % modulus
        case "mul":
            return operands[0] * operands[1] % modulus
        case "fma":
            return (operands[0] * operands[1] % modulus + operands[2]) % modulus
        case "div":
            return operands[0] * inverse(operands[1], modulus) % modulus
    return -operands[0] % modulus


def _fold(op: str, parts: list[Array], extents: tuple[int, ...], modulus: int) -> Array:
    value = parts[0] if len(parts) == 1 else parts[0] * parts[1] % modulus
    first = value.ndim - len(extents)
    flat = np.broadcast_to(value, (*value.shape[:first], *extents)).reshape(
        *value.shape[:first], -1
    )
    if op == "sum":
        return flat.sum(-1) % modulus
    product = np.ones(flat.shape[:-1], np.int64)
    for position in range(flat.shape[-1]):
        product = product * flat[..., position] % modulus
    return product


def _power(base: int, exponents: Array, modulus: int) -> Array:
    result = np.ones_like(exponents)
    for bit in range(modulus.bit_length()):
        result = np.where(exponents >> bit & 1, result * base % modulus, result)
        base = base * base % modulus
    return result
