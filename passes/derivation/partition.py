"""Partition: a program as parts that are derived apart, cut at seams (`seams.py`).

Each part is a program of its own: its inputs are what it reads, its results what others read. Replacing a part
by an equal one leaves the program equal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tcomp.ir.tensor.graph import definitions_of, reads_of
from tcomp.ir.tensor.nodes import Definition, Program, Statement, Tensor, tensors_read
from tcomp.passes.derivation.index.merging import merge_products
from tcomp.passes.derivation.seams import elementwise, seams
from tcomp.passes.inline import CHEAP, drop_unread, evaluation_cost, inlined
from tcomp.passes.lift import lift
from tcomp.passes.share import share_equal
from tcomp.passes.simplify import simplify

MOST_REDUCTIONS = 16  # statements of a part that reduce; a longer chain is cut


@dataclass(frozen=True, slots=True)
class Part:
    """A program of its own, and which of its inputs are known before a call."""

    program: Program
    constants: frozenset[str]


def partition(program: Program, constants: Collection[str] = ()) -> tuple[Part, ...]:
    """The parts of a bound program, each behind what it reads. `constants` names inputs that are bound."""
    source = _separate(program)
    known = _constant(source, constants)
    groups = _Groups(source.body)
    cut = seams(source, known)
    for reader, statement in enumerate(source.body):
        for tensor in _ordered(_read(statement) - cut):
            if tensor in groups.maker:
                groups.join(groups.maker[tensor], reader)
    for members in _sharing_an_operand(source):
        for member in members[1:]:
            groups.join(members[0], member)
    _join_elementwise(groups, known)
    return tuple(_part(source, groups, members, known) for members in groups.in_order())


def _separate(program: Program) -> Program:
    """Definitions with functions at the ends of what makes their arguments, where they are found alike in
    equal parts; the normal form moves them into the sums that read them."""
    program = lift(share_equal(drop_unread(simplify(program))))
    while (producer := _elementwise_chain(program)) is not None:
        joined = inlined(program, producer)
        if joined is None:
            break
        program = joined
    return share_equal(program)


def _elementwise_chain(program: Program) -> Definition | None:
    """The first elementwise definition that only elementwise ones read, once or at little cost."""
    readers: dict[Tensor, list[Statement]] = {}
    for statement in program.body:
        for tensor in _read(statement):
            readers.setdefault(tensor, []).append(statement)
    made = {s.tensor: s for s in program.body if isinstance(s, Definition)}
    for tensor, definition in made.items():
        own = readers.get(tensor, [])
        if (
            own
            and tensor not in program.results
            and elementwise(definition)
            and all(elementwise(r) and _same_ends(definition, r, made) for r in own)
            and (len(own) == 1 or evaluation_cost(definition.body) <= CHEAP)
        ):
            return definition
    return None


def _same_ends(first: Definition, reader: Statement, made: Mapping[Tensor, Definition]) -> bool:
    """Whether a definition belongs to the end of the same sums as its reader: of two that are added, each with
    a sum of its own, the later does."""

    def sums(statement: Statement) -> set[Tensor]:
        return {t for t in _read(statement) if t in made and not elementwise(made[t])}

    later = [s for t, s in made.items() if t in _read(reader) and elementwise(s)]
    own = sums(first)
    others = sums(reader).union(*map(sums, later[later.index(first) + 1 :]))
    return not own or not others or not own.isdisjoint(others)


def _constant(program: Program, constants: Collection[str]) -> frozenset[Tensor]:
    """The tensors that are known before a call: bound inputs, and what depends on them alone."""
    known = {t for t in program.inputs if t.name in constants}
    for statement in program.body:
        read = _read(statement)
        if isinstance(statement, Definition) and read and read <= known:
            known.add(statement.tensor)
    return frozenset(known)


def _sharing_an_operand(program: Program) -> list[list[int]]:
    """The statements that would become one product each."""
    found = []
    for _, merged in merge_products(program):
        kept = set(merged.body)
        found.append([n for n, s in enumerate(program.body) if s not in kept])
    return found


def _join_elementwise(groups: _Groups, known: frozenset[Tensor]) -> None:
    """Nothing is searched for what reduces nothing: it joins what makes its arguments, else what reads it."""
    for position, statement in enumerate(groups.body):
        if not all(elementwise(groups.body[n]) for n in groups.members(position)):
            continue
        beside = [groups.maker[t] for t in _ordered(_read(statement)) if t in groups.maker]
        beside += [
            n
            for n, s in enumerate(groups.body)
            if not _made(statement).isdisjoint(_read(s)) and _made(statement).isdisjoint(known)
        ]
        for other in beside:
            if groups.of(other) != groups.of(position) and groups.join(other, position):
                break


class _Groups:
    """Statements in groups that never depend on each other in a circle."""

    def __init__(self, body: tuple[Statement, ...]) -> None:
        self.body = body
        self.maker = {d.tensor: n for n, s in enumerate(body) for d in definitions_of(s)}
        self._group = list(range(len(body)))
        self._members = {n: [n] for n in self._group}
        self.after: dict[int, set[int]] = {n: set() for n in self._group}
        for reader, statement in enumerate(body):
            for tensor in _read(statement):
                maker = self.maker.get(tensor, reader)
                if maker != reader:
                    self.after[maker].add(reader)

    def of(self, position: int) -> int:
        return self._group[position]

    def members(self, position: int) -> list[int]:
        return self._members[self._group[position]]

    def join(self, first: int, second: int) -> bool:
        """Makes two groups one, unless that would close a circle or be too much for one search."""
        a, b = self.of(first), self.of(second)
        if a == b:
            return True
        members = sorted(self._members[a] + self._members[b])
        if sum(not elementwise(self.body[n]) for n in members) > MOST_REDUCTIONS:
            return False
        if self._around(a, b) or self._around(b, a):
            return False
        for n in self._members.pop(b):
            self._group[n] = a
        self._members[a] = members
        return True

    def _next(self, group: int) -> set[int]:
        return {self._group[r] for n in self._members[group] for r in self.after[n]} - {group}

    def _around(self, start: int, end: int) -> bool:
        """Whether a way leads from one group to another through a third."""
        last = self._members[end][-1]
        pending = list(self._next(start) - {end})
        seen = set(pending)
        while pending:
            group = pending.pop()
            if group == end:
                return True
            if self._members[group][0] > last:
                continue  # statements stand behind what they read
            fresh = self._next(group) - seen - {start}
            seen |= fresh
            pending += fresh
        return False

    def in_order(self) -> list[list[int]]:
        """The groups' statements, each group behind those that it reads."""
        waiting = dict.fromkeys(self._members, 0)
        for group in self._members:
            for after in self._next(group):
                waiting[after] += 1
        order: list[list[int]] = []
        while waiting:
            ready = min((g for g, n in waiting.items() if not n), key=lambda g: self._members[g])
            del waiting[ready]
            order.append(self._members[ready])
            for after in self._next(ready):
                waiting[after] -= 1
        return order


def _part(source: Program, groups: _Groups, members: list[int], known: frozenset[Tensor]) -> Part:
    body = tuple(source.body[n] for n in members)
    made = frozenset().union(*map(_made, body))
    definitions = [d for s in body for d in definitions_of(s)]
    read = dict.fromkeys(t for d in definitions for t in reads_of(d) if t not in made)
    after = {n for member in members for n in groups.after[member]}.difference(members)
    wanted = frozenset(source.results).union(*(_read(source.body[n]) for n in after))
    results = tuple(d.tensor for d in definitions if d.tensor in wanted)
    inputs = tuple(sorted(read, key=lambda t: (t not in known, t.dtype.name, _extents(t))))
    part = Program(source.name, (), inputs, results, body)
    return Part(part, frozenset(t.name for t in inputs if t in known))


def _extents(tensor: Tensor) -> tuple[int, ...]:
    return tuple(extent.constant for extent in tensor.shape)


def _made(statement: Statement) -> frozenset[Tensor]:
    return frozenset(d.tensor for d in definitions_of(statement))


def _read(statement: Statement) -> frozenset[Tensor]:
    return frozenset().union(*(tensors_read(d.body) for d in definitions_of(statement)))


def _ordered(tensors: frozenset[Tensor]) -> list[Tensor]:
    return sorted(tensors, key=lambda t: t.name)
