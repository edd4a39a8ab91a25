"""The choices of a general nest as a trace, and back."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Definition
from tcomp.schedule.choice import GroupChoice, MemberChoice, ReduceChoice
from tcomp.schedule.nest import reductions_of
from tcomp.schedule.trace import Trace, trace

KIND = "nest"


def to_trace(group: Group, choice: GroupChoice) -> Trace:
    """Every decision under a name: `d0.lanes`, `d0.tile.1`, `d0.sum.chains`, `parallel`.

    Members and their iterators are numbered, so that a schedule serves every workload that differs in
    names only.
    """
    return trace(KIND, _decisions(group, choice))


def from_trace(group: Group, decided: Trace) -> GroupChoice:
    """The choices that a trace of the group holds. Raises KeyError where one is missing."""
    shared = {s.iter for s in group.shared}
    members = []
    for prefix, definition in _members(group):
        own = [k for k, it in enumerate(definition.iters) if it not in shared]
        ranks = {k: decided[f"{prefix}.place.{k}"] for k in own}
        tile = [
            decided[f"{prefix}.tile.{k}"] if k in ranks else 1 for k in range(len(definition.iters))
        ]
        reductions = tuple(
            ReduceChoice(*(decided[f"{prefix}.{name}.{field}"] for field in _REDUCE))
            for name in _reduction_names(definition)
        )
        members.append(
            MemberChoice(
                tuple(sorted(own, key=lambda k, ranks=ranks: ranks[k])),  # type: ignore[misc]
                decided[f"{prefix}.vector"],
                decided[f"{prefix}.lanes"],
                tuple(tile),
                decided[f"{prefix}.parallel"],
                decided[f"{prefix}.grain"],
                reductions,
                decided[f"{prefix}.merged"],
                decided[f"{prefix}.interior"],
            )
        )
    return GroupChoice(tuple(members), *(decided[field] for field in _GROUP))


_GROUP = ("vector", "lanes", "tile", "parallel", "grain")
_REDUCE = ("vector", "lanes", "chains", "unrolled", "steps", "merged")


def _decisions(group: Group, choice: GroupChoice) -> Iterator[tuple[str, int]]:
    for field in _GROUP:
        yield field, getattr(choice, field)
    for (prefix, definition), member in zip(_members(group), choice.members, strict=True):
        for place, k in enumerate(member.order):
            yield f"{prefix}.place.{k}", place
            yield f"{prefix}.tile.{k}", member.tile[k] if member.tile else 1
        for field in ("vector", "lanes", "merged", "interior", "parallel", "grain"):
            yield f"{prefix}.{field}", getattr(member, field)
        names = _reduction_names(definition)
        for name, reduction in zip(names, member.reductions, strict=True):
            for field in _REDUCE:
                yield f"{prefix}.{name}.{field}", getattr(reduction, field)


def _members(group: Group) -> Iterator[tuple[str, Definition]]:
    for number, definition in enumerate(group.members):
        yield f"d{number}", definition


def _reduction_names(definition: Definition) -> list[str]:
    names: list[str] = []
    for reduce in reductions_of(definition):
        count = sum(name.rstrip("0123456789") == reduce.op for name in names)
        names.append(f"{reduce.op}{count or ''}")
    return names
