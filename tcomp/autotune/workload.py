"""Workloads: a group of a plan as a program of its own, which can be stored, replayed and tuned alone."""

from __future__ import annotations

from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Program, Read, Scan, Statement, Tensor, postorder


def workload_of(group: Group) -> Program:
    """The program that makes what a group makes: its inputs are the tensors that the group reads.

    Scratch tensors stay local. Planning this program gives the group again.
    """
    made = {d.tensor for d in group.members}
    inputs: dict[Tensor, None] = {}
    for definition in group.members:
        for node in postorder(definition.body):
            if isinstance(node, Read) and node.tensor not in made:
                inputs[node.tensor] = None
    results = tuple(d.tensor for d in group.members if d.tensor not in group.scratch)
    ordered = [s.iter for s in group.shared if s.ordered]
    body: tuple[Statement, ...] = group.members
    if ordered:
        body = (Scan(ordered[0], group.members),)
    return Program("workload", (), tuple(inputs), results, body)
