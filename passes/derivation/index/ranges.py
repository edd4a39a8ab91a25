"""Expression splitting: a definition by cases becomes one definition for each case's range."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Read,
    Reduce,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.derivation.index.reindex import depends_on_data
from tcomp.passes.derivation.index.residues import less
from tcomp.passes.inline import zero
from tcomp.passes.scoping import fresh_name
from tcomp.passes.simplify import simplify_expression

_COMPARISONS = frozenset({"lt", "le", "gt", "ge"})


def split_range(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[x in 0:n] = f(x)  =  A[x in 0:m] = f(x); B[x in m:n] = f(x); T[x] = A[x] where x < m, else B[x].

    Where f compares x with a constant and the cases are more than elementwise: each range needs one only.
    """
    if depends_on_data(definition.body):
        return
    if not any(isinstance(n, Reduce) for n in postorder(definition.body)):
        return
    for it in definition.iters:
        for point in _points(definition.body, it):
            yield _split(definition, it, point, set(taken))


def _split(definition: Definition, it: Iter, point: int, taken: set[str]) -> tuple[Definition, ...]:
    made: list[Definition] = []
    values: list[Expr] = []
    nothing = zero(definition.body)
    for lo, hi in ((it.lo, Int.of(point)), (Int.of(point), it.hi)):
        part = Iter(it.name, lo, hi)
        iters = tuple(part if other is it else other for other in definition.iters)
        name = fresh_name(f"{definition.tensor.name}_part", taken)
        tensor = Tensor(name, definition.tensor.dtype, tuple((i.lo, i.hi) for i in iters))
        body = simplify_expression(substitute(definition.body, {it: Int.of(part)}))
        made.append(Definition(tensor, iters, body))
        values.append(Read(tensor, tuple(map(Int.of, definition.iters)), nothing))
    body = Apply("where", (less(Int.of(it), Int.of(point)), *values), definition.tensor.dtype)
    return (*made, Definition(definition.tensor, definition.iters, body))


def _points(body: Expr, it: Iter) -> list[int]:
    """The first positions of `it` at which a comparison with it alone changes its value."""
    found: set[int] = set()
    for node in postorder(body):
        match node:
            case Apply(op, (IndexValue(index, _), Const(limit, _)), _) if op in _COMPARISONS:
                step = index.coefficient(it)
                if step in (1, -1) and index.leaves() == {it}:
                    edge = (int(limit) - index.constant) * (step or 1)
                    # i < m and i >= m change at m, i <= m and i > m behind it; mirrored for -i.
                    after = (op in ("le", "gt")) is (step == 1)
                    found.add(edge + 1 if after else edge)
    return sorted(p for p in found if it.lo.constant < p < it.hi.constant)
