"""Contractions: matrix products in every guise, through packed operands and register tiles.

contraction = match(definition)                    # or None: some other class
decisions = analytical(contraction, target, threads)
statements = lower(contraction, decisions, scope)  # scope: storage, fault table, names, target
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from tcomp.ir.loop.nodes import Space, Stmt
from tcomp.ir.tensor.nodes import Read, postorder
from tcomp.schedule.contraction.blocking import Blocking, choose
from tcomp.schedule.contraction.dimensions import Scope
from tcomp.schedule.contraction.geometry import survey
from tcomp.schedule.contraction.match import Contraction, match
from tcomp.schedule.contraction.nest import tile_nest
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.storage import dense
from tcomp.target import Target

__all__ = ["Contraction", "Scope", "analytical", "lower", "match", "worthwhile"]


def worthwhile(contraction: Contraction) -> bool:
    """Whether register tiles pay: both operands are used several times, and there is something to sum."""
    c = contraction
    return c.reuse_of_left >= 4 and c.reuse_of_right >= 2 and c.multiplications >= 256


def analytical(contraction: Contraction, target: Target, threads: int) -> dict[str, int]:
    """The decisions of a good schedule, found without measuring, in the order in which they were made."""
    definition = contraction.definition
    tensors = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
    storage = {t: dense(t, Space.ARGUMENT) for t in (*tensors, definition.tensor)}
    return asdict(choose(survey(contraction, Scope(storage, Faults(), Names(), target)), threads))


def lower(contraction: Contraction, decisions: Mapping[str, int], scope: Scope) -> tuple[Stmt, ...]:
    """The loops that make the contraction; nothing is decided here."""
    return tile_nest(survey(contraction, scope), Blocking(**decisions))
