"""Grouping: definitions that share their outer iterators are made together, row by row.

    m[i] = max[j](X[i, j]);  E[i, j] = exp(X[i, j] - m[i]);  s[i] = sum[k](E[i, k]);  P[i, j] = E[i, j] / s[i]

share `i`: one pass over the rows, and m, E and s need room for one row only. A scan is the same thing with
an ordered iterator. Members that reuse their operands (contractions) stay alone: splitting them into rows
would lose the reuse that their own kernel has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tcomp.ir.integer import Int, Iter
from tcomp.ir.plan import Group, Plan, Shared
from tcomp.ir.tensor.nodes import (
    Definition,
    Program,
    Read,
    Reduce,
    Scan,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.lift import is_product_sum
from tcomp.passes.scoping import fresh_name, index_iters, iterator_names, plain_iter, rename_bound
from tcomp.passes.views import views_of

MAX_SCRATCH_BYTES = 256 * 1024  # what one point of a group may keep: half of a common L2
MIN_POINTS = 4  # fewer shared points than this leave nothing to share out over threads


@dataclass(frozen=True)
class _Member:
    """A definition and, for each slot that its group shares, its iterator there."""

    definition: Definition
    slots: tuple[Iter, ...]


def group(program: Program) -> Plan:
    """Divides a bound, inlined program into groups."""
    groups: list[Group] = []
    run: list[_Member] = []
    views = views_of(program)
    for statement in program.body:
        if statement in views:
            groups.extend(_finish(run, program))  # readers of a view may read it at any place
            run = []
            continue
        if isinstance(statement, Scan):
            groups.extend(_finish(run, program))
            run = []
            groups.append(_scan_group(statement, program))
            continue
        extended = _extend(run, statement, program)
        if extended is None:
            groups.extend(_finish(run, program))
            extended = [_Member(statement, statement.iters)]
        run = extended
    groups.extend(_finish(run, program))
    return Plan(program, tuple(groups), views)


def step_parts(scan: Group, kept: frozenset[Tensor], program: Program) -> tuple[Group, ...]:
    """The members of a scan, divided as definitions outside scans are; what is `kept` for the next step is no
    scratch of a part."""
    step = scan.shared[0].iter
    groups: list[Group] = []
    run: list[_Member] = []
    for definition in scan.members:
        extended = _extend(run, definition, program, step)
        if extended is None:
            groups.extend(_finish(run, program))
            extended = [_Member(definition, definition.iters)]
        run = extended
    groups.extend(_finish(run, program))
    return tuple(replace(g, scratch=g.scratch - kept) for g in groups)


def has_reuse(definition: Definition) -> bool:
    """Whether a definition is a product sum whose operands are each used at several output points."""
    output = set(definition.iters)
    for node in postorder(definition.body):
        if not is_product_sum(node):
            continue
        reads = [n for n in postorder(node) if isinstance(n, Read)]
        missing = [
            {it for it in output - index_iters(r.index) if it.extent.constant > 1} for r in reads
        ]
        if sum(bool(m) for m in missing) >= 2:
            return True
    return False


# -- rows --------------------------------------------------------------------------------------------


def _extend(
    run: list[_Member], definition: Definition, program: Program, step: Iter | None = None
) -> list[_Member] | None:
    """The run with the definition as a further member, or None where they do not share enough. All share the
    `step` that they are made in."""
    if not run or has_reuse(definition) or any(has_reuse(m.definition) for m in run):
        return None
    members = {m.definition.tensor: m for m in run}
    reads = [n for n in postorder(definition.body) if isinstance(n, Read) and n.tensor in members]
    if not reads:
        return None
    kept: list[int] = []
    iters: list[Iter] = []
    for slot in range(len(run[0].slots)):
        it = step if run[0].slots[slot] is step else _aligned(slot, reads, members)
        if it is not None and it in definition.iters and it not in iters:
            kept.append(slot)
            iters.append(it)
    extended = [_Member(m.definition, tuple(m.slots[s] for s in kept)) for m in run]
    extended.append(_Member(definition, tuple(iters)))
    extended = _without_vector_axis(extended)
    if all(it is step for it in extended[0].slots):
        return None
    return extended if _worthwhile(extended, program) else None


def _aligned(slot: int, reads: Sequence[Read], members: dict[Tensor, _Member]) -> Iter | None:
    """The reader's iterator for a slot, if every read of a member is at the slot's own position."""
    found: Iter | None = None
    for read in reads:
        producer = members[read.tensor]
        own = producer.slots[slot]
        if own not in producer.definition.iters:
            return None
        it = plain_iter(read.index[producer.definition.iters.index(own)])
        if it is None or (it.lo, it.hi) != (own.lo, own.hi) or found not in (None, it):
            return None
        found = it
    return found


def _without_vector_axis(members: list[_Member]) -> list[_Member]:
    """Shares no iterator along which memory is contiguous while inner loops stride over it: it belongs to
    vectors. At least one member keeps an inner loop."""
    while members[0].slots:
        strided = {s for m in members for s, it in enumerate(m.slots) if _strides_over(m, it)}
        if not strided and not any(_inner_iters(m) for m in members):
            strided = {len(members[0].slots) - 1}
        if not strided:
            break
        members = [
            _Member(m.definition, tuple(it for s, it in enumerate(m.slots) if s not in strided))
            for m in members
        ]
    return members


def _inner_iters(member: _Member) -> set[Iter]:
    """The iterators of loops that run at one shared point."""
    inner = set(member.definition.iters) - set(member.slots)
    for node in postorder(member.definition.body):
        if isinstance(node, Reduce):
            inner |= set(node.iters)
    return inner


def _strides_over(member: _Member, it: Iter) -> bool:
    """Whether some access has `it` in its last axis and an inner iterator before."""
    inner = _inner_iters(member)
    accesses = [tuple(Int.of(i) for i in member.definition.iters)]
    accesses += [n.index for n in postorder(member.definition.body) if isinstance(n, Read)]
    return any(
        it in index_iters(index[-1:]) and index_iters(index[:-1]) & inner for index in accesses
    )


def _worthwhile(members: list[_Member], program: Program) -> bool:
    slots = members[0].slots
    points = 1
    for it in slots:
        points *= it.extent.constant
    if not slots or points < MIN_POINTS:
        return False
    scratch = sum(
        _bytes_at_a_point(m) for m in members if m.definition.tensor not in program.results
    )
    return scratch <= MAX_SCRATCH_BYTES


def _bytes_at_a_point(member: _Member) -> int:
    size = member.definition.tensor.dtype.bytes
    for it in member.definition.iters:
        if it not in member.slots:
            size *= it.extent.constant
    return size


def _finish(run: list[_Member], program: Program) -> list[Group]:
    if len(run) <= 1:
        return [Group((m.definition,)) for m in run]
    leader = run[-1].slots
    members = tuple(_renamed(m.definition, dict(zip(m.slots, leader, strict=True))) for m in run)
    scratch = read_inside({d.tensor for d in members}, members, program)
    return [Group(members, tuple(Shared(it) for it in leader), scratch)]


def read_inside(
    candidates: set[Tensor], members: Sequence[Definition], program: Program
) -> frozenset[Tensor]:
    """Candidates that nothing outside the members reads."""
    inside = set(members)
    names = {d.tensor for d in members}
    outside = {
        n.tensor
        for d in program.definitions()
        if d.tensor not in names and d not in inside
        for n in postorder(d.body)
        if isinstance(n, Read)
    }
    return frozenset(candidates - outside - set(program.results))


def _renamed(definition: Definition, mapping: dict[Iter, Iter]) -> Definition:
    """The definition with its shared iterators replaced by the group's; others keep out of the way."""
    moves = {a: b for a, b in mapping.items() if a is not b}
    if not moves:
        return definition
    taken = {b.name for b in moves.values()} | iterator_names(definition)
    clash = {it for it in definition.iters if it not in moves and it in moves.values()}
    moves |= {it: Iter(fresh_name(it.name, taken), it.lo, it.hi) for it in clash}
    body = rename_bound(definition.body, frozenset(b.name for b in moves.values()), taken)
    body = substitute(body, {a: Int.of(b) for a, b in moves.items()})
    return Definition(definition.tensor, tuple(moves.get(it, it) for it in definition.iters), body)


# -- scans -------------------------------------------------------------------------------------------


def _scan_group(scan: Scan, program: Program) -> Group:
    """The scan as a group; iterators along which its points are independent become outer loops."""
    tensors = {d.tensor for d in scan.definitions}
    independent = () if _recombines(scan, tensors) else _independent(scan, tensors)
    shared = (
        (*(Shared(it) for it in independent[0]), Shared(scan.iter, ordered=True))
        if independent
        else (Shared(scan.iter, ordered=True),)
    )
    members = scan.definitions
    if independent:
        members = tuple(
            _renamed(d, dict(zip(own, independent[0], strict=True)))
            for d, own in zip(scan.definitions, independent, strict=True)
        )
    scratch = read_inside(_read_in_place(scan, tensors), members, program)
    return Group(members, shared, scratch)


def _recombines(scan: Scan, tensors: set[Tensor]) -> bool:
    """Whether a step sums over what the scan made: its points are then worth making together."""
    return any(
        isinstance(inner, Read) and inner.tensor in tensors
        for d in scan.definitions
        for node in postorder(d.body)
        if isinstance(node, Reduce)
        for inner in postorder(node.body)
    )


def _independent(scan: Scan, tensors: set[Tensor]) -> tuple[tuple[Iter, ...], ...]:
    """For each definition, its iterators (slot by slot) along which no value moves; () if there are none."""
    first = scan.definitions[0]
    members = {d.tensor: _Member(d, d.iters) for d in scan.definitions}
    slots = [it for it in first.iters if it is not scan.iter]
    rows: list[list[Iter]] = []
    for it in slots:
        row = _row(it, scan, members)
        if row is not None:
            rows.append(row)
    return tuple(zip(*rows, strict=True)) if rows else ()


def _row(it: Iter, scan: Scan, members: dict[Tensor, _Member]) -> list[Iter] | None:
    """The iterators of the other definitions that go with one of the first, or None."""
    position = scan.definitions[0].iters.index(it)
    row: list[Iter] = []
    for definition in scan.definitions:
        if position >= len(definition.iters):
            return None
        own = definition.iters[position]
        if own is scan.iter or (own.lo, own.hi) != (it.lo, it.hi):
            return None
        row.append(own)
    for definition, own in zip(scan.definitions, row, strict=True):
        for node in postorder(definition.body):
            if not isinstance(node, Read) or node.tensor not in members:
                continue
            if plain_iter(node.index[position]) is not own:
                return None
    return row


def _read_in_place(scan: Scan, tensors: set[Tensor]) -> set[Tensor]:
    """Tensors of a scan that are read at the current position only."""
    past: set[Tensor] = set()
    position = {d.tensor: d.iters.index(scan.iter) for d in scan.definitions}
    for definition in scan.definitions:
        for node in postorder(definition.body):
            if not isinstance(node, Read) or node.tensor not in tensors:
                continue
            if plain_iter(node.index[position[node.tensor]]) is not scan.iter:
                past.add(node.tensor)
    return tensors - past
