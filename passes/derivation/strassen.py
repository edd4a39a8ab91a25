"""Strassen's matrix product as a lemma: seven products of halves instead of eight.

    C[i, j]          = g(sum[k](f(i, k) * h(k, j)))                  i, j and k in two halves each

    P1[i, j]         = sum[k]((f00 + f11) * (h00 + h11))             f01 = f(i, k + K/2) and so on, in half the range
    ...
    P7[i, j]         = sum[k]((f01 - f11) * (h10 + h11))
    Q[a, i, b, j]    = g(P1 + P4 - P5 + P7) where a == b == 0, ...
    C[i, j]          = Q[i // (M/2), i % (M/2), j // (N/2), j % (N/2)]

The sums of halves are made while operands are packed, so that only the seven products pass through memory
(Huang, Smith, Henry, van de Geijn, Strassen's Algorithm Reloaded, SC 2016). Strassen's own form (Gaussian
Elimination is not Optimal, 1969) is taken rather than Winograd's with fewer additions: these are nearly
free here, and its operands have two terms at most, which also rounds less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product as pairs

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    Read,
    Reduce,
    Tensor,
    postorder,
    substitute,
)
from tcomp.ir.tensor.tables import table
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.rule import Application, at_definitions, replaced
from tcomp.passes.lift import is_product_sum
from tcomp.passes.scoping import free_iters, fresh_name

QUARTERS = tuple(pairs((0, 1), repeat=2))


def _matrix(*rows: str) -> tuple[tuple[int, ...], ...]:
    signs = {"+": 1, "-": -1, ".": 0}
    return tuple(tuple(signs[sign] for sign in row) for row in rows)


# Columns are the quarters 00, 01, 10, 11 of an operand; of the result, the products.
LEFT = _matrix("+..+", "..++", "+...", "...+", "++..", "-.+.", ".+.-")
RIGHT = _matrix("+..+", "+...", ".+.-", "-.+.", "...+", "++..", "..++")
RESULT = _matrix("+..+-.+", "..+.+..", ".+.+...", "+-+..+.")


@dataclass(frozen=True, slots=True)
class Product:
    """A sum of products as a product of two matrices, perhaps many of them side by side."""

    definition: Definition
    total: Reduce
    row: Iter
    column: Iter
    inner: Iter
    left: Expr
    right: Expr


def strassen(levels: int, least: int) -> Application:
    """The lemma so many times, at each product of plain tensors with so many points along its three ranges.

    Operands that are computed would be computed in several packings, those that the lemma made among them.
    """

    def lemma(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
        found = matrix_product(definition)
        if found is None or not all(_halves(it, least, levels) for it in _split(found)):
            return
        if all(isinstance(operand, Read) for operand in (found.left, found.right)):
            yield _divided(found, levels, taken)

    return at_definitions(lemma)


def _divided(found: Product, levels: int, taken: set[str]) -> tuple[Definition, ...]:
    made = _Lemma(found, taken).definitions()
    if levels == 1:
        return made
    *products, quarters, result = made
    parts = (_again(product, levels - 1, taken) for product in products)
    return (*(d for part in parts for d in part), quarters, result)


def _again(product: Definition, levels: int, taken: set[str]) -> tuple[Definition, ...]:
    """One of the seven products by the lemma, or as it is: of several iterators another one may be the longest now,
    which does not divide."""
    found = matrix_product(product)
    if found is None or not all(_halves(it, 2, levels) for it in _split(found)):
        return (product,)
    return _divided(found, levels, taken)


def matrix_product(definition: Definition) -> Product | None:
    """The definition as a product of matrices along its longest iterators, or None."""
    sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
    if len(sums) != 1 or not is_product_sum(sums[0]) or not sums[0].dtype.is_float:
        return None
    total, column = sums[0], definition.iters[-1] if definition.iters else None
    factors = factors_of(total.body)
    if column is None or any(f.dtype is not total.dtype for f in factors):
        return None
    left = [f for f in factors if column not in free_iters(f)]
    right = [f for f in factors if column in free_iters(f)]
    if not left or not right:
        return None
    in_left, in_right = free_iters(multiply(left)), free_iters(multiply(right))
    rows = [it for it in definition.iters if it in in_left - in_right]
    inner = [it for it in total.iters if it in in_left & in_right]
    if not rows or not inner:
        return None
    return Product(
        definition, total, _longest(rows), column, _longest(inner), multiply(left), multiply(right)
    )


def _split(found: Product) -> tuple[Iter, Iter, Iter]:
    return found.row, found.column, found.inner


def _longest(iters: list[Iter]) -> Iter:
    return max(iters, key=lambda it: it.extent.constant)


def _halves(it: Iter, least: int, levels: int) -> bool:
    extent = it.extent.constant
    return bool(extent >= least and extent % 2**levels == 0)


def _signed_sum(signs: Sequence[int], terms: Sequence[Expr]) -> Expr:
    """The terms added or subtracted; one at least is added."""
    chosen = sorted(((s, t) for s, t in zip(signs, terms, strict=True) if s), key=lambda c: -c[0])
    (_, value), *others = chosen
    for sign, term in others:
        value = Apply("add" if sign > 0 else "sub", (value, term), value.dtype)
    return value


class _Lemma:
    """The definitions that replace one product."""

    def __init__(self, found: Product, taken: set[str]) -> None:
        self.found, self.taken = found, taken
        self.half = {it: self._iter(it.name, it.extent.constant // 2) for it in _split(found)}

    def definitions(self) -> tuple[Definition, ...]:
        """The seven products, the quarters of the result, and the result as it is asked for."""
        products = [self._product(*rows) for rows in zip(LEFT, RIGHT, strict=True)]
        quarters = self._quarters(products)
        old = self.found.definition
        index: list[Int] = []
        for it in old.iters:
            offset = Int.of(it) - it.lo
            half = it.extent.constant // 2
            index += [offset // half, offset % half] if it in self.half else [Int.of(it)]
        return (
            *products,
            quarters,
            Definition(old.tensor, old.iters, Read(quarters.tensor, tuple(index))),
        )

    def _product(self, left: tuple[int, ...], right: tuple[int, ...]) -> Definition:
        found = self.found
        factors = [
            _signed_sum(left, self._parts(found.left, found.row, found.inner)),
            _signed_sum(right, self._parts(found.right, found.inner, found.column)),
        ]
        inner = tuple(self.half.get(it, it) for it in found.total.iters)
        iters = tuple(self.half.get(it, it) for it in found.definition.iters)
        return self._definition("part", iters, Reduce("sum", inner, multiply(factors)))

    def _parts(self, operand: Expr, first: Iter, second: Iter) -> list[Expr]:
        return [
            substitute(operand, self._shift(first, a) | self._shift(second, b)) for a, b in QUARTERS
        ]

    def _shift(self, it: Iter, number: int) -> dict[Iter, Int]:
        half = self.half[it]
        return {it: Int.of(half) + it.lo + number * half.extent.constant}

    def _quarters(self, products: list[Definition]) -> Definition:
        """The result with either of its split axes as two: which half, and the position in it."""
        found, old = self.found, self.found.definition
        side = {it: self._iter(f"{it.name}_half", 2) for it in (found.row, found.column)}
        reads = [Read(p.tensor, tuple(map(Int.of, p.iters))) for p in products]

        def quarter(number: int) -> Expr:
            a, b = QUARTERS[number]
            place = self._shift(found.row, a) | self._shift(found.column, b)
            total = substitute(found.total, place)
            return replaced(substitute(old.body, place), total, _signed_sum(RESULT[number], reads))

        rows = [table(side[found.column], (quarter(2 * a), quarter(2 * a + 1))) for a in (0, 1)]
        iters: list[Iter] = []
        for it in old.iters:
            iters += [side[it], self.half[it]] if it in side else [it]
        return self._definition("quarters", tuple(iters), table(side[found.row], tuple(rows)))

    def _iter(self, stem: str, extent: int) -> Iter:
        return Iter(fresh_name(stem, self.taken), Int.of(0), Int.of(extent))

    def _definition(self, stem: str, iters: tuple[Iter, ...], body: Expr) -> Definition:
        name = fresh_name(f"{self.found.definition.tensor.name}_{stem}", self.taken)
        axes = tuple((it.lo, it.hi) for it in iters)
        return Definition(Tensor(name, body.dtype, axes), iters, body)
