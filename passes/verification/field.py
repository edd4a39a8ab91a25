"""A tensor program over a prime field instead of the floats.

Sums and products are exact there, so two programs that are equal as polynomials give equal numbers, and
two that are not differ at a random point with probability at least 1 - degree / PRIME (Schwartz 1980,
Zippel 1979). What is no ring operation (exp, sqrt, comparisons of values) is an uninterpreted function:
equal arguments give equal, otherwise unrelated, results; minimum and maximum keep their order axioms.
Integers and conditions on indices are evaluated as they are.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType, f64
from tcomp.ir.tensor.interpreter import Array, Interpreter
from tcomp.ir.tensor.nodes import Apply, Reduce
from tcomp.ops import OPS, TypeRule

PRIME = (1 << 31) - 1
SMALL_DENOMINATOR = 1 << 10


class FieldInterpreter(Interpreter):
    """Evaluates with floats replaced by residues modulo PRIME; a kind's width does not matter."""

    def representation(self, dtype: DType) -> np.dtype[Any]:
        return np.dtype(np.int64) if dtype.is_float else super().representation(dtype)

    def constant(self, value: float | int | bool, dtype: DType, rank: int) -> Array:
        if not dtype.is_float:
            return super().constant(value, dtype, rank)
        return np.full((1,) * rank, residue(value, dtype), np.int64)

    def convert(self, values: Array, source: DType, target: DType) -> Array:
        if source.is_float and target.is_float:
            return values
        if target.is_float:
            return values.astype(np.int64) % PRIME
        if source.is_float:
            return mixed("to integer", [values]).astype(self.representation(target))
        return super().convert(values, source, target)

    def apply(self, node: Apply, operands: list[Array]) -> Array:
        if not any(a.dtype.is_float for a in node.args):
            return super().apply(node, operands)
        match node.op:
            case "add":
                return (operands[0] + operands[1]) % PRIME
            case "sub":
                return (operands[0] - operands[1]) % PRIME
            case "mul":
                return operands[0] * operands[1] % PRIME
            case "neg":
                return -operands[0] % PRIME
            case "fma":
                return (operands[0] * operands[1] % PRIME + operands[2]) % PRIME
            case "div":
                return operands[0] * inverse(operands[1]) % PRIME
            case "where" | "minimum" | "maximum":
                return np.asarray(OPS[node.op].numpy(*operands))
            case "relu":
                return np.maximum(operands[0], mixed("relu", [np.zeros_like(operands[0])]))
        row = OPS[node.op]
        if row.rule is TypeRule.COMPARISON:
            return np.asarray(row.numpy(*operands))
        if row.rule is TypeRule.TEST:
            return np.zeros(np.broadcast_shapes(*(o.shape for o in operands)), bool)
        return mixed(node.op, operands)

    def reduce_block(self, node: Reduce, parts: list[Array], extents: tuple[int, ...]) -> Any:
        if not node.body.dtype.is_float or node.op not in ("sum", "prod"):
            return super().reduce_block(node, parts, extents)
        value = parts[0] if len(parts) == 1 else parts[0] * parts[1] % PRIME
        first = value.ndim - len(extents)
        value = np.broadcast_to(value, (*value.shape[:first], *extents))
        axes = tuple(range(first, value.ndim))
        if node.op == "sum":
            return value.sum(axes) % PRIME
        flat = value.reshape(*value.shape[:first], -1)
        product = np.ones(value.shape[:first], np.int64)
        for position in range(flat.shape[-1]):
            product = product * flat[..., position] % PRIME
        return product

    def combine(self, node: Reduce, earlier: Array, later: Array) -> Array:
        if node.body.dtype.is_float and node.op == "sum":
            return (earlier + later) % PRIME
        if node.body.dtype.is_float and node.op == "prod":
            return earlier * later % PRIME
        return super().combine(node, earlier, later)


def residue(value: float, dtype: DType = f64, prime: int = PRIME) -> int:
    """A float as a residue; infinities and NaN become fixed ones.

    A float is a binary fraction, but one that a quotient of small integers rounds to means that
    quotient: the 1/6 of a Winograd transform times 6 is 1.
    """
    if value != value:
        return 1_234_567_891
    if value in (float("inf"), float("-inf")):
        return prime - 1 if value > 0 else 0  # the ends of the order that max and min see
    fraction = Fraction(value)
    quotient = fraction.limit_denominator(SMALL_DENOMINATOR)
    if abs(quotient - fraction) * 2 ** (52 if dtype is f64 else 23) <= abs(fraction):
        fraction = quotient
    return fraction.numerator * pow(fraction.denominator, -1, prime) % prime


def inverse(values: Array, prime: int = PRIME) -> Array:
    """Multiplicative inverses by Fermat's little theorem; the inverse of 0 is 0."""
    result = np.ones_like(values)
    power, exponent = values % prime, prime - 2
    while exponent:
        if exponent & 1:
            result = result * power % prime
        power = power * power % prime
        exponent >>= 1
    return result


def mixed(name: str, operands: list[Array]) -> Array:
    """An uninterpreted function: well mixed residues (the finaliser of SplitMix64), fixed by name."""
    state = np.uint64(int.from_bytes(name.encode()[:7].ljust(7, b"\0"), "little"))
    for operand in operands:
        state = _mix(state ^ operand.astype(np.int64).astype(np.uint64))
    return (np.asarray(state) % np.uint64(PRIME)).astype(np.int64)


def _mix(state: Array) -> Array:
    state = (state + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
