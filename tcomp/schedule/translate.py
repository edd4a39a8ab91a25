"""Tensor expressions at one point of their iterators, as scalar loop expressions.

Reads become loads. A guarded read is `where(inside, load, otherwise)` with the load masked by `inside`,
of which only what the ranges leave open is computed. A data-dependent index of an unguarded read adds a
`Check` to the block and is clamped, so that the load stays inside even where the check failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.loop.nodes import Check, Const, Expr, IntValue, Load, Local, Op, Stmt, truth
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.conditions import choose, compare_integers, conjunction, is_false, within
from tcomp.schedule.faults import Faults
from tcomp.schedule.storage import Storage

__all__ = ["Site", "index_value", "operation", "translate"]

_COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})


@dataclass(slots=True)
class Site:
    """Where translated code goes: checks are appended to `block`, their messages to `faults`.

    `known` gives the values of sub-expressions that are computed otherwise, reductions above all.
    Where `inside` holds, guarded reads that depend on no data are known to be inside.
    """

    storage: Storage
    faults: Faults
    block: list[Stmt] = field(default_factory=list)
    known: dict[t.Expr, Expr] = field(default_factory=dict)
    inside: bool = False


Shared: TypeAlias = dict[tuple[object, ...], Expr]


def translate(
    expr: t.Expr, point: Mapping[Iter, Int], site: Site, shared: Shared | None = None
) -> Expr:
    """The value of `expr` where its iterators have the positions of `point`, as a scalar.

    Every `Reduce` in it must be in `site.known`. Narrow reads keep their storage type, as in the tensor
    program: conversions are explicit there. `shared` keeps values for other points of the same site, by the
    positions that they depend on.
    """
    done: dict[t.Expr, Expr] = dict(site.known)
    stack = [expr]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        key = (node, *[point.get(a) for a in _free(node)]) if shared is not None else ()
        if shared is not None and key in shared:
            done[node] = shared[key]
            continue
        needed = _needed(node, done)
        unknown = [each for each in needed if each not in done]
        if unknown:
            stack.extend(reversed(unknown))
            continue
        if len(needed) == 1 and needed != node.children():
            done[node] = done[needed[0]]
        else:
            done[node] = _node(node, point, done, site)
        if shared is not None:
            shared[key] = done[node]
    return done[expr]


def _free(node: t.Expr) -> tuple[Any, ...]:
    """What the value depends on, always in the same order."""
    free: tuple[Any, ...] = t.fact(node, "free in order", _in_order)
    return free


def _in_order(node: t.Expr) -> tuple[Any, ...]:
    return tuple(node.free_atoms())


def _needed(node: t.Expr, done: Mapping[t.Expr, Expr]) -> tuple[t.Expr, ...]:
    """What a node is made of, the condition of a choice first; where that is constant, what it chooses.

    Of a table at a known position only that position's expression is entered.
    """
    if not isinstance(node, t.Apply) or node.op != "where" or t.depends_on_data(node):
        return node.children()
    condition, chosen, rejected = node.args
    known = done.get(condition)
    if known is None:
        return (condition,)
    if isinstance(known, Const):
        return (chosen if known.value else rejected,)
    return node.args


def _node(node: t.Expr, point: Mapping[Iter, Int], done: Mapping[t.Expr, Expr], site: Site) -> Expr:
    match node:
        case t.Const(value, dtype):
            return Const(value, dtype)
        case t.IndexValue(index, dtype):
            return index_value(_position(index, point, done), dtype)
        case t.Read():
            return _read(node, point, done, site)
        case t.Apply(op, args, dtype):
            decided = _decided(op, args, point, done)
            return decided or operation(op, tuple(done[a] for a in args), dtype)
    raise InternalError(f"{type(node).__name__} has no scalar translation", code="TC099")


def index_value(index: Int, dtype: Any) -> Expr:
    """An integer polynomial as a number."""
    if index.is_constant and dtype.is_float:
        return Const(float(index.constant), dtype)
    return IntValue(index, dtype)


def operation(op: str, args: tuple[Expr, ...], dtype: Any) -> Expr:
    """An operation; what constant conditions decide is left out."""
    match op:
        case "where":
            return choose(args[0], args[1], args[2])
        case "and":
            both = conjunction(args[0], args[1])
            return truth(True) if both is None else both
        case "or" | "not" if any(isinstance(a, Const) for a in args):
            return _constant_logic(op, args)
        case "cast" if args[0].dtype is dtype:
            return args[0]
    return Op(op, args, dtype)


def _constant_logic(op: str, args: tuple[Expr, ...]) -> Expr:
    if op == "not":
        assert isinstance(args[0], Const)
        return truth(not args[0].value)
    constant, other = args if isinstance(args[0], Const) else args[::-1]
    assert isinstance(constant, Const)
    return truth(True) if constant.value else other


def _decided(
    op: str, args: tuple[t.Expr, ...], point: Mapping[Iter, Int], done: Mapping[t.Expr, Expr]
) -> Expr | None:
    """A comparison of positions that their ranges decide."""
    if op not in _COMPARISONS:
        return None
    sides = [_as_index(a) for a in args]
    if sides[0] is None or sides[1] is None or not _exact(args):
        return None
    difference = _position(sides[0] - sides[1], point, done)
    holds = compare_integers(op, difference)
    return None if holds is None else truth(holds)


def _as_index(expr: t.Expr) -> Int | None:
    match expr:
        case t.IndexValue(index, dtype) if dtype.is_integer:
            return index
        case t.Const(value, dtype) if dtype.is_integer:
            return Int.of(int(value))
    return None


def _exact(args: tuple[t.Expr, ...]) -> bool:
    """Whether positions do not wrap in the type in which they are compared."""
    bits, signed = args[0].dtype.bits, args[0].dtype.is_signed
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    for arg in args:
        index = _as_index(arg)
        low, high = (None, None) if index is None else index.bounds()
        if low is None or high is None or low < least or high > most:
            return False
    return True


def _position(index: Int, point: Mapping[Iter, Int], done: Mapping[t.Expr, Expr]) -> Int:
    """A tensor index over loop variables and loop values."""
    values = {
        atom: Int.of(Value(operation("cast", (done[atom.expr],), i64)))
        for atom in index.leaves()
        if isinstance(atom, Value)
    }
    return index.sub({**point, **values})


def _read(read: t.Read, point: Mapping[Iter, Int], done: Mapping[t.Expr, Expr], site: Site) -> Expr:
    placement = site.storage[read.tensor]
    positions = [_position(index, point, done) for index in read.index]
    if isinstance(placement, Local):
        return placement
    if read.otherwise is None:
        if any(lo is hi for lo, hi in read.tensor.axes):
            _fail(read, positions, site)
            return Const(_zero(read.dtype), read.dtype)
        inside = [_checked(read, axis, position, site) for axis, position in enumerate(positions)]
        return Load(placement.buffer, placement.address(inside))
    if site.inside and not any(map(_depends_on_data, positions)):
        return Load(placement.buffer, placement.address(positions))
    condition: Expr | None = None
    addressed = []
    for position, (lo, hi) in zip(positions, read.tensor.axes, strict=True):
        condition = conjunction(condition, within(position, int(lo), int(hi)))
        addressed.append(_clamped(position, int(lo), int(hi)))
    if is_false(condition):
        return done[read.otherwise]
    load = Load(placement.buffer, placement.address(addressed), mask=condition)
    return choose(condition, load, done[read.otherwise])


def _checked(read: t.Read, axis: int, position: Int, site: Site) -> Int:
    """A position of an unguarded read; a data-dependent one is checked and clamped."""
    if not _depends_on_data(position):
        return position
    lo, hi = (int(bound) for bound in read.tensor.axes[axis])
    inside = within(position, lo, hi)
    if inside is not None:
        _check(inside, read, axis, site)
    return _clamped(position, lo, hi)


def _fail(read: t.Read, positions: list[Int], site: Site) -> None:
    """An unguarded read of an empty tensor, which only a data-dependent index lets through."""
    for axis, (lo, hi) in enumerate(read.tensor.axes):
        if lo is hi and _depends_on_data(positions[axis]):
            _check(truth(False), read, axis, site)


def _check(inside: Expr, read: t.Read, axis: int, site: Site) -> None:
    lo, hi = read.tensor.axes[axis]
    message = f"index of tensor '{read.tensor.name}' axis {axis} is outside {lo}:{hi}"
    check = Check(inside, site.faults.number(message))
    if check not in site.block:
        site.block.append(check)


def _clamped(position: Int, lo: int, hi: int) -> Int:
    """A data-dependent position moved inside, so that no address overflows; others as they are."""
    if not _depends_on_data(position) or lo >= hi:
        return position
    value = Op("maximum", (IntValue(position, i64), Const(lo, i64)), i64)
    return Int.of(Value(Op("minimum", (value, Const(hi - 1, i64)), i64)))


def _depends_on_data(position: Int) -> bool:
    return any(isinstance(atom, Value) for atom in position.leaves())


def _zero(dtype: Any) -> float | int | bool:
    return False if dtype is boolean else 0.0 if dtype.is_float else 0
