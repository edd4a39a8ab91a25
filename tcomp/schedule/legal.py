"""Which choices of a general nest are legal. Everything that is made, drawn or loaded passes here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tcomp.ir.integer import Iter
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Definition, Reduce
from tcomp.schedule.access import Access, profile
from tcomp.schedule.choice import GroupChoice, MemberChoice, ReduceChoice
from tcomp.schedule.nest import axes_of, reductions_of

MOST_POINTS = 64  # side by side: more only makes code long
MOST_LANES = 64
_MOST_TERMS = 1024  # unrolled terms of all points together


def is_legal(group: Group, choice: GroupChoice) -> bool:
    """Whether the group can be lowered by the choice, to code of bearable length."""
    if len(choice.members) != len(group.members):
        return False
    if not _group_loops(group, choice):
        return False
    if choice.vector >= 0 and any(m.vector >= 0 or _reduces_in_lanes(m) for m in choice.members):
        return False
    if choice.parallel and any(m.parallel for m in choice.members):
        return False
    if choice.vector >= 0 and any(m.interior for m in choice.members):
        return False
    points = choice.tile if choice.vector >= 0 else 1
    return all(
        member_is_legal(d, m, group, points)
        for d, m in zip(group.members, choice.members, strict=True)
    )


def member_is_legal(
    definition: Definition, choice: MemberChoice, group: Group, points: int = 1
) -> bool:
    """Whether one member's own loops can be made; `points` come from the group's tile."""
    shared = {s.iter for s in group.shared}
    own = {k for k, it in enumerate(definition.iters) if it not in shared}
    if set(choice.order) != own or len(choice.tile) != len(definition.iters):
        return False
    if not 0 <= choice.parallel <= len(own) or choice.grain < 1 or not _is_width(choice.lanes):
        return False
    if choice.vector >= 0 and (choice.vector not in own or _reduces_in_lanes(choice)):
        return False
    if (choice.vector < 0) != (choice.lanes == 1):
        return False
    if choice.interior not in (0, 1) or not _merges(definition, choice):
        return False
    for axis in axes_of(definition, choice):
        if axis.points < 1 or axis.lanes > max(axis.extent, 1):
            return False
        if axis.extent and (axis.points - 1) * axis.lanes >= axis.extent:
            return False
        points *= axis.points
    reductions = reductions_of(definition)
    return (
        points <= MOST_POINTS
        and len(reductions) == len(choice.reductions)
        and all(
            _reduction(r, c, points, reductions)
            for r, c in zip(reductions, choice.reductions, strict=True)
        )
    )


def _merges(definition: Definition, choice: MemberChoice) -> bool:
    """Whether merged iterators end with the one of the lanes, nothing else tiles them, and the output
    follows them without a gap."""
    if not choice.merged:
        return choice.merged == 0
    inner = choice.order[len(choice.order) - 1 - choice.merged :]
    return (
        0 < choice.merged < len(choice.order)
        and choice.vector == choice.order[-1]
        and choice.parallel <= len(choice.order) - choice.merged
        and all(choice.tile[k] == 1 for k in inner[:-1])
        and mergeable(profile(definition).write, [definition.iters[k] for k in inner])
    )


def mergeable(access: Access, iters: Sequence[Iter]) -> bool:
    """Whether an access steps evenly through the flat range of the iterators."""
    return all(access.merges(outer, inner, int(inner.extent)) for outer, inner in pairwise(iters))


def _group_loops(group: Group, choice: GroupChoice) -> bool:
    free = 0
    while free < len(group.shared) and not group.shared[free].ordered:
        free += 1
    if not 0 <= choice.parallel <= free or choice.grain < 1 or not _is_width(choice.lanes):
        return False
    if choice.vector < 0 or choice.lanes == 1:
        return choice.vector < 0 and choice.lanes == 1 and choice.tile == 1
    if choice.vector >= len(group.shared) or group.shared[choice.vector].ordered:
        return False
    extent = int(group.shared[choice.vector].iter.extent)
    return choice.tile >= 1 and (not extent or choice.lanes * choice.tile <= extent)


def _reduction(
    reduce: Reduce, choice: ReduceChoice, points: int, all_of_them: Sequence[Reduce]
) -> bool:
    if not _is_width(choice.lanes) or not 1 <= choice.chains <= 16:
        return False
    if not 1 <= choice.steps <= MOST_LANES or (choice.vector >= 0 and choice.steps > 1):
        return False
    if (choice.vector < 0) != (choice.lanes == 1) or not 0 <= choice.unrolled <= len(reduce.iters):
        return False
    looped = list(reduce.iters)
    if choice.vector >= 0:
        if choice.vector >= len(looped) or is_nested(reduce, all_of_them):
            return False
        if not 0 <= choice.merged <= choice.vector:
            return False
        run = slice(choice.vector - choice.merged, choice.vector + 1)
        extent = _size(looped[run])
        del looped[run]
        if extent and choice.lanes * choice.chains > extent:
            return False
    elif choice.merged:
        return False
    unrolled = looped[len(looped) - choice.unrolled :]
    if choice.unrolled > len(looped):
        return False
    terms = choice.chains * choice.steps * _size(unrolled)
    return points * choice.chains <= 2 * MOST_POINTS and points * terms <= _MOST_TERMS


def is_nested(reduce: Reduce, all_of_them: Sequence[Reduce]) -> bool:
    """Whether a reduction runs inside another one, at each of its positions."""
    bound = {it for r in all_of_them for it in r.iters}
    return bool(reduce.free_atoms() & bound)


def _reduces_in_lanes(choice: MemberChoice) -> bool:
    return any(r.vector >= 0 for r in choice.reductions)


def _is_width(lanes: int) -> bool:
    return 1 <= lanes <= MOST_LANES and lanes & (lanes - 1) == 0


def _size(iters: Sequence[Iter]) -> int:
    total = 1
    for it in iters:
        total *= int(it.extent)
    return total
