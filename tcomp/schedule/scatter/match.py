"""Recognising a scatter: a reduction whose terms are selected by an equation with an output position."""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.tensor import nodes as t
from tcomp.ops import REDUCTIONS

_CONDITIONAL = frozenset({"sum", "prod", "max", "min", "any", "all"})


@dataclass(frozen=True, slots=True)
class Scatter:
    """A reduction whose terms each go to one position along the `scattered` iterators.

    `places` are tensor expressions for these positions, as polynomials over them; terms where one is
    outside, or where a condition fails, go nowhere. The `carried` iterators index whole rows of terms.
    """

    definition: t.Definition
    reduce: t.Reduce
    scattered: tuple[Iter, ...]
    places: tuple[Int, ...]
    conditions: tuple[t.Expr, ...]
    value: t.Expr

    @property
    def carried(self) -> tuple[Iter, ...]:
        return tuple(it for it in self.definition.iters if it not in self.scattered)

    @property
    def is_uniform(self) -> bool:
        """Whether all terms of an element go to the same place along the scattered axes, or nowhere."""
        choosers = (*self.conditions, *(t.IndexValue(place, i64) for place in self.places))
        return not any(set(self.carried) & part.free_atoms() for part in choosers)

    @property
    def initial(self) -> t.Definition:
        """The output before any term: the reduction's identity everywhere."""
        identity = REDUCTIONS[self.reduce.op].identity(self.reduce.dtype)
        constant = t.Const(identity, self.reduce.dtype)
        return t.Definition(self.definition.tensor, self.definition.iters, constant)


def match(definition: t.Definition) -> Scatter | None:
    """The scatter that a definition is, its body being the reduction alone."""
    reduce = definition.body
    if not isinstance(reduce, t.Reduce) or reduce.op not in _CONDITIONAL:
        return None
    found = _selected(reduce)
    if found is None:
        return None
    conditions, value = found
    scattered: dict[Iter, Int] = {}
    rest: list[t.Expr] = []
    for condition in conditions:
        place = _place(condition, definition)
        if place is not None and place[0] not in scattered:
            scattered[place[0]] = place[1]
        else:
            rest.append(condition)
    if not scattered:
        return None
    iters = tuple(it for it in definition.iters if it in scattered)
    places = tuple(scattered[it] for it in iters)
    inside = [value, *rest, *(a.expr for p in places for a in p.leaves() if isinstance(a, Value))]
    if any(part.free_atoms() & set(iters) for part in inside):
        return None
    result = Scatter(definition, reduce, iters, places, tuple(rest), value)
    return None if _skips_checks(result) else result


def split(definition: t.Definition) -> tuple[t.Definition, t.Definition] | None:
    """A definition with a scatter somewhere in its body as the scatter alone and what reads it."""
    reductions = [n for n in t.postorder(definition.body) if isinstance(n, t.Reduce)]
    if definition.body in reductions:
        return None
    for reduce in reductions:
        tensor = t.Tensor(
            f"{definition.tensor.name}_{reduce.op}",
            reduce.dtype,
            tuple((it.lo, it.hi) for it in definition.iters),
        )
        first = t.Definition(tensor, definition.iters, reduce)
        bound = {it for r in reductions for it in r.iters}
        if reduce.free_atoms() & bound or match(first) is None:
            continue
        read = t.Read(tensor, tuple(map(Int.of, definition.iters)))
        body = t.rewrite(definition.body, lambda n, r=reduce, x=read: x if n is r else None)  # type: ignore[misc]
        return first, t.Definition(definition.tensor, definition.iters, body)
    return None


def _selected(reduce: t.Reduce) -> tuple[list[t.Expr], t.Expr] | None:
    """Conditions that must hold for a term to count, and the term."""
    body = reduce.body
    identity = REDUCTIONS[reduce.op].identity(reduce.dtype)
    conditions: list[t.Expr] = []
    while (choice := _choice(body)) is not None:
        condition, then, otherwise = choice
        if not isinstance(otherwise, t.Const) or otherwise.value != identity:
            break
        conditions += _conjuncts(condition)
        body = then
    match body:
        case t.Apply("cast", (inner,), dtype) if reduce.op == "sum" and inner.dtype is boolean:
            conditions += _conjuncts(inner)
            body = t.Const(1.0 if dtype.is_float else 1, dtype)
        case t.Apply("eq" | "and", _, _) if reduce.op == "any":
            conditions += _conjuncts(body)
            body = t.truth(True)
    return (conditions, body) if conditions else None


def _choice(body: t.Expr) -> tuple[t.Expr, t.Expr, t.Expr] | None:
    """The operands of a `where`; a conversion of one converts both of its values."""
    match body:
        case t.Apply("where", (condition, then, otherwise), _):
            return condition, then, otherwise
        case t.Apply("cast", (inner,), dtype) if not inner.dtype.is_float:
            parts = _choice(inner)
            if parts is None or not isinstance(parts[2], t.Const):
                return None
            zero = t.Const(0.0 if dtype.is_float else 0, dtype)
            then = t.Apply("cast", (parts[1],), dtype)
            return None if parts[2].value else (parts[0], then, zero)
    return None


def _conjuncts(condition: t.Expr) -> list[t.Expr]:
    if isinstance(condition, t.Apply) and condition.op == "and":
        return [part for arg in condition.args for part in _conjuncts(arg)]
    return [condition]


def _place(condition: t.Expr, definition: t.Definition) -> tuple[Iter, Int] | None:
    """The output iterator that an equation of integers determines, and its value."""
    if not isinstance(condition, t.Apply) or condition.op != "eq":
        return None
    if not condition.args[0].dtype.is_integer:
        return None
    sides = [
        arg.index if isinstance(arg, t.IndexValue) else Int.of(Value(arg)) for arg in condition.args
    ]
    for one, other in (sides, sides[::-1]):
        for it in definition.iters:
            factor = one.coefficient(it)
            if factor not in (1, -1) or any(isinstance(a, Value) for a in one.leaves()):
                continue
            rest = one - factor * Int.of(it)
            if set(definition.iters) & rest.leaves() or it in other.leaves():
                continue
            return it, factor * (other - rest)
    return None


def _skips_checks(scatter: Scatter) -> bool:
    """Whether reads of a term must be checked where the term's own loops may not run.

    Checks that are the same all along the carried axes are made before them.
    """
    carried = set(scatter.carried)
    checked = [
        t.IndexValue(index, i64)
        for node in t.postorder(scatter.value)
        if isinstance(node, t.Read) and node.otherwise is None
        for index in node.index
        if any(isinstance(a, Value) for a in index.leaves())
    ]
    loops = any(isinstance(node, t.Reduce) for node in t.postorder(scatter.value))
    return bool(checked) and (loops or any(carried & index.free_atoms() for index in checked))
