"""Contraction order: a sum of products of three or more factors becomes a sequence of pairwise sums.

    Y[i] = sum[j, k](A[i, j] * B[j, k] * v[k])      t[j] = sum[k](B[j, k] * v[k]);  Y[i] = sum[j](A[i, j] * t[j])

The order is optimal in scalar multiplications by dynamic programming over subsets of factors (Pfeifer,
Haegeman, Verstraete, Phys. Rev. E 90, 033315) up to `EXACT` factors, greedy above. Preconditions: the
reduction of a semiring (`sum` over products, `max` over sums, ...) over a product whose factors each are
free of the other reductions' names; addition and multiplication are reassociated, so the accuracy policy
decides whether floats may be reordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
)
from tcomp.passes.lift import postorder_outside_reductions
from tcomp.passes.scoping import free_iters, fresh_name, names_of
from tcomp.passes.semiring import SUM_PRODUCT, Semiring, semiring_of

EXACT = 10  # factors that are ordered exactly: 3**10 splits of subsets take about 50 ms


@dataclass(frozen=True, slots=True)
class _Part:
    """A product of some factors, summed over what no other factor needs."""

    cost: float
    iters: frozenset[Iter]  # what the part still depends on
    split: tuple[int, int] | None  # the subsets it is made of; None for one factor


def contraction_order(program: Program, taken: set[str] | None = None) -> Program:
    """Splits every sum of three or more factors outside scans into pairwise sums.

    `taken` are names that new tensors must not have beside the program's own.
    """
    taken = names_of(program) | (taken or set())
    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Scan):
            body.append(statement)
        else:
            body.extend(ordered_sums(statement, taken))
    return Program(
        program.name,
        program.sizes,
        program.inputs,
        program.results,
        tuple(body),
        spans=program.spans,
    )


def factors_of(expr: Expr) -> tuple[Expr, ...]:
    """The factors of a product of numbers, left to right."""
    return SUM_PRODUCT.factors(expr)


def ordered_sums(definition: Definition, taken: set[str]) -> list[Definition]:
    """The definition, behind those of parts of its sums; their names are added to `taken`."""
    if not _has_order(definition):
        return [definition]
    before: list[Definition] = []
    done: dict[Expr, Expr] = {}
    for node in postorder_outside_reductions(definition.body):
        if isinstance(node, Reduce):
            done[node] = _split(node, definition, before, taken)
        else:
            done[node] = node.rebuild(tuple(done[c] for c in node.children()))
    return [*before, Definition(definition.tensor, definition.iters, done[definition.body])]


@lru_cache(1 << 12)
def _has_order(definition: Definition) -> bool:
    """Whether a sum outside of sums has factors enough to be ordered."""
    return any(
        len(semiring.factors(node.body)) > 2
        for node in postorder_outside_reductions(definition.body)
        if isinstance(node, Reduce) and (semiring := semiring_of(node)) is not None
    )


def _split(node: Reduce, definition: Definition, before: list[Definition], taken: set[str]) -> Expr:
    semiring = semiring_of(node)
    factors = _merged(semiring, node.body) if semiring is not None else ()
    if semiring is None or len(factors) < 3:
        return node
    needs = [free_iters(f) for f in factors]
    summed = frozenset(node.iters)
    table = _best(needs, summed) if len(factors) <= EXACT else _greedy(needs, summed)
    full = (1 << len(factors)) - 1

    def value(subset: int) -> Expr:
        """The value of a subset's part: a factor, or a read of the tensor that holds its sum."""
        part = table[subset]
        if part.split is None:
            return factors[subset.bit_length() - 1]
        body = _pair(subset)
        if subset == full:
            return body
        iters = _in_order(part.iters, definition, node)
        tensor = Tensor(
            fresh_name(f"{definition.tensor.name}_part", taken),
            node.dtype,
            tuple((it.lo, it.hi) for it in iters),
        )
        before.append(Definition(tensor, iters, body))
        return Read(tensor, tuple(Int.of(it) for it in iters))

    def _pair(subset: int) -> Expr:
        split = table[subset].split
        assert split is not None
        left, right = value(split[0]), value(split[1])
        product = semiring.multiply([left, right])
        kept = table[subset].iters
        gone = (table[split[0]].iters | table[split[1]].iters) - kept
        iters = tuple(it for it in node.iters if it in gone)
        return Reduce(node.op, iters, product) if iters else product

    unused = tuple(it for it in node.iters if not any(it in need for need in needs))
    result = _pair(full)
    return Reduce(node.op, unused, result) if unused else result


def _merged(semiring: Semiring, body: Expr) -> tuple[Expr, ...]:
    """Joins factors that need no iterator another one lacks: they only scale it."""
    kept: list[Expr] = []
    for factor in sorted(semiring.factors(body), key=lambda f: -len(free_iters(f))):
        for position, other in enumerate(kept):
            if free_iters(factor) <= free_iters(other):
                kept[position] = semiring.multiply([other, factor])
                break
        else:
            kept.append(factor)
    return tuple(kept)


def _extent(iters: frozenset[Iter]) -> float:
    total = 1.0
    for it in iters:
        total *= it.extent.constant
    return total


def _outside(needs: list[frozenset[Iter]], subset: int, summed: frozenset[Iter]) -> frozenset[Iter]:
    """What a subset's sum must keep: iterators of the result, or of a factor outside the subset."""
    inside: frozenset[Iter] = frozenset()
    others: frozenset[Iter] = frozenset()
    for position, need in enumerate(needs):
        if subset >> position & 1:
            inside |= need
        else:
            others |= need
    return frozenset(it for it in inside if it not in summed or it in others)


def _best(needs: list[frozenset[Iter]], summed: frozenset[Iter]) -> dict[int, _Part]:
    """The cheapest split of every subset, by size."""
    table = {1 << p: _Part(0.0, need, None) for p, need in enumerate(needs)}
    for subset in sorted(range(1, 1 << len(needs)), key=lambda s: (s.bit_count(), s)):
        if subset in table:
            continue
        kept = _outside(needs, subset, summed)
        best: _Part | None = None
        left = (subset - 1) & subset
        while left > subset ^ left:
            right = subset ^ left
            work = _extent(table[left].iters | table[right].iters)
            cost = table[left].cost + table[right].cost + work
            if best is None or cost < best.cost:
                best = _Part(cost, kept, (left, right))
            left = (left - 1) & subset
        assert best is not None
        table[subset] = best
    return table


def _greedy(needs: list[frozenset[Iter]], summed: frozenset[Iter]) -> dict[int, _Part]:
    """Joins, again and again, the pair whose result grows least over its operands."""
    table = {1 << p: _Part(0.0, need, None) for p, need in enumerate(needs)}
    open_parts = sorted(table)
    while len(open_parts) > 1:
        pairs = [
            (_growth(a, b, table, needs, summed), a, b)
            for n, a in enumerate(open_parts)
            for b in open_parts[n + 1 :]
        ]
        _, a, b = min(pairs)
        work = _extent(table[a].iters | table[b].iters)
        cost = table[a].cost + table[b].cost + work
        table[a | b] = _Part(cost, _outside(needs, a | b, summed), (a, b))
        open_parts = sorted([p for p in open_parts if p not in (a, b)] + [a | b])
    return table


def _growth(
    a: int, b: int, table: dict[int, _Part], needs: list[frozenset[Iter]], summed: frozenset[Iter]
) -> float:
    joined = _extent(_outside(needs, a | b, summed))
    return joined - _extent(table[a].iters) - _extent(table[b].iters)


def _in_order(iters: frozenset[Iter], definition: Definition, node: Reduce) -> tuple[Iter, ...]:
    return tuple(it for it in (*definition.iters, *node.iters) if it in iters)
