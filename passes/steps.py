"""Scans with products in their steps, planned so that a step is made as blocks are: part by part.

    scan[b]: L[b, s, i] = sum[d](Q[s, d] * K[B*b + i, d]);  ... ;  A[b, s, d] = ... + sum[i](P[b, s, i] * V[B*b + i, d])

Each product is a part of its own, what lies between them is made row by row, and of all that a step makes
only what the next one reads outlives it. A block of rows goes through all steps before the next block does.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.ir.integer import Iter
from tcomp.ir.plan import Group, Shared
from tcomp.ir.tensor.nodes import Definition, Expr, Program, Read, Tensor, postorder
from tcomp.ir.tensor.steps import states
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.group import has_reuse, read_inside, step_parts
from tcomp.passes.lift import is_product_sum


def in_steps(group: Group, program: Program) -> Group | None:
    """The group of a scan with its step in parts; None where a step has no product of its own, or where the
    group has more to gain from what stays the same in all steps."""
    if len(group.shared) != 1 or not group.shared[0].ordered:
        return None
    step = group.shared[0].iter
    kept = states(group.members, step)
    if kept is None or not goes_by_parts(group.members, step):
        return None
    parts = step_parts(group, frozenset(kept), program)
    members = tuple(d for part in parts for d in part.members)
    inside = read_inside({d.tensor for d in members}, members, program)
    return Group(members, (Shared(step, ordered=True),), inside, parts=parts, blocked=(step,))


def goes_by_parts(members: Sequence[Definition], step: Iter) -> bool:
    """Whether the steps of a scan are worth making by parts, and can be."""
    kept = states(members, step)
    products = [d for d in members if has_reuse(d)]
    if kept is None or not products:
        return False
    return not any(_turns(d, step, frozenset(kept)) for d in products)


def _turns(definition: Definition, step: Iter, kept: frozenset[Tensor]) -> bool:
    """Whether a product multiplies what the step before made by what is the same for all steps, which is
    better packed once: the weights of a recurrence."""
    for node in postorder(definition.body):
        if not is_product_sum(node):
            continue
        factors = factors_of(node.body)  # type: ignore[attr-defined]
        fixed = [f for f in factors if step not in f.free_atoms() and _reads(f)]
        if fixed and any(_reads(f) & kept for f in factors):
            return True
    return False


def _reads(expr: Expr) -> frozenset[Tensor]:
    return frozenset(n.tensor for n in postorder(expr) if isinstance(n, Read))
