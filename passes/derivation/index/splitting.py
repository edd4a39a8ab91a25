"""Variable splitting: one iterator becomes quotient and remainder by a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tcomp.ir.integer import FloorDiv, Int, Iter, Mod
from tcomp.ir.tensor.nodes import (
    Const,
    Definition,
    Expr,
    Read,
    Reduce,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.index.reindex import (
    depends_on_data,
    divisors,
    fresh,
    indices,
    reindexed,
    spans,
    summed,
    where,
)
from tcomp.passes.derivation.index.residues import less
from tcomp.passes.derivation.index.staging import slides
from tcomp.passes.inline import guarded
from tcomp.passes.lift import is_product_sum
from tcomp.passes.scoping import fresh_name

MAX_TAPS = 16  # iterators of sums that are split for their own sake are windows,
FEW = (3, 2)  # and these are the windows for which there are fast algorithms


def split_output(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[y] = f(y)  =  U[q, p] = f(m*q + p - e);  T[y] = U[(y + e) // m, (y + e) % m].

    By the constants m that the body divides by, and by the dilations of what it slides over, at all
    iterators for which there are such. Each residue follows its quotient, so that T is a view of U, or where
    U has more points a part of one; but residues of dilations come first, because what slides over them
    (`winograd.py`) makes several tensors in the order of U.
    """
    moduli = {it: found for it in definition.iters if (found := _moduli(definition, it))}
    for choice in product(*moduli.values()):
        if choice:
            split = {
                it: _Split(m, _offset(definition, it, m), m in divisors(definition.body, it))
                for it, m in zip(moduli, choice, strict=True)
            }
            made = _split(definition, split, set(taken))
            if made is not None:
                yield made


@dataclass(frozen=True, slots=True)
class _Split:
    """An iterator plus `offset`, by `modulus`; its residue stands where T is `viewed`."""

    modulus: int
    offset: int
    viewed: bool

    def quotients(self, it: Iter) -> tuple[int, int]:
        """Their range."""
        low, last = it.lo.constant + self.offset, it.hi.constant + self.offset - 1
        return low // self.modulus, last // self.modulus + 1


def _offset(definition: Definition, it: Iter, modulus: int) -> int:
    """What the body adds before it divides, where residues do not come out plain without it: (y + 1) % 3 is p
    for y = 3*q + p - 1, but neither for 3*q + p nor evenly along p."""
    found = {0}
    for index in indices(definition.body):
        for atom in index.atoms():
            if not isinstance(atom, FloorDiv | Mod) or modulus == 2:
                continue
            if atom.right is Int.of(modulus) and atom.left.coefficient(it) == 1:
                found.add((atom.left - it).constant % modulus)
    return max(found) if len(found) <= 2 else 0


def _split(
    definition: Definition, split: dict[Iter, _Split], taken: set[str]
) -> tuple[Definition, ...] | None:
    iters: list[Iter] = []
    first: list[Iter] = []
    backward: dict[Iter, Int] = {}  # over the points of `wide`
    forward: dict[Iter, Int] = {}
    wide: list[Iter] = []
    for it in definition.iters:
        if it not in split:
            iters.append(it)
            wide.append(it)
            backward[it] = Int.of(it)
            continue
        modulus, offset = split[it].modulus, split[it].offset
        low, high = split[it].quotients(it)
        quotient, residue = fresh(it.name, low, high, taken), fresh(it.name, 0, modulus, taken)
        iters.append(quotient)
        (iters if split[it].viewed else first).append(residue)
        wide.append(fresh(it.name, low * modulus, high * modulus, taken))
        backward |= {quotient: Int.of(wide[-1]) // modulus, residue: Int.of(wide[-1]) % modulus}
        forward[it] = Int.of(quotient) * modulus + residue - offset
    here = {
        w: Int.of(it) + split[it].offset
        for it, w in zip(definition.iters, wide, strict=True)
        if it in split
    }
    onto = all((it.lo, it.hi) == (w.lo, w.hi) for it, w in zip(definition.iters, wide, strict=True))
    iters = [*first, *iters]
    back_at = tuple(backward[it].sub(here if onto else {}) for it in iters)
    made = reindexed(definition, tuple(iters), forward, back_at, taken, onto=onto)
    if made is None or onto:
        return made
    parts, back = made
    padded = Tensor(
        fresh_name(definition.tensor.name, taken),
        definition.tensor.dtype,
        tuple((w.lo, w.hi) for w in wide),
    )
    cut = Read(padded, tuple(here.get(w, Int.of(w)) for w in wide))
    return (
        parts,
        Definition(padded, tuple(wide), back.body),
        Definition(definition.tensor, definition.iters, cut),
    )


def _moduli(definition: Definition, it: Iter) -> list[int]:
    extent = spans(it)
    found = {*divisors(definition.body, it), *_dilations(definition, it)}
    return sorted(m for m in found if 1 < m < extent)


def _dilations(definition: Definition, it: Iter) -> set[int]:
    """Steps of summed iterators in positions that move one by one with an output iterator."""
    summed_iters = {
        s for node in postorder(definition.body) if isinstance(node, Reduce) for s in node.iters
    }
    found: set[int] = set()
    for index in indices(definition.body):
        if index.coefficient(it) != 1:
            continue
        steps = [c for s in summed_iters if (c := index.coefficient(s))]
        found |= {abs(c) for c in steps if abs(c) > 1}
    return found


def split_summed(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r in 0:m*n](f(r))  =  sum[q in 0:n, p in 0:m](f(m*q + p)), for windows of a few taps."""
    if not isinstance(node, Reduce) or not summed(node):
        return
    for it in node.iters:
        extent = spans(it)
        if not is_product_sum(node) or extent > MAX_TAPS or not slides(node, it):
            continue
        for modulus in FEW:
            if extent % modulus == 0 and extent > modulus:
                quotient = fresh(it.name, 0, extent // modulus, taken)
                residue = fresh(it.name, 0, modulus, taken)
                value = it.lo + Int.of(quotient) * modulus + residue
                rest = tuple(other for other in node.iters if other is not it)
                yield Reduce("sum", (*rest, quotient, residue), substitute(node.body, {it: value}))


def reverse(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r in 0:n](f(n - 1 - r))  =  sum[r in 0:n](f(r)), where every position goes backwards with r."""
    if not isinstance(node, Reduce) or not summed(node):
        return
    backwards: dict[Iter, Int] = {}
    for it in node.iters:
        steps = [i.coefficient(it) for i in indices(node.body) if it in i.leaves()]
        if steps and all(step is not None and step < 0 for step in steps):
            backwards[it] = it.lo + it.hi - 1 - it
    if backwards:
        yield Reduce("sum", node.iters, substitute(node.body, backwards))


def relax(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r in 0:n](f(r) * g(r))  =  sum[r in 0:m](f'(r) * g'(r)), m > n the next multiple of 2 or 3.

    f' and g' are f and g inside the old range and 0 outside, so the new terms are 0 * 0.
    """
    if not isinstance(node, Reduce) or not summed(node) or depends_on_data(node.body):
        return
    for it in node.iters:
        extent = spans(it)
        if not is_product_sum(node) or not slides(node, it) or any(extent % m == 0 for m in FEW):
            continue
        for multiple in FEW:
            larger = -(-extent // multiple) * multiple
            if multiple < extent <= MAX_TAPS:
                wide = Iter(it.name, it.lo, it.lo + larger)
                factors = [_extended(f, it, wide) for f in factors_of(node.body)]
                iters = tuple(wide if other is it else other for other in node.iters)
                yield Reduce("sum", iters, multiply(factors))


def _extended(factor: Expr, old: Iter, wide: Iter) -> Expr:
    moved = guarded(substitute(factor, {old: Int.of(wide)}))
    if isinstance(factor, Const):
        return moved
    return where(less(Int.of(wide), old.hi), moved)
