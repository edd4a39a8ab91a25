"""What is added to a plan before it is scheduled."""

from __future__ import annotations

from dataclasses import replace

from tcomp.ir.integer import Int, Iter
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.scatter import split_groups
from tcomp.schedule.split import split_reductions


def completed(plan: Plan) -> Plan:
    """The plan that is scheduled: every scatter in a group of its own, long reductions in two steps, and a
    copy for every result that is an input, or that is a result already."""
    program, groups = plan.program, list(_split(plan.groups))
    results: list[t.Tensor] = []
    for tensor in program.results:
        if tensor in program.inputs or tensor in results:
            copy = t.Tensor(f"{tensor.name}_result{len(results)}", tensor.dtype, tensor.axes)
            groups.append(Group((_copy(tensor, copy),)))
            tensor = copy
        results.append(tensor)
    renamed = t.Program(
        program.name,
        program.sizes,
        program.inputs,
        tuple(results),
        program.body,
        spans=program.spans,
    )
    known = tuple(_knowing(group, plan.constants) for group in groups)
    return Plan(renamed, known, plan.views, plan.constants)


def _split(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups with nothing left to split: a completed plan is complete."""
    while (further := tuple(split_reductions(split_groups(groups)))) != groups:
        groups = further
    return groups


def _knowing(group: Group, constants: frozenset[t.Tensor]) -> Group:
    """The group with those constants that its members read."""
    if not constants:
        return group
    nodes = (node for d in group.members for node in t.postorder(d.body))
    read = {node.tensor for node in nodes if isinstance(node, t.Read)}
    return replace(group, constants=constants & read)


def _copy(source: t.Tensor, copy: t.Tensor) -> t.Definition:
    iters = tuple(Iter(f"{copy.name}_{k}", lo, hi) for k, (lo, hi) in enumerate(copy.axes))
    index = tuple(map(Int.of, iters))
    return t.Definition(copy, iters, t.Read(source, index))
