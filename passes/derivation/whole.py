"""Whole programs: each part is derived alone, equal parts once, and what was chosen is put together.

One search over a program of many parts would multiply their states. Parts (`partition.py`) are searched with a
share of the time each; a part that is equal to an earlier one but for names takes over what was found for
that, its proof and its measured accuracy, because it is the same function of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from tcomp.ir.tensor.canonical import canonicalise
from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.passes.accuracy import Accuracy
from tcomp.passes.derivation.carry import beginnings, called, carried, together
from tcomp.passes.derivation.choose import chosen
from tcomp.passes.derivation.derive import Candidate, Derivation, DerivedPart
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.partition import Part, partition
from tcomp.passes.derivation.rule import Step

MOST_BUDGETS = 8  # times the budget of one part for all parts together


class Search(Protocol):
    """Derives one program within so many seconds, of inputs some of which are known before a call."""

    def __call__(
        self, program: Program, constants: frozenset[str], seconds: float
    ) -> Derivation: ...


class Judge(Protocol):
    """What a program costs, of inputs some of which are known before a call."""

    def __call__(self, program: Program, constants: frozenset[str]) -> float: ...


def derive_whole(
    program: Program,
    accuracy: str,
    *,
    search: Search,
    cost: Judge,
    seconds: float,
    constants: frozenset[str] = frozenset(),
) -> Derivation:
    """The cheapest equal program that is found in parts, proven equal and accurate enough; else itself.

    A program of one part has `seconds` for its search; so has each distinct part of several while all
    together take no more than `MOST_BUDGETS` times that.
    """
    parts = partition(program, constants)
    if len(parts) < 2:
        return chosen(search(program, constants, seconds), accuracy)
    first = _first_alike(parts)
    distinct = sorted(set(first))
    left = seconds * min(len(distinct), MOST_BUDGETS)
    found: dict[int, Derivation] = {}
    for number, position in enumerate(distinct):
        part = parts[position]
        share = min(seconds, 2 * left / (len(distinct) - number))
        alone = search(part.program, part.constants, min(share, left))
        found[position] = chosen(alone, accuracy)
        left = max(0.0, left - alone.seconds)
    derived = tuple(
        DerivedPart(part, _for_part(found[alike], parts[alike], part, number), alike)
        for number, (part, alike) in enumerate(zip(parts, first, strict=True))
    )
    return _joined(program, derived, lambda p: cost(p, constants))


def _first_alike(parts: Sequence[Part]) -> list[int]:
    """For each part the first one that is equal but for names."""
    known: dict[tuple[object, ...], int] = {}
    found = []
    for number, part in enumerate(parts):
        fixed = tuple(t.name in part.constants for t in part.program.inputs)
        key = (canonicalise(part.program), fixed)
        found.append(known.setdefault(key, number))
    return found


def _for_part(found: Derivation, old: Part, new: Part, number: int) -> Derivation:
    """What was found for a part, as that of an equal part; candidates and states stay with the first."""
    if old is new:
        return replace(found, steps=tuple(replace(s, part=number) for s in found.steps))
    outside: dict[Tensor, Tensor] = {
        **dict(zip(old.program.inputs, new.program.inputs, strict=True)),
        **dict(zip(old.program.results, new.program.results, strict=True)),
    }
    names = beginnings(old, new)

    def moved(program: Program) -> Program:
        return carried(program, outside, names)

    steps = tuple(
        Step(s.rule, _renamed(s.tensor, outside, names), moved(s.program), number)
        for s in found.steps
    )
    program = steps[-1].program if steps else new.program
    accuracy = found.accuracy and _of_results(found.accuracy, outside)
    return replace(
        found,
        source=new.program,
        program=program,
        steps=steps,
        candidates=(),
        explored=(),
        accuracy=accuracy,
    )


def _renamed(tensor: str, outside: dict[Tensor, Tensor], names: dict[str, str]) -> str:
    shared = {old.name: new.name for old, new in outside.items()}
    return shared.get(tensor) or called(tensor, names)


def _of_results(accuracy: Accuracy, outside: dict[Tensor, Tensor]) -> Accuracy:
    names = {old.name: new.name for old, new in outside.items()}
    return Accuracy(tuple(replace(e, result=names[e.result]) for e in accuracy.errors))


def _joined(
    source: Program, derived: tuple[DerivedPart, ...], cost: Callable[[Program], float]
) -> Derivation:
    """The parts as one program."""
    once = [each.derivation for n, each in enumerate(derived) if each.alike == n]
    steps = tuple(step for each in derived for step in each.derivation.steps)
    before = normal_form(source)
    after = before
    if steps:
        after = normal_form(together(source, [_as_chosen(each) for each in derived]))
    measured = [each.derivation.accuracy for each in derived if each.derivation.accuracy]
    accuracy = Accuracy(tuple(e for m in measured for e in m.errors)) if measured else None
    cost_after = cost(after)
    return Derivation(
        source,
        after if steps else source,
        steps,
        cost(before),
        cost_after,
        sum(each.states for each in once),
        sum(each.seconds for each in once),
        all(each.complete for each in once),
        (Candidate(after, steps, cost_after, proven=True, accuracy=accuracy),) if steps else (),
        accuracy,
        parts=derived,
    )


def _as_chosen(each: DerivedPart) -> Program:
    """A part as it was chosen; as it is written where nothing was."""
    found = each.derivation
    return found.program if found.steps else each.part.program
