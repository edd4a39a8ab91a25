"""Equalities of sliding windows: what neighbouring windows share is made once.

A reduction inside another one over r that sees r and an output iterator y as y + r alone is a tensor over
t = y + r. All rules hold in every semiring: sums, maxima and minima alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import isqrt

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    Read,
    Reduce,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.index.reindex import depends_on_data, fresh, indices
from tcomp.passes.derivation.rule import replaced
from tcomp.passes.inline import zero
from tcomp.passes.lift import postorder_outside_reductions
from tcomp.passes.scoping import free_iters, fresh_name
from tcomp.passes.semiring import semiring_of

LONG = 8  # taps from which on a window is worth splitting


def share_windows(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """Y[y] = sum[r, s](w[r] * f(y + r, s))  =  T[t] = sum[s](f(t, s)); Y[y] = sum[r](w[r] * T[y + r])."""
    for outer in postorder_outside_reductions(definition.body):
        if not isinstance(outer, Reduce) or depends_on_data(outer):
            continue
        for it in outer.iters:
            for nested in (outer, _nested(outer, it)):
                inner = postorder_outside_reductions(nested.body) if nested is not None else []
                for node in inner:
                    if isinstance(node, Reduce) and _slides(definition, node, it):
                        body = replaced(definition.body, outer, nested or outer)
                        whole = Definition(definition.tensor, definition.iters, body)
                        yield from _shared(whole, node, it, 1, taken)


def _slides(definition: Definition, node: Reduce, it: Iter) -> bool:
    """Whether `_shared` may find something."""
    free = free_iters(node)
    return it in free and any(
        output in free and (_move_alike(node, it, output, 1) or _move_alike(node, it, output, -1))
        for output in definition.iters
    )


def _nested(node: Reduce, it: Iter) -> Reduce | None:
    """sum[r, s](w(r) * f(r, s)) = sum[r](w(r) * sum[s](f(r, s))) for the iterator r."""
    semiring = semiring_of(node)
    rest = tuple(other for other in node.iters if other is not it)
    if semiring is None or not rest:
        return None
    factors = semiring.factors(node.body)
    inside = [f for f in factors if free_iters(f) & set(rest)]
    outside = [f for f in factors if not free_iters(f) & set(rest)]
    if not inside:
        return None
    inner = Reduce(node.op, rest, semiring.multiply(inside))
    return Reduce(node.op, (it,), semiring.multiply([*outside, inner]))


def split_window(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """Y[y] = sum[r in 0:n*m](f(y + r))  =  T[t] = sum[p in 0:m](f(t + p)); Y[y] = sum[q in 0:n](T[y + m*q])."""
    for node in postorder_outside_reductions(definition.body):
        semiring = semiring_of(node)
        if semiring is None or not isinstance(node, Reduce) or depends_on_data(node):
            continue
        for it in node.iters:
            block = _block(it.extent.constant)
            if len(semiring.factors(node.body)) > 1 or not block:
                continue
            own = set(taken)
            count = it.extent.constant // block
            quotient, part = fresh(it.name, 0, count, own), fresh(it.name, 0, block, own)
            whole = it.lo + Int.of(quotient) * block + part
            rest = tuple(other for other in node.iters if other is not it)
            inner = Reduce(node.op, (*rest, part), substitute(node.body, {it: whole}))
            split: Expr = Reduce(node.op, (quotient,), inner)
            if count * block < it.extent.constant:
                tail = fresh(it.name, it.lo + count * block, it.hi, own)
                last = Reduce(node.op, (*rest, tail), substitute(node.body, {it: Int.of(tail)}))
                split = Apply(semiring.plus, (split, last), node.dtype)
            body = replaced(definition.body, node, split)
            fresh_definition = Definition(definition.tensor, definition.iters, body)
            yield from _shared(fresh_definition, inner, quotient, block, own)


def _block(taps: int) -> int:
    """The largest divisor of a number of taps up to its square root; that root itself for primes."""
    if taps < LONG:
        return 0
    root = isqrt(taps)
    return next((m for m in range(root, 2, -1) if taps % m == 0), root)


def _shared(
    definition: Definition, node: Reduce, it: Iter, step: int, taken: set[str]
) -> Iterator[tuple[Definition, ...]]:
    """The definition with `node` made once for each value of y + step * it."""
    free = free_iters(node)
    if it not in free:
        return
    for output in definition.iters:
        if output not in free:
            continue
        own = set(taken)
        for sign in (1, -1):
            if not _move_alike(node, it, output, step * sign):
                continue
            shift = Int.of(it) * (step * sign)
            low, high = (Int.of(output) + shift).bounds()
            if low is None or high is None:
                continue
            place = fresh(output.name, low, high + 1, own)
            moved = substitute(node, {output: Int.of(place) - shift})
            if it in free_iters(moved):
                continue
            iters = tuple(
                place if other is output else other
                for other in definition.iters
                if other is output or other in free_iters(moved)
            )
            if free_iters(moved) - set(iters):
                continue  # another iterator of the reduction around it
            tensor = Tensor(
                fresh_name(f"{definition.tensor.name}_window", own),
                node.dtype,
                tuple((i.lo, i.hi) for i in iters),
            )
            index = tuple(Int.of(output) + shift if i is place else Int.of(i) for i in iters)
            body = replaced(definition.body, node, Read(tensor, index))
            yield (
                Definition(tensor, iters, moved),
                Definition(definition.tensor, definition.iters, body),
            )


def _move_alike(node: Expr, it: Iter, output: Iter, factor: int) -> bool:
    """Whether nothing that is affine in both tells `output + factor * it` from its parts."""
    for index in indices(node):
        steps = index.coefficient(it), index.coefficient(output)
        if None not in steps and steps[0] != factor * (steps[1] or 0):
            return False
    return True


def separate_stencil(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """Y[y, x] = u0*v0*X[y, x] + u0*v1*X[y, x+1] + u1*v0*X[y+1, x] + ...

    =  T[t, x] = v0*X[t, x] + v1*X[t, x+1] + ...; Y[y, x] = u0*T[y, x] + u1*T[y+1, x] + ...
    """
    for node in reversed(postorder(definition.body)):
        if isinstance(node, Apply) and node.op in ("add", "sub"):
            made = _separated(definition, node, set(taken))
            if made is not None:
                yield made
            return  # parts of a stencil that does not separate are not tried


def _separated(
    definition: Definition, node: Apply, taken: set[str]
) -> tuple[Definition, ...] | None:
    taps = _taps(node, Fraction(1))
    if taps is None or len(taps) < 4 or len({r.tensor for _, r in taps}) > 1:
        return None
    guards = {r.otherwise for _, r in taps} - {None}  # what is provably inside has lost its guard
    if guards - {zero(node)}:
        return None
    guard = zero(node) if guards else None
    first = taps[0][1]
    moves = [
        [i - j for i, j in zip(r.index, first.index, strict=True)] for _, r in taps
    ]  # from the first tap
    if not all(m.is_constant for move in moves for m in move):
        return None
    axes = [n for n in range(len(first.index)) if any(move[n].constant for move in moves)]
    if len(axes) != 2:
        return None
    row, column = axes
    matrix: dict[tuple[int, int], Fraction] = {}
    for (weight, _), move in zip(taps, moves, strict=True):
        at = (move[row].constant, move[column].constant)
        matrix[at] = matrix.get(at, Fraction(0)) + weight
    rows, columns = (sorted({at[n] for at in matrix}) for n in (0, 1))
    pivot = next(at for at, weight in matrix.items() if weight)
    across = {c: matrix.get((pivot[0], c), Fraction(0)) for c in columns}
    down = {r: matrix.get((r, pivot[1]), Fraction(0)) / matrix[pivot] for r in rows}
    if any(down[r] * across[c] != matrix.get((r, c), Fraction(0)) for r in rows for c in columns):
        return None
    output = next((it for it in definition.iters if first.index[row].coefficient(it) == 1), None)
    if output is None or any(output in i.leaves() for n, i in enumerate(first.index) if n != row):
        return None
    place = fresh(output.name, output.lo + rows[0], output.hi + rows[-1], taken)
    index = [i.sub({output: Int.of(place)}) for i in first.index]
    inner = _weighted(
        [
            (
                w,
                Read(
                    first.tensor,
                    tuple(i + c if n == column else i for n, i in enumerate(index)),
                    guard,
                ),
            )
            for c, w in across.items()
        ],
        node,
    )
    iters = tuple(place if it is output else it for it in definition.iters)
    tensor = Tensor(
        fresh_name(f"{definition.tensor.name}_rows", taken),
        node.dtype,
        tuple((it.lo, it.hi) for it in iters),
    )
    reads = [
        (w, Read(tensor, tuple(Int.of(output) + r if i is place else Int.of(i) for i in iters)))
        for r, w in down.items()
    ]
    body = replaced(definition.body, node, _weighted(reads, node))
    return (
        Definition(tensor, iters, inner),
        Definition(definition.tensor, definition.iters, body),
    )


def _taps(expr: Expr, weight: Fraction) -> list[tuple[Fraction, Read]] | None:
    """A sum of reads with constant weights; None where it is anything else."""
    match expr:
        case Read() if expr.dtype.is_float:
            return [(weight, expr)]
        case Apply("add" | "sub", (left, right), _):
            first = _taps(left, weight)
            second = _taps(right, weight if expr.op == "add" else -weight)
            return None if first is None or second is None else [*first, *second]
        case Apply("neg", (inner,), _):
            return _taps(inner, -weight)
        case Apply("mul", (Const(value, _), inner), _) | Apply("mul", (inner, Const(value, _)), _):
            return _taps(inner, weight * Fraction(value))
    return None


def _weighted(terms: list[tuple[Fraction, Read]], like: Expr) -> Expr:
    parts = [
        read if weight == 1 else multiply([Const(float(weight), like.dtype), read])
        for weight, read in terms
        if weight
    ]
    result: Expr = parts[0]
    for part in parts[1:]:
        result = Apply("add", (result, part), like.dtype)
    return result
