"""Semirings: pairs of operations for which the algebra of sums and products holds.

    (sum, +, *)    all numbers            paths, products, convolutions
    (max, max, +)  floats                 longest paths, Viterbi; wrapping integers break max(a, b) + c
    (min, min, +)  floats                 shortest paths
    (any, or, and), (all, and, or)  bool  reachability

(S. Laue et al., arXiv 2509.20020, state einsum over any commutative semiring.)
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.ir.dtypes import DType
from tcomp.ir.tensor.nodes import Apply, Expr, Reduce


@dataclass(frozen=True, slots=True)
class Semiring:
    """A reduction, the operation that it repeats, and the one that distributes over it.

    `idempotent`: a reduction over equal terms is one of them.
    """

    reduction: str
    plus: str
    times: str
    idempotent: bool

    def factors(self, expr: Expr) -> tuple[Expr, ...]:
        """The factors of a product, left to right."""
        if isinstance(expr, Apply) and expr.op == self.times:
            return (*self.factors(expr.args[0]), *self.factors(expr.args[1]))
        return (expr,)

    def multiply(self, parts: tuple[Expr, ...] | list[Expr]) -> Expr:
        """The product of at least one factor."""
        result = parts[0]
        for part in parts[1:]:
            result = Apply(self.times, (result, part), result.dtype)
        return result


SUM_PRODUCT = Semiring("sum", "add", "mul", idempotent=False)
_FLOAT = (
    Semiring("max", "maximum", "add", idempotent=True),
    Semiring("min", "minimum", "add", idempotent=True),
)
_BOOL = (
    Semiring("any", "or", "and", idempotent=True),
    Semiring("all", "and", "or", idempotent=True),
)

_ALL = (SUM_PRODUCT, *_FLOAT, *_BOOL)
REDUCTIONS = tuple(s.reduction for s in _ALL)
ADDITIONS = ("sub", *(s.plus for s in _ALL))  # what joins terms of their reductions
TIMES = tuple(dict.fromkeys(s.times for s in _ALL))  # and what distributes over it


def semirings(dtype: DType) -> tuple[Semiring, ...]:
    """The semirings of a type."""
    if dtype.is_bool:
        return _BOOL
    return (SUM_PRODUCT, *_FLOAT) if dtype.is_float else (SUM_PRODUCT,)


def semiring_of(node: Expr) -> Semiring | None:
    """The semiring whose reduction a node is, or None."""
    if isinstance(node, Reduce):
        for each in semirings(node.body.dtype):
            if each.reduction == node.op:
                return each
    return None
