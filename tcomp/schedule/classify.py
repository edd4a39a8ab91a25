"""What a group of definitions is, in the words people use for operators. For reports; lowering asks less."""

from __future__ import annotations

from itertools import combinations

from tcomp.ir.integer import Int, Value
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.schedule import contraction, scatter
from tcomp.schedule.access import Profile, profile


def classify(group: Group) -> str:
    """One of blocks, contraction, scatter, scan, rows, window, reduction, gather, transpose, elementwise.

    `rows` is a group whose members are made together for each point of shared iterators, `blocks` one
    whose parts are made together for each block of some iterators.
    """
    if group.parts:
        return "blocks"
    if contraction.match_group(group) is not None:
        return "contraction"
    if scatter.match_group(group) is not None:
        return "scatter"
    if any(shared.ordered for shared in group.shared):
        return "scan"
    if len(group.members) > 1:
        return "rows"
    return classify_definition(group.members[0])


def classify_definition(definition: t.Definition) -> str:
    """The class of a definition that is neither contraction nor scatter."""
    nodes = t.postorder(definition.body)
    costs = profile(definition)
    reductions = [node for node in nodes if isinstance(node, t.Reduce)]
    if reductions:
        return "window" if _slides(definition, reductions, costs) else "reduction"
    if any(isinstance(a, Value) for read in costs.reads for i in read.index for a in i.leaves()):
        return "gather"
    if _shifts(costs):
        return "window"
    return "transpose" if _permutes(definition, costs) else "elementwise"


def _slides(definition: t.Definition, reductions: list[t.Reduce], costs: Profile) -> bool:
    """Whether some index moves with an output iterator and a reduced one together."""
    output = set(definition.iters)
    reduced = {it for reduce in reductions for it in reduce.iters}
    return any(
        output & index.leaves() and reduced & index.leaves()
        for read in costs.reads
        for index in read.index
    )


def _shifts(costs: Profile) -> bool:
    """Whether a tensor is read at several constant distances from the same point."""
    places: dict[t.Tensor, list[tuple[Int, ...]]] = {}
    for read in costs.reads:
        places.setdefault(read.tensor, []).append(read.index)
    return any(
        _apart(first, other)
        for indices in places.values()
        for first, other in combinations(dict.fromkeys(indices), 2)
    )


def _apart(first: tuple[Int, ...], other: tuple[Int, ...]) -> bool:
    return all((a - b).is_constant for a, b in zip(first, other, strict=True))


def _permutes(definition: t.Definition, costs: Profile) -> bool:
    """Whether the contiguous axis of a read is not that of the output."""
    if not definition.iters:
        return False
    last = definition.iters[-1]
    return any(
        read.step(last) not in (0, 1) and any(read.step(it) == 1 for it in definition.iters[:-1])
        for read in costs.reads
    )
