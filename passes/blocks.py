"""Groups that are made together block by block, so that what they hand on stays in the cache.

    M[h, s, t] = sum[d](Q[h, s, d] * K[h, t, d]);  ... ;  O[h, s, d] = sum[t](P[h, s, t] * V[h, t, d])

A block of rows of O needs the same rows of P and of M: both are made for it and forgotten. Unlike rows
(`passes.group`) the members keep loops over the block, so that contractions keep their reuse. Here is only
decided what may be made so and looks worthwhile for a common cache; schedules choose the size of blocks,
or that there is but one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

from tcomp.ir.integer import Int, Iter
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor.nodes import Definition, Read, Reduce, Tensor, postorder
from tcomp.ir.tensor.regions import Range, Ranges, needed, reads_of, restricted
from tcomp.ir.tensor.steps import states
from tcomp.ir.tensor.tables import table_iters
from tcomp.passes.group import MIN_POINTS, has_reuse
from tcomp.passes.steps import in_steps

LONGEST = 8  # groups
LEAST_BYTES = (
    1 << 20
)  # handed on by blocks that read something again: less stays in a common cache anyway
BLOCK_BYTES = 1 << 19  # of what is handed on, in one block
MOST_PRODUCTS = 512  # for each element handed on: with more, packing again for each block takes longer than moving
_NEARER = 4  # how much faster what is read again comes: it stays in the shared cache, and is read in order
_OVERLAP = 3  # how often an element of a cheap producer may be made, for blocks of one position


def in_blocks(plan: Plan, least_bytes: int = LEAST_BYTES) -> Plan:
    """The plan with runs of its groups joined where blocks look worthwhile; the longest runs first."""
    groups: list[Group] = []
    rest = list(plan.groups)
    while rest:
        joined, count = _longest(rest, plan, least_bytes)
        groups.append(joined)
        rest = rest[count:]
    return replace(plan, groups=tuple(groups))


def _longest(groups: Sequence[Group], plan: Plan, least_bytes: int) -> tuple[Group, int]:
    for count in range(min(LONGEST, len(groups)), 1, -1):
        joined = _joined(groups[:count], plan, least_bytes)
        if joined is not None:
            return joined, count
    return groups[0], 1


def _joined(run: Sequence[Group], plan: Plan, least_bytes: int) -> Group | None:
    """The groups as parts of one, or None where they cannot or should not be."""
    if any(g.parts for g in run):
        return None
    if any(s.ordered for g in run for s in g.shared):
        return _joined_in_steps(run, plan)
    members = tuple(d for group in run for d in group.members)
    if not any(map(has_reuse, members)):
        return None
    if not all(_points(d, {}) for d in members):
        return None
    handed = {d.tensor for d in members[:-1]}
    if handed & _seen_outside(members, plan):
        return None
    within = frozenset(t for g in run for t in g.scratch)
    across = [d for d in members[:-1] if d.tensor not in within]
    if not _depends(members, handed):
        return None
    if sum(map(_products, members)) > MOST_PRODUCTS * sum(_points(d, {}) for d in across):
        return None
    blocked = tuple(it for it in members[-1].iters if _divides(it, run, members, across))
    if not blocked or not _pays(members, across, blocked, least_bytes):
        return None
    return Group(members, (), frozenset(handed), parts=tuple(run), blocked=blocked)


def _joined_in_steps(run: Sequence[Group], plan: Plan) -> Group | None:
    """The groups as parts of one, a scan with products among them in steps: nothing that all steps make is
    ever in memory, however many there are."""
    ordered = [g for g in run if any(s.ordered for s in g.shared)]
    steps = in_steps(ordered[0], plan.program) if len(ordered) == 1 else None
    if steps is None or run[-1] is ordered[0]:
        return None
    run = [steps if group is ordered[0] else group for group in run]
    members = tuple(d for group in run for d in group.members)
    handed = {d.tensor for d in members[:-1]}
    if not all(_points(d, {}) for d in members) or handed & _seen_outside(members, plan):
        return None
    if not _depends(members, handed) or not _reads_the_end(members, steps):
        return None
    across = [d for d in members[:-1] if d.tensor not in steps.scratch]
    blocked = tuple(it for it in members[-1].iters if _divides(it, run, members, across))
    if not blocked:
        return None
    return Group(members, (), frozenset(handed), parts=tuple(run), blocked=blocked)


def _reads_the_end(members: Sequence[Definition], steps: Group) -> bool:
    """Whether all that is read of a scan outside is what its last step made."""
    (step,) = steps.blocked
    axes = {d.tensor: d.iters.index(step) for d in steps.members}
    outside = (d for d in members if d.tensor not in axes)
    return all(
        read.index[axes[read.tensor]] == step.hi - 1
        for definition in outside
        for read in reads_of(definition)
        if read.tensor in axes
    )


def _seen_outside(members: Sequence[Definition], plan: Plan) -> set[Tensor]:
    """Tensors that others read, that are results, or that share their place with a view."""
    inside = set(members)
    seen = set(plan.program.results)
    for definition in plan.program.definitions():
        if definition.tensor not in {d.tensor for d in inside}:
            seen |= set(_reads(definition))
    return seen | {t for view in plan.views for t in (view.tensor, *_reads(view))}


def _depends(members: Sequence[Definition], handed: set[Tensor]) -> bool:
    """Whether all that is handed on is read by some member."""
    return handed <= {t for d in members for t in _reads(d)}


def _divides(
    it: Iter, run: Sequence[Group], members: Sequence[Definition], across: Sequence[Definition]
) -> bool:
    """Whether blocks of an iterator of the last member divide the work of all contractions and the memory
    of all that is handed on, and repeat little of the rest."""
    if it.extent.constant < 2 or it in table_iters(members[-1]):
        return False
    block: Ranges = {it: Range(Int.of(Iter("block", it.lo, it.hi)), 1)}
    steps = frozenset(group.step for group in run if group.step is not None)
    ranges = dict(zip(members, needed(members, block, steps), strict=True))
    if any(not _is_alone(group, ranges) for group in run if group.step is not None):
        return False
    if any(set(table_iters(d)) & set(ranges[d]) for d in members):
        return False
    times = {d: _points(d, ranges[d]) * it.extent.constant / _points(d, {}) for d in members}
    if any(times[d] > 1 for d in members if has_reuse(d)) or max(times.values()) > _OVERLAP:
        return False
    return all(times[d] <= _OVERLAP for d in across) and all(
        len({ranges[d].get(s.iter) for d in group.members}) == 1
        for group in run
        for s in group.shared
    )


def _is_alone(steps: Group, ranges: Mapping[Definition, Ranges]) -> bool:
    """Whether a block of a scan needs nothing that another block made in the step before."""
    (step,) = steps.blocked
    return states([restricted(d, ranges[d]) for d in steps.members], step) is not None


def _pays(
    members: Sequence[Definition],
    across: Sequence[Definition],
    blocked: tuple[Iter, ...],
    least_bytes: int,
) -> bool:
    """Whether what is saved in moving intermediates is more than what all blocks read again."""
    handed = sum(map(_bytes, across))
    if handed < least_bytes and not any(_is_batch(it, members) for it in blocked):
        return False
    counts: dict[Tensor, int] = {d.tensor: 1 for d in across}
    for definition in members:
        for tensor in set(_reads(definition)) & set(counts):
            counts[tensor] += 1
    saved = sum(_bytes(d) * counts[d.tensor] for d in across)
    blocks = max(1, -(-handed // BLOCK_BYTES))
    return saved * _NEARER > blocks * _again(members, blocked)


def _is_batch(it: Iter, members: Sequence[Definition]) -> bool:
    """Whether blocks of an iterator read nothing that other blocks read."""
    return bool(it.extent.constant >= MIN_POINTS) and not _again(members, (it,))


def _again(members: Sequence[Definition], blocked: tuple[Iter, ...]) -> int:
    """Bytes that products read at the same place in every block."""
    position: Ranges = {it: Range(Int.of(Iter("block", it.lo, it.hi)), 1) for it in blocked}
    ranges = needed(members, position)
    made = {d.tensor for d in members}
    again = {
        read.tensor: prod(axis.constant for axis in read.tensor.shape) * read.tensor.dtype.bytes
        for definition, moving in zip(members, ranges, strict=True)
        for read in reads_of(definition)
        if read.tensor not in made and has_reuse(definition) and not _moves(read, moving)
    }
    return sum(again.values())


def _moves(read: Read, ranges: Ranges) -> bool:
    """Whether a read is of another place in every block."""
    return any(it in ranges for index in read.index for it in index.leaves())


def _products(definition: Definition) -> float:
    """Terms that are summed in all."""
    sums = (n for n in postorder(definition.body) if isinstance(n, Reduce))
    return _points(definition, {}) * sum(prod(it.extent.constant for it in n.iters) for n in sums)


def _points(definition: Definition, ranges: Ranges) -> float:
    return float(
        prod(ranges[it].extent if it in ranges else it.extent.constant for it in definition.iters)
    )


def _bytes(definition: Definition) -> int:
    tensor = definition.tensor
    return prod(axis.constant for axis in tensor.shape) * tensor.dtype.bytes


def _reads(definition: Definition) -> Iterator[Tensor]:
    return (n.tensor for n in reads_of(definition))
