"""Names and iterators: fresh ones, so that moving an expression into another never captures."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.tensor.nodes import Definition, Expr, Program, Reduce, postorder, rewrite, substitute


def fresh_name(base: str, taken: set[str]) -> str:
    """`base`, or `base_2`, `base_3`, ... : the first that is not taken. The name is taken afterwards."""
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name)
    return name


def names_of(program: Program) -> set[str]:
    """Every name in a program: sizes, tensors, iterators."""
    names = {s.name for s in program.sizes} | {t.name for t in program.inputs}
    for definition in program.definitions():
        names.add(definition.tensor.name)
        names |= iterator_names(definition)
    return names


@lru_cache(1 << 12)
def iterator_names(definition: Definition) -> frozenset[str]:
    """The names of a definition's iterators, those of its reductions included."""
    names = {it.name for it in definition.iters}
    for node in postorder(definition.body):
        if isinstance(node, Reduce):
            names |= {it.name for it in node.iters}
    return frozenset(names)


def rename_bound(expr: Expr, clashing: frozenset[str], taken: set[str]) -> Expr:
    """Renames the iterators of reductions whose names are in `clashing`; `taken` grows by the new names."""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Reduce) or not any(it.name in clashing for it in node.iters):
            return None
        renamed = tuple(
            Iter(fresh_name(it.name, taken), it.lo, it.hi) if it.name in clashing else it
            for it in node.iters
        )
        mapping = {a: Int.of(b) for a, b in zip(node.iters, renamed, strict=True) if a is not b}
        return Reduce(node.op, renamed, substitute(node.body, mapping))

    return rewrite(expr, rule)


def free_iters(expr: Expr) -> frozenset[Iter]:
    """The iterators that an expression's value depends on."""
    facts = expr._facts  # type: ignore[attr-defined]
    if "iters" not in facts:
        facts["iters"] = frozenset(a for a in expr.free_atoms() if isinstance(a, Iter))
    iters: frozenset[Iter] = facts["iters"]
    return iters


def index_iters(indices: Iterable[Int]) -> frozenset[Iter]:
    """The iterators that occur in indices, those inside data-dependent parts included."""
    return _NONE.union(*map(_iters, indices))


_NONE: frozenset[Iter] = frozenset()


def _iters(index: Int) -> frozenset[Iter]:
    facts = index._facts
    if "iters" not in facts:
        found: set[Iter] = set()
        for atom in index.leaves():
            if isinstance(atom, Iter):
                found.add(atom)
            elif isinstance(atom, Value):
                found |= free_iters(atom.expr)
        facts["iters"] = frozenset(found)
    iters: frozenset[Iter] = facts["iters"]
    return iters


def plain_iter(index: Int) -> Iter | None:
    """The iterator that alone is the whole index, or None."""
    if index.constant or len(index.terms) != 1:
        return None
    monomial, factor = index.terms[0]
    if factor != 1 or len(monomial) != 1 or not isinstance(monomial[0], Iter):
        return None
    return monomial[0]
