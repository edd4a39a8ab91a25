"""Rewriting of loop statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tcomp.ir.integer import Int, Substitution, Value
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
OnBuffer: TypeAlias = Callable[[Buffer], Buffer]


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What becomes of the expressions, of the addresses and loop bounds, and of the buffers of statements."""

    on_expr: OnExpr
    on_int: OnInt
    on_buffer: OnBuffer = field(default=lambda buffer: buffer)

    def block(self, block: Sequence[Stmt]) -> tuple[Stmt, ...]:
        return tuple(map(self.statement, block))

    def statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Declare(local, value) | Assign(local, value):
                return type(stmt)(local, self.on_expr(value))
            case Store(buffer, index, value, stride, mask):
                hidden = None if mask is None else self.on_expr(mask)
                place = self.on_buffer(buffer), self.on_int(index)
                return Store(*place, self.on_expr(value), stride, hidden)
            case Prefetch(buffer, index, level, write):
                return Prefetch(self.on_buffer(buffer), self.on_int(index), level, write)
            case If(condition, then, otherwise):
                branches = self.block(then), self.block(otherwise)
                return If(self.on_expr(condition), *branches)
            case For(var, lo, hi, body, step, parallel, grain):
                ends = self.on_int(lo), self.on_int(hi)
                return For(var, *ends, self.block(body), step, parallel, grain)
            case Check(ok, fault):
                return Check(self.on_expr(ok), fault)


def map_block(block: Sequence[Stmt], on_expr: OnExpr, on_int: OnInt) -> tuple[Stmt, ...]:
    """The block with every expression, and every address and loop bound, replaced."""
    return Rewriting(on_expr, on_int).block(block)


def substitute_block(block: Sequence[Stmt], mapping: Substitution) -> tuple[Stmt, ...]:
    """The block with loop variables replaced."""
    done: dict[Expr, Expr] = {}
    return map_block(block, lambda e: substitute(e, mapping, done), lambda i: i.sub(mapping))


def moved(block: Sequence[Stmt], places: Mapping[Buffer, Buffer]) -> tuple[Stmt, ...]:
    """The block with buffers replaced."""
    done: dict[Expr, Expr] = {}  # statements share most of their expressions

    def value(expr: Expr) -> Expr:
        if expr not in done:
            for node in postorder(expr):
                if node not in done:
                    done[node] = _elsewhere(node, done, places)
        return done[expr]

    def index(old: Int) -> Int:
        values = [a for a in old.leaves() if isinstance(a, Value)]
        return old.sub({a: Int.of(Value(value(a.expr))) for a in values})

    return Rewriting(value, index, lambda old: places.get(old, old)).block(block)


def _elsewhere(node: Expr, done: Mapping[Expr, Expr], places: Mapping[Buffer, Buffer]) -> Expr:
    children = node.children()
    fresh = tuple([done[c] for c in children])
    made = node if fresh == children else node.rebuild(fresh)
    match made:
        case Load(buffer, index, lanes, stride, mask, word) if buffer in places:
            return Load(places[buffer], index, lanes, stride, mask, word)
        case Gather(buffer, base, index, mask) if buffer in places:
            return Gather(places[buffer], base, index, mask)
    return made


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
