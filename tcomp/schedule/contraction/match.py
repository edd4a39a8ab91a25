"""Recognising contractions: `out = epilogue(sum[inner](left * right))`.

Iterators fall into four classes by which factors depend on them (the occurrence table):

    out[b, i, j] = relu(sum[k](A[b, i, k] * B[b, k, j]) + c[j])
    batch: both factors (b)   rows: left only (i)   columns: right only (j)   inner: summed (k)

Columns hold the output's contiguous iterator, so that they are what vectors run over (`orientation.py` tells
of the exception). A convolution is
found the same way: its pixels are columns, its output channels rows, its taps and channels inner.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from tcomp.ir.dtypes import COMPUTE
from tcomp.ir.integer import Iter, Value
from tcomp.ir.tensor.nodes import Apply, Const, Definition, Expr, Read, Reduce, postorder
from tcomp.ir.tensor.orientation import near_last, vector_iter


@dataclass(frozen=True, slots=True)
class Contraction:
    """A definition seen as a batch of matrix products with something elementwise around.

    `left` holds the factors over batch, rows and inner, `right` those over batch, columns and inner; their
    product is the body of `total`. The definition's body is the epilogue: `total` occurs in it, and no
    other reduction does. Every class is in loop order, outermost first, which for rows need not be the
    output's; `rows` and `batch` may be empty.
    """

    definition: Definition
    total: Reduce
    left: Expr
    right: Expr
    batch: tuple[Iter, ...]
    rows: tuple[Iter, ...]
    columns: tuple[Iter, ...]
    inner: tuple[Iter, ...]

    @property
    def multiplications(self) -> int:
        """How many products of elements the whole contraction sums."""
        return extent(self.batch) * extent(self.rows) * extent(self.columns) * extent(self.inner)

    @property
    def vector(self) -> Iter:
        """The iterator of columns that vectors run along."""
        return next(it for it in reversed(self.columns) if int(it.extent) > 1)

    @property
    def reuse_of_left(self) -> int:
        """How many products each element of left takes part in."""
        return extent(self.columns)

    @property
    def reuse_of_right(self) -> int:
        """How many products each element of right takes part in."""
        return extent(self.rows)


def extent(iters: tuple[Iter, ...]) -> int:
    """The number of points of a box of iterators with constant ranges."""
    points = 1
    for it in iters:
        points *= int(it.extent)
    return points


def match(definition: Definition, fixed: frozenset[Iter] = frozenset()) -> Contraction | None:
    """The definition as a contraction, or None where it is none, is empty, or needs run-time checks.

    `fixed` iterators belong to loops around; they count as constants.
    """
    total = _only_sum(definition.body)
    if total is None or total.dtype not in COMPUTE or _needs_checks(definition.body):
        return None
    output = tuple(it for it in definition.iters if it not in fixed)
    iters = (*output, *total.iters)
    if not all(it.extent.is_constant and int(it.extent) > 0 for it in iters):
        return None
    factors = product_factors(total.body)
    vector = vector_iter(output, factors)
    if vector is None or len(factors) < 2:
        return None
    left, right = _sides(factors, frozenset(output), vector)
    if not left or not right:
        return None
    in_left, in_right = _iters(left), _iters(right)
    if vector in in_left:
        return None
    lonely = [it for it in output if it not in in_left | in_right and int(it.extent) > 1]
    if lonely:
        return None
    both = (in_left & in_right) | (set(output) - in_left - in_right)
    return Contraction(
        definition,
        total,
        _product(left),
        _product(right),
        batch=tuple(it for it in output if it in both),
        rows=near_last(
            [it for it in output if it in in_left - both],
            _product(left),
            total.iters,
            _run(output, in_right - both),
        ),
        columns=tuple(it for it in output if it in in_right - both),
        inner=total.iters,
    )


def product_factors(body: Expr) -> tuple[Expr, ...]:
    """The operands of a chain of multiplications, left to right; constants join the first factor."""
    factors: list[Expr] = []
    stack = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and node.op == "mul":
            stack.extend(reversed(node.args))
        else:
            factors.append(node)
    constants = [f for f in factors if isinstance(f, Const)]
    others = [f for f in factors if not isinstance(f, Const)]
    if constants and others:
        others[0] = _product([*constants, others[0]])
    return tuple(others or constants)


def _only_sum(body: Expr) -> Reduce | None:
    """The one reduction of an epilogue, if it is a sum that is used as a value (not inside an index)."""
    sums = [n for n in postorder(body) if isinstance(n, Reduce)]
    if len(sums) != 1 or sums[0].op != "sum" or not sums[0].iters:
        return None
    seen: set[Expr] = set()
    stack: list[Expr] = [body]
    while stack:
        node = stack.pop()
        if node is sums[0]:
            return sums[0]
        if isinstance(node, Apply) and node not in seen:
            seen.add(node)
            stack.extend(node.args)
    return None


def _needs_checks(body: Expr) -> bool:
    """Whether an unguarded read has an index that depends on data."""
    return any(
        isinstance(node, Read)
        and node.otherwise is None
        and any(isinstance(leaf, Value) for index in node.index for leaf in index.leaves())
        for node in postorder(body)
    )


def _sides(
    factors: tuple[Expr, ...], output: frozenset[Iter], vector: Iter
) -> tuple[list[Expr], list[Expr]]:
    """Factors that vary along the vector iterator are right, the others left.

    A left factor over nothing but the right side's iterators moves over, so that fewer iterators count
    as batch; one always stays.
    """
    right = [f for f in factors if vector in f.free_atoms()]
    left = [f for f in factors if vector not in f.free_atoms()]
    reach = _iters(right)
    movable = [f for f in left if (f.free_atoms() & output) and (f.free_atoms() & output) <= reach]
    for factor in sorted(movable, key=lambda f: len(f.free_atoms() & output)):
        if len(left) > 1:
            left.remove(factor)
            right.append(factor)
    return left, right


def _run(output: tuple[Iter, ...], columns: set[Iter]) -> int:
    """How many elements of a row of the output lie side by side."""
    return extent(tuple(takewhile(columns.__contains__, reversed(output))))


def _iters(factors: list[Expr]) -> set[Iter]:
    return {a for f in factors for a in f.free_atoms() if isinstance(a, Iter)}


def _product(factors: list[Expr]) -> Expr:
    result = factors[0]
    for factor in factors[1:]:
        result = Apply("mul", (result, factor), factor.dtype)
    return result
