"""A plan with its traces, as a loop module: nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tcomp.ir.loop.nodes import Buffer, Function, Kernel, Module, Space, Stmt
from tcomp.ir.loop.rewriting import buffers_of
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor import nodes as t
from tcomp.schedule import blocks, contraction, scatter
from tcomp.schedule.choice_trace import from_trace
from tcomp.schedule.complete import completed
from tcomp.schedule.contraction.group import Packed
from tcomp.schedule.faults import Faults
from tcomp.schedule.group import lower_group
from tcomp.schedule.naming import Names
from tcomp.schedule.pitch import plane_axes
from tcomp.schedule.points import Kernel as Setting
from tcomp.schedule.repeat import Lowered, firsts
from tcomp.schedule.storage import Placement, dense
from tcomp.schedule.trace import Trace
from tcomp.target import Target


def lower(plan: Plan, traces: Sequence[Trace], target: Target, threads: int) -> Module:
    """The loop module that computes the plan. `traces` has one trace for each group of `completed(plan)`.

    Raises KeyError where a trace lacks a decision.
    """
    return lower_apart(replace(plan, constants=frozenset()), traces, target, threads)[0]


def lower_apart(
    plan: Plan, traces: Sequence[Trace], target: Target, threads: int
) -> tuple[Module, Module | None]:
    """The module of every call, and one to run before all calls (None if nothing is to be done there).

    The second packs operands that are constants of the plan. Its results are further inputs of the first,
    between the program's inputs and its results.
    """
    plan = completed(plan)
    packed: list[Packed] = []
    names, faults = Names(), Faults()
    arguments, storage = _memory(plan, names)
    kernels: list[Kernel] = []
    known: dict[int, Lowered | None] = {}
    pairs = zip(plan.groups, traces, strict=True)
    for number, ((group, trace), first) in enumerate(zip(pairs, firsts(plan.groups), strict=True)):
        label = f"k{number}_" + "_".join(d.tensor.name for d in group.members[:3])
        before = known.get(first)
        again = before and before.again(label, group, trace, storage, names)
        if again:
            kernels.append(again[0])
            packed += again[1]
            continue
        made: list[Packed] = []
        body = lower_traced(group, trace, Setting(storage, names, faults), target, made)
        packed += made
        function = Function(label, buffers_of(body), body)
        kernels.append(function)
        known[first] = Lowered.of(group, trace, storage, function, made)
    count = len(plan.program.inputs)
    inputs, results = ([p.buffer for p in part] for part in (arguments[:count], arguments[count:]))
    buffers = (*inputs, *(p.buffer for p in packed), *results)
    call = Module(plan.program.name, buffers, tuple(kernels), faults.table())
    return call, _before(plan.program.name, inputs, packed)


def _before(name: str, inputs: list[Buffer], packed: list[Packed]) -> Module | None:
    """The module that fills what is packed from constants."""
    if not packed:
        return None
    kernels = [p.kernel for p in packed]
    read = {buffer for kernel in kernels for buffer in kernel.buffers}
    arguments = (*(b for b in inputs if b in read), *(p.buffer for p in packed))
    return Module(f"{name}_packed", arguments, tuple(kernels))


def lower_traced(
    group: Group, trace: Trace, kernel: Setting, target: Target, packed: list[Packed] | None = None
) -> tuple[Stmt, ...]:
    """One group's kernel body, by the schedule class of its trace; what it reads that can be `packed`
    before any call is added there."""
    if trace.kind == blocks.KIND:
        return blocks.lower_blocks(
            group, trace, kernel, lambda part, own, at: lower_traced(part, own, at, target, packed)
        )
    if trace.kind == contraction.KIND:
        return contraction.lower_contraction(group, trace, kernel, target, packed)
    if trace.kind == scatter.KIND:
        return scatter.lower_group(group, trace, kernel)
    choice = from_trace(group, trace)
    if trace.kind != contraction.stepwise.KIND:
        return lower_group(group, choice, kernel)
    products = contraction.stepwise.makers(group, trace, target)
    together = contraction.stepwise.is_parallel(trace)
    return lower_group(group, choice, kernel, products, together)


def _memory(plan: Plan, names: Names) -> tuple[list[Placement], dict[t.Tensor, Placement]]:
    """Placements of the arguments in their order, and of all tensors but scratch."""
    storage: dict[t.Tensor, Placement] = {}
    arguments = []
    for tensor in (*plan.program.inputs, *plan.program.results):
        storage[tensor] = dense(tensor, Space.ARGUMENT, names.fresh(tensor.name))
        arguments.append(storage[tensor])
    for view in reversed(plan.views):
        made, read = view.tensor, view.body
        assert isinstance(read, t.Read)
        if made not in storage:
            storage[made] = dense(made, Space.WORKSPACE, names.fresh(made.name))
        storage[read.tensor] = replace(
            dense(read.tensor, Space.WORKSPACE), buffer=storage[made].buffer
        )
    planes = plane_axes(d for group in plan.groups for d in group.members)
    for group in plan.groups:
        for definition in group.members:
            tensor = definition.tensor
            if tensor not in storage and tensor not in group.scratch:
                name = names.fresh(tensor.name)
                storage[tensor] = dense(tensor, Space.WORKSPACE, name, planes.get(tensor))
    return arguments, storage
