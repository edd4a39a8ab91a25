"""Groups that are one scatter: splitting them off a plan, their trace, and its replay."""

from __future__ import annotations

from tcomp.diagnostics import InternalError
from tcomp.ir.loop.nodes import Stmt
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.choice_trace import from_trace, to_trace
from tcomp.schedule.heuristics import choose_group
from tcomp.schedule.points import Kernel
from tcomp.schedule.scatter.match import Scatter, match, split
from tcomp.schedule.scatter.nest import lower_scatter
from tcomp.schedule.trace import Trace, trace
from tcomp.target import Target

KIND = "scatter"
_FEW_POINTS = 16  # so few comparisons for each element are cheaper in vectors than a scatter


def split_groups(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups with every scatter alone in a group of its own."""
    result: list[Group] = []
    for group in groups:
        parts = [part for definition in group.members for part in _parts(definition)]
        ordered = any(s.ordered for s in group.shared)
        if ordered or not any(map(matched, parts)):
            result.append(group)
        else:
            result.extend(Group((part,)) for part in parts)
    return tuple(result)


def match_group(group: Group) -> Scatter | None:
    """The scatter that a group is."""
    return None if len(group.members) != 1 or group.shared else matched(group.members[0])


def matched(definition: t.Definition) -> Scatter | None:
    """The scatter that a definition is, if going through its terms once pays."""
    scatter = match(definition)
    if scatter is None:
        return None
    points = 1
    for it in scatter.scattered:
        points *= int(it.extent)
    return scatter if points > _FEW_POINTS else None


def analytical_trace(scatter: Scatter, target: Target, threads: int) -> Trace:
    """Lanes along a contiguous carried axis; the output is cleared like any elementwise definition."""
    initial = Group((scatter.initial,))
    decisions = to_trace(initial, choose_group(initial, target, threads)).decisions
    last = len(scatter.definition.iters) - 1
    lanes = 1
    if last >= 0 and scatter.definition.iters[last] in scatter.carried and scatter.is_uniform:
        extent = int(scatter.definition.iters[last].extent)
        while lanes * 2 <= target.lanes(scatter.reduce.dtype.bits) and extent % (lanes * 2) == 0:
            lanes *= 2
    vector = last if lanes > 1 else -1
    return trace(KIND, (*decisions, ("scatter.vector", vector), ("scatter.lanes", lanes)))


def lower_group(group: Group, decided: Trace, kernel: Kernel) -> tuple[Stmt, ...]:
    """The scatter's loops as the trace has them. Raises KeyError where it lacks a decision."""
    scatter = match(group.members[0])
    if scatter is None:
        raise InternalError("a scatter's trace for what is none", code="TC099")
    initial = from_trace(Group((scatter.initial,)), decided).members[0]
    return lower_scatter(
        scatter, initial, decided["scatter.vector"], decided["scatter.lanes"], kernel
    )


def _parts(definition: t.Definition) -> tuple[t.Definition, ...]:
    """A definition, or its scatter and the rest of it."""
    pieces = split(definition)
    if pieces is None or matched(pieces[0]) is None:
        return (definition,)
    return (pieces[0], *_parts(pieces[1]))
