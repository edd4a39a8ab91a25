"""Simplification: constants folded in their own type, guards that always or never hold, unit ranges.

Every rule is exact in floating point: nothing here may change a bit of the result, NaN and the sign of
zero included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import gcd

from tcomp.ir.dtypes import DType, f32, i64
from tcomp.ir.integer import FloorDiv, Int, Iter, Mod, Value
from tcomp.ir.tensor.conversions import convert, representation
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    postorder,
    substitute,
)
from tcomp.ops import OPS, REDUCTIONS


def simplify(program: Program) -> Program:
    """Simplifies every definition of a bound program."""
    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Scan):
            fixed = frozenset({statement.iter})
            body.append(
                Scan(statement.iter, tuple(_definition(d, fixed) for d in statement.definitions))
            )
        else:
            body.append(_definition(statement, frozenset()))
    return Program(
        program.name,
        program.sizes,
        program.inputs,
        program.results,
        tuple(body),
        spans=program.spans,
    )


def simplify_expression(expr: Expr) -> Expr:
    """Applies the rules of this file bottom-up. Nodes remember what they became, unless it was themselves."""
    if "simple" in expr._facts:  # type: ignore[attr-defined]
        return expr._facts["simple"] or expr  # type: ignore[attr-defined]
    for node in postorder(expr):
        facts = node._facts  # type: ignore[attr-defined]
        if "simple" not in facts:
            children = node.children()
            fresh = tuple([c._facts["simple"] or c for c in children])  # type: ignore[attr-defined]
            rebuilt = node if fresh == children else node.rebuild(fresh)
            result = _rule(rebuilt) or rebuilt
            facts["simple"] = None if result is node else result
    return expr._facts["simple"] or expr  # type: ignore[attr-defined]


@lru_cache(1 << 14)
def _definition(definition: Definition, keep: frozenset[Iter]) -> Definition:
    units = {it: it.lo for it in definition.iters if it not in keep and _is_unit(it)}
    return Definition(
        definition.tensor,
        definition.iters,
        simplify_expression(substitute(definition.body, units)),
    )


def _is_unit(it: Iter) -> bool:
    return it.extent.is_constant and it.extent.constant == 1


def simplify_node(node: Expr) -> Expr:
    """The rules of this file at one node whose operands are simple."""
    return _rule(node) or node


def _rule(node: Expr) -> Expr | None:
    match node:
        case IndexValue(index, dtype) if index.is_constant:
            return _constant(index.constant, dtype)
        case IndexValue(index, dtype):
            return _single_value(index, dtype)
        case Read(tensor, index, otherwise) if otherwise is not None:
            return _guard(node, tensor.axes, index, otherwise)
        case Reduce():
            return _reduction(node)
        case Apply(op, args, _):
            return _APPLIED[op](node) if op in _APPLIED else _folded(node, args)
    return None


def _cast(node: Apply) -> Expr | None:
    match node.args[0], node.dtype:
        case Const(value, source), dtype:
            return _converted(value, source, dtype)
        case IndexValue(index, source), dtype if (
            source.bits == 64 and source.is_integer and _never_wraps(index, source)
        ):
            return IndexValue(index, dtype)
        case inner, dtype if inner.dtype is dtype:
            return inner
    return None


def _where(node: Apply) -> Expr | None:
    condition, chosen, rejected = node.args
    if isinstance(condition, Const):
        return chosen if condition.value else rejected
    return chosen if chosen is rejected else _fewer_conditions(node, condition, chosen, rejected)


def _arithmetic(node: Apply) -> Expr | None:
    folded = _folded(node, node.args)
    if folded is not None:
        return folded
    match node.op, node.args:
        case "mul" | "div", (value, Const(1, _)):
            return value
        case "mul", (Const(1, _), value):
            return value
        case "sub", (value, Const(zero, _)) if zero == 0 and math.copysign(1, zero) > 0:
            return value
        case "add", (value, Const(0, dtype)) if dtype.is_integer:
            return value
        case "add", (Const(0, dtype), value) if dtype.is_integer:
            return value
    return None


def _comparison(node: Apply) -> Expr | None:
    folded = _folded(node, node.args)
    return folded or (_decide(node) if isinstance(node.args[0], IndexValue) else None)


def _folded(node: Apply, args: tuple[Expr, ...]) -> Expr | None:
    return _fold(node) if args and all(isinstance(a, Const) for a in args) else None


def _constant(value: int, dtype: DType) -> Const:
    return _converted(value, i64, dtype)


def _converted(value: float | int | bool, source: DType, dtype: DType) -> Const:
    import numpy as np

    result = convert(np.asarray(value, representation(source)), source, dtype)
    return Const(result.astype(np.float32 if dtype is f32 else result.dtype).item(), dtype)


def _single_value(index: Int, dtype: DType) -> Expr | None:
    """A data-dependent index that is just one value needs no integer algebra."""
    if not index.constant and len(index.terms) == 1:
        monomial, factor = index.terms[0]
        if factor == 1 and len(monomial) == 1 and isinstance(monomial[0], Value):
            inner = monomial[0].expr
            return inner if inner.dtype is dtype else Apply("cast", (inner,), dtype)
    return None


def _guard(
    node: Read, axes: tuple[tuple[Int, Int], ...], index: tuple[Int, ...], otherwise: Expr
) -> Expr | None:
    inside = True
    for position, (lo, hi) in zip(index, axes, strict=True):
        low, high = position.bounds()
        floor, ceiling = lo.constant, hi.constant
        if (high is not None and high < floor) or (low is not None and low >= ceiling):
            return otherwise
        inside = inside and low is not None and high is not None and floor <= low and high < ceiling
    return Read(node.tensor, index) if inside else None


def _reduction(node: Reduce) -> Expr | None:
    extents = [it.extent.constant for it in node.iters]
    reduction = REDUCTIONS[node.op]
    if 0 in extents:
        return Const(reduction.identity(node.dtype), node.dtype) if reduction.has_identity else None
    units = {it: it.lo for it in node.iters if _is_unit(it)}
    if not units:
        return None
    if not reduction.combine:  # argmax of one position is that position
        return _constant(node.iters[0].lo.constant, node.dtype)
    body = simplify_expression(substitute(node.body, units))
    rest = tuple(it for it in node.iters if it not in units)
    return Reduce(node.op, rest, body) if rest else body


def _logic(node: Apply) -> Expr | None:
    if node.op == "not":
        return (
            Const(not node.args[0].value, node.dtype) if isinstance(node.args[0], Const) else None
        )
    absorbing = node.op == "or"
    for this, other in (node.args, node.args[::-1]):
        if isinstance(this, Const):
            return this if bool(this.value) is absorbing else other
    return None


def _fold(node: Apply) -> Expr | None:
    import numpy as np

    operation = OPS[node.op]
    if operation.numpy is OPS["cast"].numpy:
        return None
    operands = [np.asarray(a.value, dtype=a.dtype.numpy) for a in node.args if isinstance(a, Const)]
    with np.errstate(all="ignore"):
        value = np.asarray(operation.numpy(*operands))
    return Const(value.astype(node.dtype.numpy).item(), node.dtype)


def _fewer_conditions(node: Apply, condition: Expr, chosen: Expr, rejected: Expr) -> Expr | None:
    """Nested choices with one rejected value as one; without conditions that the chosen read's own guard
    implies: where(i < n, T[i] else 0, 0) is T[i] else 0 for a T of n elements."""
    parts = list(dict.fromkeys(conjuncts(condition)))
    if isinstance(chosen, Apply) and chosen.op == "where" and chosen.args[2] is rejected:
        inner = [c for c in conjuncts(chosen.args[0]) if c not in parts]
        return _chosen_if([*parts, *inner], chosen.args[1], rejected)
    if isinstance(chosen, Read) and chosen.otherwise is rejected:
        kept = [c for c in parts if not _outside_without(c, chosen, parts)]
        return _chosen_if(kept, chosen, rejected) if len(kept) < len(parts) else None
    return None


def conjuncts(condition: Expr) -> Iterator[Expr]:
    """The conditions of a conjunction."""
    if isinstance(condition, Apply) and condition.op == "and":
        for each in condition.args:
            yield from conjuncts(each)
    else:
        yield condition


def _chosen_if(conditions: list[Expr], chosen: Expr, rejected: Expr) -> Expr:
    if not conditions:
        return chosen
    first, *rest = conditions
    for each in rest:
        first = Apply("and", (first, each), first.dtype)
    return simplify_node(Apply("where", (first, chosen, rejected), chosen.dtype))


def _outside_without(condition: Expr, read: Read, others: list[Expr]) -> bool:
    """Whether a read is outside its tensor at every point where a comparison with a constant fails and the
    remainders that other conditions ask for are met."""
    match condition:
        case Apply("lt", (IndexValue(index, _), Const(limit, _)), _):
            first_failing, upwards = int(limit), True
        case Apply("ge", (IndexValue(index, _), Const(limit, _)), _):
            first_failing, upwards = int(limit) - 1, False
        case _:
            return False
    first_failing = _next_met(index, first_failing, upwards, others)
    for position, (lo, hi) in zip(read.index, read.tensor.axes, strict=True):
        for at, same_way in _positions_at(position, index, first_failing):
            if (at >= hi.constant) if upwards is same_way else (at < lo.constant):
                return True
    return False


def _next_met(index: Int, value: int, upwards: bool, conditions: list[Expr]) -> int:
    """The next value of an index, from one on, with a remainder that a condition asks of it."""
    for each in conditions:
        match each:
            case Apply("eq", (IndexValue(remainder, _), Const(wanted, _)), _):
                for atom in remainder.atoms():
                    if not isinstance(atom, Mod) or remainder is not Int.of(atom):
                        continue
                    modulus, shift = atom.right, atom.left - index
                    if modulus.is_constant and modulus.constant > 0 and shift.is_constant:
                        missing = (int(wanted) - value - shift.constant) % modulus.constant
                        return value + missing if upwards else value - -missing % modulus.constant
    return value


def _positions_at(position: Int, index: Int, value: int) -> Iterator[tuple[int, bool]]:
    """What a position is where an index has a value, if the index decides it, and whether both grow together."""
    if (shift := position - index).is_constant:
        yield value + shift.constant, True
    if (shift := position + index).is_constant:
        yield shift.constant - value, False
    for atom in position.atoms():
        if isinstance(atom, FloorDiv) and atom.right.is_constant:
            divisor = atom.right.constant
            if divisor > 0 and (shift := position - index // divisor).is_constant:
                yield value // divisor + shift.constant, True


def _never_wraps(index: Int, dtype: DType) -> bool:
    """Whether a position keeps its value in a 64-bit type: negative ones are large numbers in u64."""
    low, _ = index.bounds()
    return dtype.is_signed or (low is not None and low >= 0)


def _decide(node: Apply) -> Expr | None:
    """A comparison of index values that the ranges decide."""
    left, right = node.args
    if not isinstance(left, IndexValue) or left.dtype.is_float or left.dtype.bits < 64:
        return None
    if isinstance(right, IndexValue):
        difference = left.index - right.index
    elif isinstance(right, Const):
        difference = left.index - int(right.value)
    else:
        return None
    if not all(_never_wraps(a.index, a.dtype) for a in node.args if isinstance(a, IndexValue)):
        return None
    low, high = difference.bounds()
    if low is None or high is None:
        return None
    always, never = _decided(node.op, low, high)
    if always or never:
        return Const(always, node.dtype)
    return _divided(node.op, left, right, node.dtype) if isinstance(right, Const) else None


def _decided(op: str, low: int, high: int) -> tuple[bool, bool]:
    """Whether all numbers from `low` to `high`, and whether none of them, compare with 0 in this way."""
    match op:
        case "lt":
            return high < 0, low >= 0
        case "le":
            return high <= 0, low > 0
        case "gt":
            return low > 0, high <= 0
        case "ge":
            return low >= 0, high < 0
        case "eq":
            return low == high == 0, low > 0 or high < 0
    return low > 0 or high < 0, low == high == 0


def _divided(op: str, left: IndexValue, right: Const, dtype: DType) -> Expr | None:
    """g*e + c < n as e < ceil((n - c) / g), and the like: what a position is multiplied by decides nothing."""
    common = gcd(*(abs(factor) for _, factor in left.index.terms))
    if common < 2 or left.dtype is not i64 or right.dtype is not i64:
        return None
    distance = int(right.value) - left.index.constant
    if op in ("eq", "ne") and distance % common:
        return Const(op == "ne", dtype)
    limit = -(-distance // common) if op in ("lt", "ge") else distance // common
    smaller = (left.index - left.index.constant) // common
    return Apply(op, (IndexValue(smaller, i64), Const(limit, i64)), dtype)


# What may be done to operations, by name; the others are only folded.
_APPLIED: dict[str, Callable[[Apply], Expr | None]] = {
    "cast": _cast,
    "where": _where,
    **dict.fromkeys(("and", "or", "not"), _logic),
    **dict.fromkeys(("add", "sub", "mul", "div"), _arithmetic),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), _comparison),
}
