"""Equalities of sums of products of sums: expansion, folding of scales and of division, grouping, ranges."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Apply, Const, Expr, Reduce, postorder, substitute
from tcomp.passes.derivation.algebra import index_of, multiply
from tcomp.passes.derivation.index.reindex import divisors, fresh
from tcomp.passes.scoping import free_iters
from tcomp.passes.semiring import SUM_PRODUCT, semiring_of

MAX_TERMS = 9  # of an expanded product: the square of a sum of three

Term = tuple[int, tuple[Expr, ...]]  # a whole coefficient, and factors


def expand_sum(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[k]((f - g) * (f - g)) = sum[k](f * f) - 2 * sum[k](f * g) + sum[k](g * g).

    Where a term depends on fewer iterators than the product, or is a product of sums, so that there is
    something to gain.
    """
    if not isinstance(node, Reduce) or node.op != "sum":
        return
    terms = _terms(node.body)
    whole = free_iters(node.body)
    if terms is None or len(terms) < 2 or not isinstance(node.body, Apply) or node.body.op != "mul":
        return
    parts = [(coefficient, _separated(node.iters, factors)) for coefficient, factors in terms]
    fewer = any(frozenset().union(*map(free_iters, factors)) < whole for _, factors in terms)
    if fewer or not all(isinstance(part, Reduce) for _, part in parts):
        yield _signed_sum(node, parts)


def _signed_sum(node: Expr, parts: list[tuple[int, Expr]]) -> Expr:
    """The sum of parts, each times its whole coefficient."""
    result: Expr | None = None
    for coefficient, part in parts:
        if abs(coefficient) != 1:
            part = multiply([_number(abs(coefficient), node), part])
        if result is None:
            result = part if coefficient > 0 else Apply("neg", (part,), node.dtype)
        else:
            result = Apply("add" if coefficient > 0 else "sub", (result, part), node.dtype)
    assert result is not None
    return result


def _terms(expr: Expr) -> list[Term] | None:
    """The expanded sum of products of an expression, equal products joined; None where it is long."""
    match expr:
        case Apply("add" | "sub", (left, right), _):
            first, second = _terms(left), _terms(right)
            if first is None or second is None:
                return None
            sign = 1 if expr.op == "add" else -1
            found = [*first, *((sign * c, f) for c, f in second)]
        case Apply("neg", (inner,), _):
            terms = _terms(inner)
            return None if terms is None else [(-c, f) for c, f in terms]
        case Apply("mul", (left, right), _):
            first, second = _terms(left), _terms(right)
            if first is None or second is None or len(first) * len(second) > MAX_TERMS:
                return None
            found = [(a * b, (*f, *g)) for a, f in first for b, g in second]
        case _:
            return [(1, (expr,))]
    joined: dict[tuple[str, ...], Term] = {}
    for coefficient, factors in found:
        ordered = tuple(sorted(factors, key=lambda f: f.key))
        key = tuple(f.key for f in ordered)
        joined[key] = (joined.get(key, (0, ()))[0] + coefficient, ordered)
    kept = [t for t in joined.values() if t[0]]
    return kept if len(kept) <= MAX_TERMS else None


def _separated(iters: tuple[Iter, ...], factors: tuple[Expr, ...]) -> Expr:
    """A sum of a product as the product of sums over what depends on each other."""
    groups: list[tuple[set[Iter], list[Expr]]] = []
    for factor in factors:
        own = set(free_iters(factor)) & set(iters)
        joined = [g for g in groups if g[0] & own]
        merged = (own.union(*(g[0] for g in joined)), [*(f for g in joined for f in g[1]), factor])
        groups = [g for g in groups if g not in joined] + [merged]
    parts = [
        Reduce("sum", tuple(it for it in iters if it in own), multiply(fs)) if own else multiply(fs)
        for own, fs in groups
    ]
    used = set().union(*(own for own, _ in groups))
    unused = tuple(it for it in iters if it not in used)
    product = multiply(parts)
    return Reduce("sum", unused, product) if unused else product


def _number(value: int, like: Expr) -> Const:
    return Const(float(value) if like.dtype.is_float else value, like.dtype)


def fold_scale(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[k](f * g) * s = sum[k](f * (g * s)), where s needs no iterator that g lacks."""
    if not isinstance(node, Apply) or node.op not in ("mul", "div"):
        return
    sides = (node.args, node.args[::-1]) if node.op == "mul" else (node.args,)
    for total, scale in sides:
        if not isinstance(total, Reduce) or total.op != "sum" or isinstance(scale, Reduce):
            continue
        factors = SUM_PRODUCT.factors(total.body)
        for position, factor in enumerate(factors):
            inside = free_iters(scale) <= free_iters(factor) and len(factors) > 1
            if inside and not isinstance(factor, Const):
                scaled = Apply(node.op, (factor, scale), node.dtype)
                rest = (*factors[:position], scaled, *factors[position + 1 :])
                yield Reduce("sum", total.iters, multiply(rest))


def pull_out_division(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[k](f / s * g) = sum[k](f * g) / s, where s does not mention k."""
    if not isinstance(node, Reduce) or node.op != "sum":
        return
    factors = SUM_PRODUCT.factors(node.body)
    for position, factor in enumerate(factors):
        if isinstance(factor, Apply) and factor.op == "div":
            above, below = factor.args
            if not free_iters(below) & set(node.iters):
                rest = (*factors[:position], above, *factors[position + 1 :])
                yield Apply("div", (Reduce("sum", node.iters, multiply(rest)), below), node.dtype)


def group_terms(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """(x[i, j] - a[j]) + b[j] = x[i, j] + (b[j] - a[j]): terms over equal iterators are joined first."""
    if isinstance(node, Apply) and node.op in ("add", "sub"):
        result = _grouped(_chain(node, 1), node)
        if result is not None and result is not node:
            yield result


def fold_shift(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """(x[i, j] - a[j]) * s[j] + b[j] = x[i, j] * s[j] + (b[j] - a[j] * s[j]).

    Distribution with what it is good for: alone it is the same program up to the order of a sum's terms, which
    the search does not tell apart.
    """
    if not isinstance(node, Apply) or node.op not in ("add", "sub"):
        return
    terms = _chain(node, 1)
    for position, (sign, term) in enumerate(terms):
        for op, shifted, scale in _scaled(term):
            inner = [(sign * s, Apply(op, (t, scale), node.dtype)) for s, t in _chain(shifted, 1)]
            result = _grouped([*terms[:position], *inner, *terms[position + 1 :]], node)
            if result is not None:
                yield result


def _scaled(term: Expr) -> Iterator[tuple[str, Expr, Expr]]:
    """A sum times or by something: the operation, the sum, and the scale."""
    if isinstance(term, Apply) and term.op in ("mul", "div"):
        for this, other in (term.args, term.args[::-1]) if term.op == "mul" else (term.args,):
            if isinstance(this, Apply) and this.op in ("add", "sub"):
                yield term.op, this, other


def _grouped(terms: list[tuple[int, Expr]], like: Expr) -> Expr | None:
    """Signed terms, those over equal iterators summed first; None where there is nothing to group."""
    groups: dict[frozenset[Iter], list[tuple[int, Expr]]] = {}
    for sign, term in terms:
        groups.setdefault(free_iters(term), []).append((sign, term))
    if not 1 < len(groups) < len(terms):
        return None
    ordered = sorted(groups.values(), key=lambda g: -len(free_iters(g[0][1])))
    result = _signed(ordered[0], like)
    if result is None:
        return None
    for group in ordered[1:]:
        part = _signed(group, like)
        if part is not None:
            result = Apply("add", (result, part), like.dtype)
        else:
            part = _signed([(-s, t) for s, t in group], like)
            assert part is not None
            result = Apply("sub", (result, part), like.dtype)
    return result


def _chain(expr: Expr, sign: int) -> list[tuple[int, Expr]]:
    if isinstance(expr, Apply) and expr.op in ("add", "sub"):
        right = sign if expr.op == "add" else -sign
        return [*_chain(expr.args[0], sign), *_chain(expr.args[1], right)]
    return [(sign, expr)]


def _signed(group: list[tuple[int, Expr]], like: Expr) -> Expr | None:
    """The sum of signed terms, beginning with a positive one; None where there is none."""
    first = next((n for n, (sign, _) in enumerate(group) if sign > 0), None)
    if first is None:
        return None
    result = group[first][1]
    for sign, term in (*group[:first], *group[first + 1 :]):
        result = Apply("add" if sign > 0 else "sub", (result, term), like.dtype)
    return result


def split_range(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[j in 0:n](where(j < c, f, g)) = sum[j in 0:c](f) + sum[j in c:n](g): concatenation."""
    semiring = semiring_of(node)
    if semiring is None or not isinstance(node, Reduce):
        return
    seen: set[tuple[Iter, int]] = set()
    for each in postorder(node.body):
        if not isinstance(each, Apply) or each.op not in ("lt", "le", "gt", "ge"):
            continue
        for it in node.iters:
            at = _border(each, it)
            if at is None or (it, at) in seen or not it.lo.constant < at < it.hi.constant:
                continue
            seen.add((it, at))
            parts = []
            for lo, hi in ((it.lo.constant, at), (at, it.hi.constant)):
                part = fresh(it.name, lo, hi, taken)
                iters = tuple(part if other is it else other for other in node.iters)
                body = substitute(node.body, {it: Int.of(part)})
                parts.append(Reduce(node.op, iters, body))
            yield Apply(semiring.plus, (parts[0], parts[1]), node.dtype)


def _border(condition: Apply, it: Iter) -> int | None:
    """The value of `it` from which on a comparison with a constant has its other value."""
    left, right = (index_of(a) for a in condition.args)
    if left is None or right is None:
        return None
    difference = left - right
    factor = difference.coefficient(it)
    rest = None if factor not in (1, -1) else difference - Int.of(it) * factor
    if factor is None or rest is None or not rest.is_constant:
        return None
    zero = -rest.constant * factor  # where the difference is 0
    strict = condition.op in (("lt", "ge") if factor == 1 else ("gt", "le"))
    return zero if strict else zero + 1


def split_by_divisor(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[j in 0:m*n](f(j // m, j % m)) = sum[q in 0:n, p in 0:m](f(q, p)): Kronecker products."""
    if semiring_of(node) is None or not isinstance(node, Reduce):
        return
    for it in node.iters:
        for modulus in divisors(node.body, it):
            low, high = it.lo.constant, it.hi.constant
            if low % modulus or high % modulus or high - low <= modulus:
                continue
            quotient = fresh(it.name, low // modulus, high // modulus, taken)
            residue = fresh(it.name, 0, modulus, taken)
            rest = tuple(other for other in node.iters if other is not it)
            body = substitute(node.body, {it: Int.of(quotient) * modulus + residue})
            yield Reduce(node.op, (*rest, quotient, residue), body)


def join_exponentials(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """exp(a) * exp(b) = exp(a + b) and exp(a) / exp(b) = exp(a - b)."""
    match node:
        case Apply("mul" | "div", (Apply("exp" | "exp2" as f, (a,), _), Apply(g, (b,), _)), t) if (
            f == g
        ):
            joined = Apply("add" if node.op == "mul" else "sub", (a, b), t)
            yield Apply(f, (joined,), t)
