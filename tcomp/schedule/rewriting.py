"""Rewriting of loop statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from tcomp.ir.integer import Int, Substitution
from tcomp.ir.loop.nodes import (
    Assign,
    Buffer,
    Check,
    Declare,
    Expr,
    For,
    Gather,
    If,
    Load,
    Prefetch,
    Stmt,
    Store,
    postorder,
    substitute,
)

OnExpr: TypeAlias = Callable[[Expr], Expr]
OnInt: TypeAlias = Callable[[Int], Int]


def map_block(block: Sequence[Stmt], on_expr: OnExpr, on_int: OnInt) -> tuple[Stmt, ...]:
    """The block with every expression, and every address and loop bound, replaced."""
    return tuple(_map(stmt, on_expr, on_int) for stmt in block)


def _map(stmt: Stmt, on_expr: OnExpr, on_int: OnInt) -> Stmt:
    match stmt:
        case Declare(local, value):
            return Declare(local, on_expr(value))
        case Assign(local, value):
            return type(stmt)(local, on_expr(value))
        case Store(buffer, index, value, stride, mask):
            hidden = None if mask is None else on_expr(mask)
            return Store(buffer, on_int(index), on_expr(value), stride, hidden)
        case Prefetch(buffer, index, level, write):
            return Prefetch(buffer, on_int(index), level, write)
        case If(condition, then, otherwise):
            branches = (map_block(b, on_expr, on_int) for b in (then, otherwise))
            return If(on_expr(condition), *branches)
        case For(var, lo, hi, body, step, parallel, grain):
            inside = map_block(body, on_expr, on_int)
            return For(var, on_int(lo), on_int(hi), inside, step, parallel, grain)
        case Check(ok, fault):
            return Check(on_expr(ok), fault)


def substitute_block(block: Sequence[Stmt], mapping: Substitution) -> tuple[Stmt, ...]:
    """The block with loop variables replaced."""
    done: dict[Expr, Expr] = {}
    return map_block(block, lambda e: substitute(e, mapping, done), lambda i: i.sub(mapping))


def statements(block: Sequence[Stmt]) -> Iterator[Stmt]:
    """Every statement of a block, those of inner blocks included, in order."""
    for stmt in block:
        yield stmt
        match stmt:
            case For(_, _, _, body, _, _, _):
                yield from statements(body)
            case If(_, then, otherwise):
                yield from statements((*then, *otherwise))


def expressions(block: Sequence[Stmt]) -> Iterator[Expr]:
    """The outermost expressions of every statement; addresses that hold values give those values."""
    for stmt in statements(block):
        match stmt:
            case Declare(_, value) | Assign(_, value):
                yield value
            case Store(_, index, value, _, mask):
                yield value
                yield from Load(stmt.buffer, index, mask=mask).children()
            case If(condition, _, _):
                yield condition
            case Check(ok, _):
                yield ok


def buffers_of(block: Sequence[Stmt]) -> tuple[Buffer, ...]:
    """Buffers that the block touches, in order of first appearance."""
    found: dict[Buffer, None] = {}
    for node in postorder(*expressions(block)):
        if isinstance(node, Load | Gather):
            found[node.buffer] = None
    for stmt in statements(block):
        if isinstance(stmt, Store | Prefetch):
            found[stmt.buffer] = None
    return tuple(sorted(found, key=lambda b: b.name))
