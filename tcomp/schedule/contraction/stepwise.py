"""Products inside a recurrence: one step's product of the state with the weights is a contraction.

    scan[t]: g[t, b, j] = x[t, b, j] + sum[m]((h[t-1, b, m] else 0) * U[j, m]); h[t, b, j] = tanh(g[t, b, j])

The group's trace is that of a general nest; for each member that is a product it has the decisions of a
contraction besides, which then replace the nest's for that member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import TypeAlias

from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Stmt
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Definition, Read, postorder
from tcomp.schedule.contraction.blocking import Blocking, choose
from tcomp.schedule.contraction.dimensions import Scope
from tcomp.schedule.contraction.geometry import survey
from tcomp.schedule.contraction.group import nest_of, survey_dense, worthwhile
from tcomp.schedule.contraction.match import Contraction, match
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.storage import Storage
from tcomp.schedule.trace import Trace, trace
from tcomp.target import Target

KIND = "recurrence"
_LEAST_ROWS = 4  # fewer share too little of what is read of the weights

Position: TypeAlias = Mapping[Iter, Int]
Steps: TypeAlias = tuple[tuple[Stmt, ...], tuple[Stmt, ...]]  # once before all steps, at each step
Maker: TypeAlias = Callable[[Position, Storage, Names, Faults], Steps]


def product_members(group: Group) -> dict[int, Contraction]:
    """The members of a recurrence that are worthwhile products at each step, by number."""
    if not group.shared or not all(s.ordered for s in group.shared):
        return {}
    fixed = frozenset(s.iter for s in group.shared)
    elements = {d.tensor for d in group.members if fixed.issuperset(d.iters)}  # kept in locals
    found: dict[int, Contraction] = {}
    for number, definition in enumerate(group.members):
        reads = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
        product = None if reads & elements else match(definition, fixed)
        if product is not None and product.reuse_of_right >= _LEAST_ROWS and worthwhile(product):
            found[number] = product
    return found


def extend(nest: Trace, products: Mapping[int, Contraction], target: Target, threads: int) -> Trace:
    """A nest's trace with decisions about the products among its members."""
    decisions = list(nest.decisions)
    for number, product in products.items():
        blocking = choose(survey_dense(product, target), threads)
        decisions += [(f"p{number}.{name}", value) for name, value in asdict(blocking).items()]
    return trace(KIND, decisions)


def makers(group: Group, decided: Trace, target: Target) -> dict[Definition, Maker]:
    """What makes each product of a recurrence at one step. Raises KeyError where a decision is missing."""
    return {
        group.members[number]: _maker(product, _blocking(decided, number), target)
        for number, product in product_members(group).items()
    }


def is_parallel(decided: Trace) -> bool:
    """Whether several threads make a product, so that what it reads and makes is no thread's own."""
    return any(
        value for name, value in decided if name.startswith("p") and name.endswith(".parallel")
    )


def _blocking(decided: Trace, number: int) -> Blocking:
    return Blocking(*(decided[f"p{number}.{f.name}"] for f in fields(Blocking)))


def _maker(product: Contraction, blocking: Blocking, target: Target) -> Maker:
    def make(position: Position, storage: Storage, names: Names, faults: Faults) -> Steps:
        scope = Scope(storage, faults, names, target, position)
        return nest_of(survey(product, scope), blocking).before_and_at_each_step()

    return make
