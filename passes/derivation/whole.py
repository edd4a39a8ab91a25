"""Whole programs: each part is derived alone, equal parts once, and what was chosen is put together.

One search over a program of many parts would multiply their states. Parts (`partition.py`) are searched with a
share of the time each; a part that is equal to an earlier one but for names takes over what was found for
that, its proof and its measured accuracy, because it is the same function of its inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from tcomp.collecting import paused
from tcomp.ir.tensor.canonical import canonicalise
from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.passes.accuracy import Accuracy
from tcomp.passes.derivation.carry import beginnings, called, carried, together
from tcomp.passes.derivation.choose import candidates_holding, chosen, probable_faults
from tcomp.passes.derivation.derive import Candidate, Derivation, DerivedPart
from tcomp.passes.derivation.joint import Joint, Option, read_alike
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.partition import Part, partition
from tcomp.passes.derivation.rule import Step

MOST_BUDGETS = 16  # times the budget of one part for all parts together
# Of what the parts cost as each was chosen alone: below it they are chosen as neighbours. Rearrangements that
# cancel between dilated layers come to 0.63; for 1 x 1 beside 3 x 3 layers, 0.94 to 0.99 by estimate, other
# layouts were 3 to 50 % slower.
WORTHWHILE = 0.9
PROMISING = (
    0.995  # of the same, part by part, which does not see all that cancels: else it is not proven
)
MOST_ROUNDS = 6  # choices as neighbours of which one does not hold


class Search(Protocol):
    """Derives one program within so many seconds, of inputs some of which are known before a call."""

    def __call__(
        self, program: Program, constants: frozenset[str], seconds: float, /
    ) -> Derivation: ...


class Judge(Protocol):
    """What a program costs, of inputs some of which are known before a call."""

    def __call__(self, program: Program, constants: frozenset[str]) -> float: ...


@paused()
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
        return _examined(search(program, constants, seconds), accuracy, probable_faults(accuracy))
    alike = _first_alike(parts)
    found = _searched(parts, alike, accuracy, search, cost, seconds)
    whole = _Whole(program, parts, alike, constants, cost)
    alone = whole.joined([found[n] for n in alike])
    timed = any(each.measured for each in found.values())
    if alone.cost_after > alone.cost_before and not timed:
        # parts that gain little may lose more where they meet; a clock knows better than estimates
        alone = whole.joined([found[n].without_steps() for n in alike])
    neighbours = _neighbours(Joint(program, parts, alike, found, cost), found, accuracy)
    if neighbours is None:
        return alone
    joint = whole.joined(neighbours)
    if joint.cost_after > WORTHWHILE * alone.cost_after:
        return alone
    return replace(joint, candidates=(*joint.candidates, *alone.candidates))


def _examined(found: Derivation, accuracy: str, faults: Counter[str]) -> Derivation:
    """What is chosen of a search. A form that a race chose was examined when its record was read."""
    return chosen(found, accuracy, faults) if found.measured is None else found


def distinct_parts(program: Program, constants: Collection[str] = ()) -> tuple[Part, ...]:
    """What is derived apart: a program of one part itself, else the first of equal parts."""
    parts = partition(program, constants)
    if len(parts) < 2:
        return (Part(program, frozenset(constants)),)
    return tuple(parts[n] for n in sorted(set(_first_alike(parts))))


def _first_alike(parts: Sequence[Part]) -> list[int]:
    """For each part the first one that is equal but for names."""
    known: dict[tuple[object, ...], int] = {}
    found = []
    for number, part in enumerate(parts):
        fixed = tuple(t.name in part.constants for t in part.program.inputs)
        key = (canonicalise(part.program), fixed)
        found.append(known.setdefault(key, number))
    return found


def _searched(
    parts: Sequence[Part],
    alike: Sequence[int],
    accuracy: str,
    search: Search,
    cost: Judge,
    seconds: float,
) -> dict[int, Derivation]:
    """What each distinct part is derived to alone. Those that cost least as they are written go first: time that
    they leave is for the others."""
    costs = {n: cost(parts[n].program, parts[n].constants) * alike.count(n) for n in set(alike)}
    found: dict[int, Derivation] = {}
    left = seconds * min(len(costs), MOST_BUDGETS)
    faults = probable_faults(
        accuracy
    )  # what was too inaccurate in one part is tried last in the others
    for number in sorted(costs, key=lambda n: (costs[n], n)):
        share = min(seconds, left / (len(costs) - len(found)))
        alone = search(parts[number].program, parts[number].constants, share)
        left = max(0.0, left - alone.seconds)
        found[number] = _examined(alone, accuracy, faults)
    return found


def _neighbours(
    joint: Joint, found: Mapping[int, Derivation], accuracy: str
) -> list[Derivation] | None:
    """What the first of its equals is derived to, for each part, where the parts are chosen for how they meet;
    None where each is best as it was chosen alone. All is proven, what is read in another layout too."""
    held: dict[tuple[object, ...], Derivation] = {}

    def proven(number: int, option: Option, options: Sequence[Option]) -> Derivation | None:
        first = joint.alike[number]
        reads = joint.reads(number, options)
        key = (first, option.candidate.program, frozenset(reads.items()))
        if key not in held:
            result = _holding(found[first], option.candidate, accuracy)
            if result is None or (reads and not read_alike(joint.parts[first], result, reads)):
                return None
            held[key] = result
        return held[key]

    for _ in range(MOST_ROUNDS if joint.worthwhile() else 0):
        options, share = joint.best()
        if share > PROMISING:
            return None
        derived: list[Derivation] = []
        for number, option in enumerate(options):
            each = proven(number, option, options)
            if each is None:
                joint.without(number, option)
                break
            derived.append(each)
        else:
            same = all(
                d.program is found[n].program for d, n in zip(derived, joint.alike, strict=True)
            )
            return None if same else derived
    return None


def _holding(found: Derivation, candidate: Candidate, accuracy: str) -> Derivation | None:
    if candidate.program is found.program:
        return found
    if not candidate.steps:
        return found.without_steps()
    result = chosen(replace(found, candidates=(candidate,)), accuracy)
    return replace(result, candidates=found.candidates) if result.steps else None


@dataclass(frozen=True, slots=True)
class _Whole:
    """A program in parts, of which `alike` names the first of the equal ones."""

    source: Program
    parts: Sequence[Part]
    alike: Sequence[int]
    constants: frozenset[str]
    cost: Judge

    def joined(self, chosen_for: Sequence[Derivation]) -> Derivation:
        """The derivation of the whole, of one for the first of its equals for each part."""
        derived = tuple(
            DerivedPart(part, _for_part(found, self.parts[first], part, number), first)
            for number, (part, first, found) in enumerate(
                zip(self.parts, self.alike, chosen_for, strict=True)
            )
        )
        before = normal_form(self.source)
        after = _candidate(self.source, derived, lambda p: self.cost(p, self.constants))
        once = [d.derivation for n, d in enumerate(derived) if d.alike == n]
        return Derivation(
            self.source,
            after.program,
            after.steps,
            self.cost(before, self.constants),
            after.cost,
            sum(d.states for d in once),
            sum(d.seconds for d in once),
            all(d.complete for d in once),
            (after,) if after.steps else (),
            after.accuracy,
            parts=derived,
        )


def _candidate(
    source: Program, derived: Sequence[DerivedPart], cost: Callable[[Program], float]
) -> Candidate:
    """The parts as one program, with the steps of all of them and the errors that were measured."""
    steps = tuple(step for each in derived for step in each.derivation.steps)
    parts = [each.derivation.program for each in derived]
    program = normal_form(together(source, parts) if steps else source)
    measured = [a for a in (each.derivation.accuracy for each in derived) if a is not None]
    errors = tuple(e for accuracy in measured for e in accuracy.errors)
    return Candidate(program, steps, cost(program), Accuracy(errors) if measured else None)


def holding(found: Derivation, accuracy: str, most: int) -> list[Derivation]:
    """The derivation with each of the cheapest candidates that hold, cheapest first; for several parts, the
    chosen ones, and then with other candidates for one kind of part."""
    if not found.parts:
        return candidates_holding(found, accuracy, most)
    others = islice(_with_another_part(found, accuracy, most), most)
    rest = sorted((*found.candidates[1:], *others), key=lambda c: c.cost)
    return [found.choosing(c, c.accuracy) for c in (*found.candidates[:1], *rest)][:most]


def _with_another_part(found: Derivation, accuracy: str, most: int) -> Iterator[Candidate]:
    for first in sorted({each.alike for each in found.parts}):
        own = found.parts[first].derivation
        for other in candidates_holding(own, accuracy, most):
            if other.program is own.program:
                continue
            alike = [n for n, each in enumerate(found.parts) if each.alike == first]
            old = found.parts[first].part
            parts = list(found.parts)
            for n in alike:
                part = parts[n].part
                parts[n] = replace(parts[n], derivation=_for_part(other, old, part, n))
            cost = found.cost_after + len(alike) * (other.cost_after - own.cost_after)
            yield _candidate(found.source, parts, lambda _, cost=cost: cost)  # type: ignore[misc]


def _for_part(found: Derivation, old: Part, new: Part, number: int) -> Derivation:
    """What was found for a part, as that of an equal part; candidates and states stay with the first."""
    if old is new:
        return replace(found, steps=tuple(replace(s, part=number) for s in found.steps))
    ends = ((old.program.inputs, new.program.inputs), (old.program.results, new.program.results))
    outside = {a: b for olds, news in ends for a, b in zip(olds, news, strict=True)}
    names = beginnings(old, new) | {a.name: b.name for a, b in outside.items()}
    steps = tuple(
        Step(s.rule, called(s.tensor, names), carried(s.program, outside, names), number)
        for s in found.steps
    )
    return replace(
        found,
        source=new.program,
        program=steps[-1].program if steps else new.program,
        steps=steps,
        candidates=(),
        explored=(),
        accuracy=found.accuracy and _of_results(found.accuracy, outside),
    )


def _of_results(accuracy: Accuracy, outside: Mapping[Tensor, Tensor]) -> Accuracy:
    names = {old.name: new.name for old, new in outside.items()}
    return Accuracy(tuple(replace(e, result=names[e.result]) for e in accuracy.errors))
