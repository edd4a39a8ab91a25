"""Values that a scan hands from one step to the next, kept in locals.

    h[t, d] = a[t, d] * (h[t-1, d] else h0[d]) + x[t, d]

reads what the step before has just stored. Through memory that costs a store's way to the next load in
every step; a local that starts as the value after `else` and takes over h at the end of a step costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tcomp.ir.dtypes import COMPUTE
from tcomp.ir.integer import Int, Iter
from tcomp.ir.loop.nodes import Assign, Declare, Local, Stmt
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.evaluate import evaluate
from tcomp.schedule.points import Kernel, Point


def step_iter(group: Group) -> Iter | None:
    """The ordered iterator of a scan whose steps are the innermost shared loop."""
    ordered = [s for s in group.shared if s.ordered]
    if len(ordered) != 1 or not group.shared[-1].ordered:
        return None
    return ordered[0].iter


def is_kept(definition: t.Definition, group: Group) -> bool:
    """Whether a step makes one element of the definition, which a local can hold."""
    shared = {s.iter for s in group.shared}
    return (
        step_iter(group) is not None
        and definition.tensor.dtype in COMPUTE
        and shared.issuperset(definition.iters)
    )


def here(definition: t.Definition) -> t.Read:
    """The read of the element that the current step makes."""
    return t.Read(definition.tensor, tuple(map(Int.of, definition.iters)))


@dataclass(frozen=True, slots=True)
class Carry:
    """A read of the element of the step before, and for each point the local that holds it."""

    definition: t.Definition
    read: t.Read
    locals: tuple[Local, ...]

    def handed_on(self, points: Sequence[Point]) -> list[Stmt]:
        """At the end of a step: its element becomes that of the step before."""
        now = here(self.definition)
        return [
            Assign(local, point.known[now])
            for local, point in zip(self.locals, points, strict=True)
        ]


def start(
    group: Group, points: Sequence[Point], kernel: Kernel, block: list[Stmt]
) -> tuple[list[Point], list[Carry]]:
    """Locals for everything that steps hand on, declared in the block around the steps."""
    carries: list[Carry] = []
    known = list(points)
    for definition in group.members:
        for read in _reads_before(definition, group):
            assert read.otherwise is not None
            values = evaluate(read.otherwise, points, kernel, block)
            name = f"{definition.tensor.name}_before"
            fresh = tuple(kernel.names.local(name, read.dtype) for _ in points)
            block += [Declare(local, v) for local, v in zip(fresh, values, strict=True)]
            known = [p.knowing(read, local) for p, local in zip(known, fresh, strict=True)]
            carries.append(Carry(definition, read, fresh))
    return known, carries


def _reads_before(definition: t.Definition, group: Group) -> list[t.Read]:
    """Distinct reads, by any member, of the definition's element one step before."""
    step = step_iter(group)
    if step is None or not is_kept(definition, group):
        return []
    made = {d.tensor for d in group.members}
    index = tuple(Int.of(it) - (1 if it is step else 0) for it in definition.iters)
    found: dict[t.Read, None] = {}
    for member in group.members:
        for node in t.postorder(member.body):
            if (
                isinstance(node, t.Read)
                and node.tensor is definition.tensor
                and node.index == index
                and node.otherwise is not None
                and _is_fixed(node.otherwise, step, made)
            ):
                found[node] = None
    return list(found)


def _is_fixed(otherwise: t.Expr, step: Iter, made: set[t.Tensor]) -> bool:
    """Whether the value before the first step can be had before the steps begin."""
    reads = (n for n in t.postorder(otherwise) if isinstance(n, t.Read))
    return step not in otherwise.free_atoms() and all(r.tensor not in made for r in reads)
