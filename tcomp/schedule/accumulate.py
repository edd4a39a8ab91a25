"""Accumulators of reductions: how partial results begin, take in a term, and are joined.

The order in which terms meet is fixed by the schedule alone, never by threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tcomp.ir.dtypes import DType, boolean, i32, i64
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Const,
    Declare,
    Expr,
    Horizontal,
    IntValue,
    Local,
    Op,
    Stmt,
)
from tcomp.ir.tensor import nodes as t
from tcomp.ops import REDUCTIONS
from tcomp.schedule.naming import Names


class Accumulator(Protocol):
    """Partial results of one reduction at one point, in one chain."""

    @property
    def locals(self) -> tuple[Local, ...]:
        """What holds them; updates are written for scalars of the same names."""

    def update(self, term: Expr, position: Int, block: list[Stmt]) -> None:
        """Takes in the scalar term at a position of the reduction's first iterator."""


@dataclass(frozen=True, slots=True)
class Monoid:
    """The partial result of a reduction with an associative operation."""

    op: str
    local: Local

    @property
    def locals(self) -> tuple[Local, ...]:
        return (self.local,)

    def update(self, term: Expr, position: Int, block: list[Stmt]) -> None:
        scalar = Local(self.local.name, self.local.dtype)
        block.append(Assign(scalar, combine(self.op, scalar, term)))


@dataclass(frozen=True, slots=True)
class Extremum:
    """The best value so far and its position: the first NaN, else the first extremum."""

    op: str
    best: Local
    where: Local

    @property
    def locals(self) -> tuple[Local, ...]:
        return (self.best, self.where)

    def update(self, term: Expr, position: Int, block: list[Stmt]) -> None:
        best, where = (Local(x.name, x.dtype) for x in self.locals)
        better = _better(self.op, term, best)
        here = IntValue(position, where.dtype)
        block.append(Assign(where, Op("where", (better, here, where), where.dtype)))
        block.append(Assign(best, Op("where", (better, term, best), best.dtype)))


def combine(op: str, total: Expr, term: Expr) -> Expr:
    """The accumulator with one more term; a product goes into a float sum by one fused operation."""
    combining = REDUCTIONS[op].combine
    if op == "sum" and total.dtype.is_float and isinstance(term, Op) and term.op == "mul":
        return Op("fma", (*term.args, total), total.dtype)
    return Op(combining, (total, term), total.dtype)


def identity(reduce: t.Reduce) -> Const:
    """The value of an empty reduction, or what no partial result minds."""
    return Const(REDUCTIONS[reduce.op].identity(reduce.body.dtype), reduce.body.dtype)


def start(reduce: t.Reduce, names: Names, lanes: int, block: list[Stmt]) -> Accumulator:
    """Declares an accumulator of `lanes` lanes."""
    dtype = reduce.body.dtype
    first = Const(identity(reduce).value, dtype, lanes)
    if reduce.op not in ("argmax", "argmin"):
        local = names.local(reduce.op, dtype, lanes)
        block.append(Declare(local, first))
        return Monoid(reduce.op, local)
    (it,) = reduce.iters
    best = names.local("best", dtype, lanes)
    where = names.local("where", position_type(it.lo, it.hi), lanes)
    block.append(Declare(best, first))
    block.append(Declare(where, Const(int(it.lo), where.dtype, lanes)))
    return Extremum(reduce.op, best, where)


def finish(reduce: t.Reduce, chains: Sequence[Accumulator]) -> Expr:
    """The scalar result of independent chains: joined pairwise, then across lanes."""
    first = chains[0]
    if isinstance(first, Monoid):
        combining = REDUCTIONS[reduce.op].combine
        return horizontal(combining, pairwise(combining, [c.locals[0] for c in chains]))
    bests = [c.locals[0] for c in chains]
    wheres = [c.locals[1] for c in chains]
    if len(chains) == 1 and bests[0].lanes == 1:
        return Op("cast", (wheres[0],), i64)
    return Op("cast", (_first_place(reduce.op, bests, wheres),), i64)


def pairwise(op: str, values: Sequence[Expr]) -> Expr:
    """Values joined as a balanced tree, in a fixed order."""
    level = list(values)
    while len(level) > 1:
        joined: list[Expr] = [
            Op(op, (a, b), a.dtype) for a, b in zip(level[::2], level[1::2], strict=False)
        ]
        level = joined + level[len(level) & ~1 :]
    return level[0]


def horizontal(op: str, value: Expr) -> Expr:
    """The lanes joined; a scalar is itself."""
    return Horizontal(op, value) if value.lanes > 1 else value


def position_type(lo: Int, hi: Int) -> DType:
    """The narrowest of i32 and i64 that holds positions in lo:hi."""
    return i32 if max(abs(int(lo)), abs(int(hi))) < 1 << 31 else i64


def _better(op: str, term: Expr, best: Expr) -> Expr:
    if not term.dtype.is_float:
        return Op("gt" if op == "argmax" else "lt", (term, best), boolean)
    # Not (term <= best) holds for a larger term and for a NaN on either side; a NaN stays the best.
    ahead = Op("not", (Op("le" if op == "argmax" else "ge", (term, best), boolean),), boolean)
    settled = Op("eq", (best, best), boolean)
    return Op("and", (ahead, settled), boolean)


def _first_place(op: str, bests: Sequence[Expr], wheres: Sequence[Expr]) -> Expr:
    """The least position among partial results that hold the overall extremum (or a NaN)."""
    dtype, lanes = bests[0].dtype, bests[0].lanes
    combining = "maximum" if op == "argmax" else "minimum"
    extremum = horizontal(combining, pairwise(combining, bests))
    if lanes > 1:
        extremum = Broadcast(extremum, lanes)
    places = []
    for best, where in zip(bests, wheres, strict=True):
        holds: Expr = Op("eq", (best, extremum), boolean)
        if dtype.is_float:
            holds = Op("or", (holds, Op("ne", (best, best), boolean)), boolean)
        last = (1 << (where.dtype.bits - 1)) - 1
        nowhere = Const(last, where.dtype, lanes)
        places.append(Op("where", (holds, where, nowhere), where.dtype))
    return horizontal("minimum", pairwise("minimum", places))
