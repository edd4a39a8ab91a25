"""Points of an iteration space that are computed together, and the place where their code goes.

Code for several points is generated side by side: their reductions share loops (unroll and jam), and
what they have in common is one expression, because nodes are interned.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Expr, Local, Stmt
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.choice import ReduceChoice
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.storage import Storage
from tcomp.schedule.translate import Site


@dataclass(frozen=True, slots=True)
class Point:
    """One point: positions of iterators, tensors held in locals there, and values known there."""

    position: Mapping[Iter, Int] = field(default_factory=dict)
    registers: Mapping[t.Tensor, Local] = field(default_factory=dict)
    known: Mapping[t.Expr, Expr] = field(default_factory=dict)

    def at(self, position: Mapping[Iter, Int]) -> Point:
        """This point at further positions."""
        return replace(self, position={**self.position, **position})

    def knowing(self, expr: t.Expr, value: Expr) -> Point:
        """This point with the value of a sub-expression."""
        return replace(self, known={**self.known, expr: value})

    def holding(self, tensor: t.Tensor, local: Local) -> Point:
        """This point with a tensor's element in a local."""
        return replace(self, registers={**self.registers, tensor: local})


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the code of one kernel shares: where tensors live, names, faults, decisions on reductions.

    `inside`: this code runs only where all guarded reads are inside (`schedule.interior`).
    """

    storage: Storage
    names: Names
    faults: Faults
    reductions: Mapping[t.Reduce, ReduceChoice] = field(default_factory=dict)
    inside: bool = False

    def site(self, point: Point, block: list[Stmt]) -> Site:
        """The place for a translation at `point`."""
        storage: Storage = ChainMap(dict(point.registers), self.storage)  # type: ignore[arg-type]
        return Site(storage, self.faults, block, dict(point.known), self.inside)
