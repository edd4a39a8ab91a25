"""Equalities of sum-product expressions, one generator each: every way to rewrite one node.

Together with re-association they are the rules of SPORES (Wang et al., VLDB 2020), which are complete
for sum-product expressions; OLLIE and EinNet have none of them. They hold in every commutative ring, so
for wrapping integers exactly, and for floats up to rounding; those that need no negatives hold in every
semiring (`passes.semiring`): sums of products stand for all of them here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int, Iter, product
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Expr,
    IndexValue,
    Read,
    Reduce,
    postorder,
    substitute,
)
from tcomp.passes.inline import guarded, zero
from tcomp.passes.scoping import free_iters, fresh_name, rename_bound
from tcomp.passes.semiring import SUM_PRODUCT, Semiring, semiring_of, semirings
from tcomp.passes.simplify import simplify_expression

MAX_MATCHED = 4  # iterators of two sums whose pairings are all tried: 4! = 24


def multiply(parts: tuple[Expr, ...] | list[Expr]) -> Expr:
    """The product of at least one factor."""
    return SUM_PRODUCT.multiply(parts)


def is_sum(expr: Expr) -> bool:
    """Whether an expression is a `sum` reduction."""
    return isinstance(expr, Reduce) and expr.op == "sum"


def merge_sums(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[i](f * sum[j](g)) = sum[i, j](f * g), where f does not mention j (it is renamed if it does)."""
    semiring = semiring_of(node)
    if semiring is None or not isinstance(node, Reduce):
        return
    parts = semiring.factors(node.body)
    for position, part in enumerate(parts):
        if isinstance(part, Reduce) and part.op == node.op:
            inner, body = _renamed(part, taken)
            rest = (*parts[:position], *semiring.factors(body), *parts[position + 1 :])
            yield Reduce(node.op, (*node.iters, *inner), semiring.multiply(rest))


def pull_out(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[i, j](f * g) = sum[i](f * sum[j](g)), where f does not mention j."""
    semiring = semiring_of(node)
    if semiring is None or not isinstance(node, Reduce):
        return
    parts = semiring.factors(node.body)
    if len(parts) < 2:
        return
    seen: set[frozenset[Iter]] = set()
    for part in parts:
        inner = frozenset(node.iters) - free_iters(part)
        if not inner or inner in seen:
            continue
        seen.add(inner)
        inside = [p for p in parts if free_iters(p) & inner]
        outside = [p for p in parts if not free_iters(p) & inner]
        if not inside:
            continue
        partial = Reduce(
            node.op, tuple(i for i in node.iters if i in inner), semiring.multiply(inside)
        )
        scaled = semiring.multiply([*outside, partial])
        rest = tuple(i for i in node.iters if i not in inner)
        yield Reduce(node.op, rest, scaled) if rest else scaled


def split_sum(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[i](f + g) = sum[i](f) + sum[i](g)."""
    semiring = semiring_of(node)
    if semiring is not None and isinstance(node, Reduce):
        body = node.body
        if isinstance(body, Apply) and body.op in _additions(semiring):
            left, right = (Reduce(node.op, node.iters, a) for a in body.args)
            yield Apply(body.op, (left, right), node.dtype)


def join_sums(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[i](f) + sum[j](g) = sum[i](f + g[j := i]), where the ranges of i and j are equal."""
    if not isinstance(node, Apply) or len(node.args) != 2:
        return
    left, right = node.args
    semiring = semiring_of(left)
    if not (isinstance(left, Reduce) and isinstance(right, Reduce) and semiring is not None):
        return
    if left.op != right.op or node.op not in _additions(semiring):
        return
    if len(left.iters) != len(right.iters) or len(left.iters) > MAX_MATCHED:
        return
    # An inner sum of the right side may use a name that the left one's iterators bring in.
    names = frozenset(it.name for it in left.iters)
    body = rename_bound(right.body, names, taken | names)
    for order in permutations(right.iters):
        if all((a.lo, a.hi) == (b.lo, b.hi) for a, b in zip(left.iters, order, strict=True)):
            moved = substitute(body, {b: Int.of(a) for a, b in zip(left.iters, order, strict=True)})
            yield Reduce(left.op, left.iters, Apply(node.op, (left.body, moved), node.dtype))


def distribute(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """(a + b) * c = a * c + b * c."""
    if not isinstance(node, Apply):
        return
    for semiring in semirings(node.dtype):
        if node.op != semiring.times:
            continue
        for this, other in (node.args, node.args[::-1]):
            if isinstance(this, Apply) and this.op in _additions(semiring):
                left, right = (semiring.multiply([a, other]) for a in this.args)
                yield Apply(this.op, (left, right), node.dtype)


def factor_out(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """a * c + b * c = (a + b) * c."""
    if not isinstance(node, Apply):
        return
    for semiring in semirings(node.dtype):
        if node.op not in _additions(semiring):
            continue
        left, right = (semiring.factors(a) for a in node.args)
        for common in dict.fromkeys(left):
            if common in right and len(left) > 1 and len(right) > 1:
                rest = [semiring.multiply(_without(parts, common)) for parts in (left, right)]
                combined = Apply(node.op, (rest[0], rest[1]), node.dtype)
                yield semiring.multiply([combined, common])


def drop_unused(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[i in lo:hi](f) = (hi - lo) * f and max[i in lo:hi](f) = f, where f does not mention i."""
    semiring = semiring_of(node)
    if semiring is None or not isinstance(node, Reduce):
        return
    unused = tuple(it for it in node.iters if it not in free_iters(node.body))
    if not unused:
        return
    rest = tuple(it for it in node.iters if it not in unused)
    body = Reduce(node.op, rest, node.body) if rest else node.body
    if semiring.idempotent:
        if all(it.extent.constant > 0 for it in unused):
            yield body
        return
    count = IndexValue(product(it.extent for it in unused), i64)
    times = Apply("cast", (count,), node.dtype) if node.dtype is not i64 else count
    yield Apply("mul", (body, times), node.dtype)


def _additions(semiring: Semiring) -> tuple[str, ...]:
    """The operations by which terms of a reduction are joined."""
    return ("add", "sub") if semiring is SUM_PRODUCT else (semiring.plus,)


def eliminate_delta(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[i in lo:hi](where(i == e, f, 0)) = where(lo <= e < hi, f[i := e], 0), where e does not mention i."""
    result = node
    while isinstance(result, Reduce) and (further := _without_delta(result)) is not None:
        result = further
    if result is not node:
        yield result


def _without_delta(node: Reduce) -> Expr | None:
    """One iterator's only value put in; None where no iterator has only one."""
    if node.op != "sum" or _data_dependent(node.body):
        return None
    found = _delta(node)
    if found is None:
        return None
    it, position = found
    inside = Apply(
        "and",
        (
            Apply("ge", (IndexValue(position, i64), IndexValue(it.lo, i64)), boolean),
            Apply("lt", (IndexValue(position, i64), IndexValue(it.hi, i64)), boolean),
        ),
        boolean,
    )
    moved = guarded(substitute(node.body, {it: position}))
    value = simplify_expression(Apply("where", (inside, moved, zero(moved)), moved.dtype))
    rest = tuple(other for other in node.iters if other is not it)
    return Reduce("sum", rest, value) if rest else value


def _delta(node: Reduce) -> tuple[Iter, Int] | None:
    """An iterator for which only one value gives a term, and that value."""
    for condition in _zeros(node.body):
        for it in node.iters:
            step = condition.coefficient(it)
            if step in (1, -1):
                rest = condition - Int.of(it) * step
                return it, -rest if step == 1 else rest
    return None


def _zeros(body: Expr) -> Iterator[Int]:
    """What must be 0 for a product to be anything but 0."""
    for factor in SUM_PRODUCT.factors(body):
        match factor:
            case Apply("where", (Apply("eq", (left, right), _), _, other), _) if other is zero(
                factor
            ):
                ends = index_of(left), index_of(right)
                if ends[0] is not None and ends[1] is not None:
                    yield ends[0] - ends[1]


def cancel_negation(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """(-a) * b = -(a * b) and sum[i](-f) = -sum[i](f): negation moves outwards."""
    if isinstance(node, Apply) and node.op == "mul":
        for this, other in (node.args, node.args[::-1]):
            if isinstance(this, Apply) and this.op == "neg":
                yield Apply("neg", (Apply("mul", (this.args[0], other), node.dtype),), node.dtype)
    if is_sum(node) and isinstance(node, Reduce):
        body = node.body
        if isinstance(body, Apply) and body.op == "neg":
            yield Apply("neg", (Reduce("sum", node.iters, body.args[0]),), node.dtype)


def _renamed(part: Reduce, taken: set[str]) -> tuple[tuple[Iter, ...], Expr]:
    inner = tuple(Iter(fresh_name(it.name, taken), it.lo, it.hi) for it in part.iters)
    mapping = {a: Int.of(b) for a, b in zip(part.iters, inner, strict=True)}
    return inner, substitute(part.body, mapping)


def _without(parts: tuple[Expr, ...], common: Expr) -> tuple[Expr, ...]:
    position = parts.index(common)
    return (*parts[:position], *parts[position + 1 :])


def index_of(expr: Expr) -> Int | None:
    """The integer that an index value or an integer constant is."""
    if isinstance(expr, IndexValue) and expr.dtype is i64:
        return expr.index
    if isinstance(expr, Const) and expr.dtype.is_integer:
        return Int.of(int(expr.value))
    return None


def _data_dependent(expr: Expr) -> bool:
    return any(
        isinstance(n, Read) and any(not _affine(i) for i in n.index) for n in postorder(expr)
    )


def _affine(index: Int) -> bool:
    from tcomp.ir.integer import Value

    return not any(isinstance(a, Value) for a in index.leaves())
