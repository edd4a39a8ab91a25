"""Statements with buffers replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcomp.ir.integer import Int, Value
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
)


def moved(block: Sequence[Stmt], places: Mapping[Buffer, Buffer]) -> tuple[Stmt, ...]:
    """The block with buffers replaced."""
    mover = _Mover(places)
    return tuple(map(mover.statement, block))


class _Mover:
    """Keeps what it has rewritten: statements share most of their expressions."""

    def __init__(self, places: Mapping[Buffer, Buffer]) -> None:
        self.places = places
        self.done: dict[Expr, Expr] = {}

    def buffer(self, old: Buffer) -> Buffer:
        return self.places.get(old, old)

    def statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Declare(local, value) | Assign(local, value):
                return type(stmt)(local, self.value(value))
            case Store(buffer, index, value, stride, mask):
                hidden = None if mask is None else self.value(mask)
                place = self.buffer(buffer), self.index(index)
                return Store(*place, self.value(value), stride, hidden)
            case Prefetch(buffer, index, level, write):
                return Prefetch(self.buffer(buffer), self.index(index), level, write)
            case If(condition, then, otherwise):
                branches = (tuple(map(self.statement, b)) for b in (then, otherwise))
                return If(self.value(condition), *branches)
            case For(var, lo, hi, body, step, parallel, grain):
                inside = tuple(map(self.statement, body))
                return For(var, self.index(lo), self.index(hi), inside, step, parallel, grain)
            case Check(ok, fault):
                return Check(self.value(ok), fault)

    def index(self, index: Int) -> Int:
        values = [a for a in index.leaves() if isinstance(a, Value)]
        return index.sub({a: Int.of(Value(self.value(a.expr))) for a in values})

    def value(self, expr: Expr) -> Expr:
        done = self.done
        if expr not in done:
            for node in postorder(expr):
                if node not in done:
                    done[node] = self.node(node)
        return done[expr]

    def node(self, node: Expr) -> Expr:
        children = node.children()
        fresh = tuple([self.done[c] for c in children])
        made = node if fresh == children else node.rebuild(fresh)
        match made:
            case Load(buffer, index, lanes, stride, mask, word) if buffer in self.places:
                return Load(self.places[buffer], index, lanes, stride, mask, word)
            case Gather(buffer, base, index, mask) if buffer in self.places:
                return Gather(self.places[buffer], base, index, mask)
        return made
