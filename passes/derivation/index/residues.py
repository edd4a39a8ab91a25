"""Congruences: a sum over what leaves one remainder runs over quotients only, one over what meets a single
place is its one term."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int, Iter, Mod
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Expr,
    IndexValue,
    Read,
    Reduce,
    rewrite,
    substitute,
    truth,
)
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.index.reindex import depends_on_data, fresh, spans, summed, where
from tcomp.passes.inline import guarded, zero
from tcomp.passes.simplify import conjuncts, simplify_expression


def solve_congruence(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r](where((a*r + e) % m == c, f(r), 0) * g(r))  =  sum[q](f(m'*q + s) * g(m'*q + s)).

    a*r = c - e modulo m has solutions if d = gcd(a, m) divides c - e, and then they are those of one
    residue s modulo m' = m / d: s = (c - e)/d * (a/d)^-1, counted from either end of the range. All conditions
    are solved. Where m' does not divide the range of r, terms of the last, partial period are left out by a
    guard on every factor.
    """
    if not isinstance(node, Reduce) or not summed(node):
        return
    # Guards that a remainder and a read's own guard imply are seen as long as the remainder is asked for.
    simple = simplify_expression(node)
    if not isinstance(simple, Reduce):
        return
    result = simple
    while (further := _first(result, taken)) is not None:
        result = further
    if result is not simple:
        yield result


def single_place(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r](A[e - r : one place] else 0) * g(r))  =  (A[0] else 0) * g(e), guarded where e is no r.

    An axis of length one is met by one value of r. All such iterators are solved.
    """
    if not isinstance(node, Reduce) or not summed(node) or depends_on_data(node.body):
        return
    result: Expr = node
    while isinstance(result, Reduce) and (further := _placed(result)) is not None:
        result = further
    if result is not node:
        yield result


def _placed(node: Reduce) -> Expr | None:
    """One iterator that only a single value gets past a guard; None where there is none left."""
    factors = factors_of(node.body)
    for read in factors:
        if not isinstance(read, Read) or read.otherwise is not zero(read):
            continue
        for index, (lo, hi) in zip(read.index, read.tensor.axes, strict=True):
            for it in node.iters if (hi - lo).constant == 1 else ():
                if index.coefficient(it) in (1, -1):
                    rest = index - Int.of(it) * (index.coefficient(it) or 0)
                    return _at(node, factors, it, (lo - rest) * (index.coefficient(it) or 0))
    return None


def _at(node: Reduce, factors: tuple[Expr, ...], it: Iter, place: Int) -> Expr:
    """The term of a sum at one value of an iterator, if it is in its range."""
    moved = [guarded(substitute(f, {it: place})) for f in factors]
    moved[0] = simplify_expression(
        where(less(place, it.hi), where(less(it.lo - 1 - place, Int.of(0)), moved[0]))
    )
    rest = tuple(other for other in node.iters if other is not it)
    term = multiply([simplify_expression(f) for f in moved])
    return Reduce("sum", rest, term) if rest else term


def _first(node: Reduce, taken: set[str]) -> Reduce | None:
    """One congruence solved; None where there is none left."""
    factors = factors_of(node.body)
    for factor in factors:
        for condition in _selecting(factor):
            congruence = _congruence(condition)
            if congruence is None or depends_on_data(node.body):
                continue
            left, modulus, remainder = congruence
            for it in node.iters:
                if step := left.coefficient(it):
                    rest = remainder - left + Int.of(it) * step
                    return _solved(node, factors, condition, it, step, rest, modulus, taken)
    return None


def _solved(
    node: Reduce,
    factors: tuple[Expr, ...],
    condition: Expr,
    it: Iter,
    factor: int,
    rest: Int,
    modulus: int,
    taken: set[str],
) -> Reduce:
    """`node` where `condition` says factor * it = rest modulo `modulus`."""
    common = gcd(factor, modulus)
    period = modulus // common
    place = rest // common * pow(factor // common, -1, period)
    periods = -(-spans(it) // period)
    quotient = fresh(it.name, 0, periods, taken)
    # From the first value on or from the last one back, whichever has the plainer remainder.
    first, last = (_modulo(e, period) for e in (place - it.lo, it.hi - 1 - place))
    if _plainness(first) <= _plainness(last):
        value = it.lo + Int.of(quotient) * period + first
        inside = less(value, it.hi)
    else:
        value = it.hi - 1 - Int.of(quotient) * period - last
        inside = less(it.lo - 1 - value, Int.of(0))
    kept = truth(True) if common == 1 else _equal(rest % common, 0)
    partial = spans(it) % period != 0

    def moved(each: Expr) -> Expr:
        free = rewrite(each, lambda n: kept if n is condition else None)
        result = guarded(substitute(free, {it: value}))
        if partial and not isinstance(each, Const):
            result = where(inside, result)
        return simplify_expression(result)

    iters = tuple(quotient if other is it else other for other in node.iters)
    return Reduce("sum", iters, multiply([moved(f) for f in factors]))


def _plainness(remainder: Int) -> int:
    """What iterators are multiplied by in a remainder: 1 each where it is plain."""
    atoms = [a for a in remainder.atoms() if isinstance(a, Mod)]
    return sum(abs(a.left.coefficient(it) or 0) for a in atoms for it in a.left.leaves())


def _modulo(index: Int, period: int) -> Int:
    """The remainder, of an index with coefficients in 0:period: (1 - 2*y) % 3 = (y + 1) % 3."""
    for atom in index.leaves():
        step = index.coefficient(atom) or 0
        index = index - Int.of(atom) * (step - step % period)
    return index % period


def _selecting(factor: Expr) -> Iterator[Expr]:
    """The conditions that must all hold for a factor not to be 0."""
    while isinstance(factor, Apply) and factor.op == "where" and factor.args[2] is zero(factor):
        yield from conjuncts(factor.args[0])
        factor = factor.args[1]


def _congruence(condition: Expr) -> tuple[Int, int, int] | None:
    """`left % modulus == remainder` as its three parts."""
    match condition:
        case Apply("eq", (IndexValue(index, _), Const(remainder, _)), _):
            match index.terms:
                case ((((Mod() as atom),), 1),) if atom.right.is_constant:
                    if atom.right.constant > 0 and not isinstance(remainder, bool):
                        return atom.left, atom.right.constant, int(remainder) - index.constant
    return None


def _equal(index: Int, value: int) -> Expr:
    return Apply("eq", (IndexValue(index, i64), Const(value, i64)), boolean)


def less(index: Int, limit: Int) -> Expr:
    """index < limit."""
    return Apply("lt", (IndexValue(index, i64), Const(limit.constant, i64)), boolean)
