"""Steps of a scan that leave everything as it was, because a condition on positions holds at none of their points.

    scan[b]: L[b, s, i] = where(B*b + i <= s, .., -inf);  n[b, s] = maximum((n[b-1, s] else -inf), max[i](L[b, s, i]))

does nothing for rows s < r at steps with B*b >= r: then L is -inf all over, and n stays. Whether all that steps
hand on stays is decided by evaluating a step with that value of L. What is multiplied by an exact 0 counts as
finite, as it does where a guard makes a factor 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from tcomp.ir.dtypes import boolean
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
    rewrite,
    truth,
)
from tcomp.ir.tensor.regions import Ranges, part_of
from tcomp.ir.tensor.steps import states

_ENDLESS = float("-inf")
_WHOLE: Mapping[Definition, Ranges] = {}


def active(
    members: Sequence[Definition], step: Iter, parts: Mapping[Definition, Ranges] = _WHOLE
) -> tuple[Int, Int]:
    """A range of steps outside of which nothing changes: from the first up to, not including, the second.

    `parts` are the ranges of definitions where only parts of them matter.
    """
    first, stop = step.lo, step.hi
    for definition, limit in _limits(tuple(members), step):
        factor = limit.coefficient(step)
        others = limit.sub({step: Int.of(0)})
        rest = _greatest(others, definition, parts.get(definition, {}))
        if not factor or rest is None:
            continue
        if factor < 0:  # rest >= |factor| * step
            stop = stop.min(rest // -factor + 1)
        else:  # step >= -rest / factor
            first = first.max(-(rest // factor))
    first = first.min(step.hi)
    return first, stop.max(first)


@lru_cache(256)
def _limits(members: tuple[Definition, ...], step: Iter) -> tuple[tuple[Definition, Int], ...]:
    """Polynomials without which being at least 0 somewhere in a definition a step changes nothing."""
    return tuple(
        (definition, limit)
        for definition in members
        if (found := _guarded(definition)) is not None
        and _stays(members, step, definition, found[1])
        for limit in found[0]
    )


def _guarded(definition: Definition) -> tuple[list[Int], Const] | None:
    """Of `where(condition, value, constant)` what the condition needs to be at least 0, and the constant."""
    body = definition.body
    if not isinstance(body, Apply) or body.op != "where" or not isinstance(body.args[2], Const):
        return None
    return list(_conjuncts(body.args[0])), body.args[2]


def _conjuncts(condition: Expr) -> Iterator[Int]:
    match condition:
        case Apply("and", (left, right)):
            yield from _conjuncts(left)
            yield from _conjuncts(right)
        case Apply("le" | "lt" | "ge" | "gt" as op, (left, right)):
            a, b = _position(left), _position(right)
            if a is not None and b is not None:
                distance = b - a if op in ("le", "lt") else a - b
                yield distance - (1 if op in ("lt", "gt") else 0)


def _position(expr: Expr) -> Int | None:
    match expr:
        case IndexValue(index, dtype) if dtype.is_integer:
            return index
        case Const(value, dtype) if dtype.is_integer:
            return Int.of(int(value))
    return None


def _greatest(limit: Int, definition: Definition, ranges: Ranges) -> Int | None:
    """The greatest value of a polynomial over the points of a definition; None where it is not affine."""
    for it in definition.iters:
        factor = limit.coefficient(it)
        if factor is None:
            return None
        part = part_of(it, ranges)
        limit = limit.sub({it: part.hi - 1 if factor > 0 else part.lo})
    return limit


# -- what a step makes of a constant -----------------------------------------------------------------


def _stays(members: tuple[Definition, ...], step: Iter, constant: Definition, value: Const) -> bool:
    """Whether a step hands on what it was handed if one of its definitions is a constant."""
    kept = states(members, step)
    if kept is None:
        return False
    known: dict[Tensor, Expr | None] = {constant.tensor: value}  # None: as the step before
    for definition in members:
        if definition is constant:
            continue
        body = rewrite(definition.body, lambda n: _simpler(_known(n, known, step, kept)))
        if isinstance(body, Const):
            known[definition.tensor] = body
        elif body is _before(definition, step):
            known[definition.tensor] = None
    return all(known.get(tensor, constant) is None for tensor in kept)


def _before(definition: Definition, step: Iter) -> Read:
    """The same point of the step before."""
    index = (Int.of(it) - (1 if it is step else 0) for it in definition.iters)
    return Read(definition.tensor, tuple(index))


def _known(node: Expr, known: dict[Tensor, Expr | None], step: Iter, kept: object) -> Expr:
    """Reads of what is known as what they are; those of the step before without their guards."""
    if not isinstance(node, Read):
        return node
    if node.tensor in known:
        value = known[node.tensor]
        if value is not None:
            return value
        moved = {step: Int.of(step) - 1}
        index = tuple(i.sub(moved) if Int.of(step) in (i,) else i for i in node.index)
        return Read(node.tensor, index)
    return Read(node.tensor, node.index) if node.tensor in kept else node  # type: ignore[operator]


def _simpler(node: Expr) -> Expr:
    """A node of simplified nodes, simplified. NaN stays NaN whatever is left out."""
    match node:
        case Reduce("max" | "min", _, Const() as value):
            return value
        case Reduce("sum", _, Const(0)):
            return node.body
        case Apply("maximum", (Const(value), other)) | Apply("maximum", (other, Const(value))):
            return other if value == _ENDLESS else node
        case Apply("eq", (left, right)) if left is right:
            return truth(True)
        case Apply("where", (Const(value, dtype), chosen, rejected)) if dtype is boolean:
            return chosen if value else rejected
        case Apply("sub", (Const(value) as endless, _)) if value == _ENDLESS:
            return endless
        case Apply("exp", (Const(value, dtype),)) if value == _ENDLESS:
            return Const(0.0, dtype)
        case Apply("mul", (Const(0) as nothing, _)) | Apply("mul", (_, Const(0) as nothing)):
            return nothing
        case Apply("mul", (Const(1), other)) | Apply("mul", (other, Const(1))):
            return other
        case Apply("add", (Const(0), other)) | Apply("add", (other, Const(0))):
            return other
        case Apply("cast", (Const(value),), dtype) if dtype.is_float:
            return Const(value, dtype)
    return node
