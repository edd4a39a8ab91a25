"""Deriving: the cheapest program that a search finds equal to a given one, with the way to it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from tcomp.collecting import paused
from tcomp.ir.tensor.nodes import Program, postorder
from tcomp.passes.accuracy import Accuracy
from tcomp.passes.derivation.cost import Cost, arithmetic_cost, least_cost
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.partition import Part
from tcomp.passes.derivation.rule import Rule, Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.derivation.search import State, search

WORTHWHILE = 0.85  # of the source's cost: estimates that are closer do not decide
# Of its cost that each step must save: of programs that cost the same the plainest way; and of what estimates
# do not know well, such as that what is handed on passes through memory (transposed convolutions of 256 x 8 x 8
# and 128 x 16 x 16: phases at once 131 and 146 us; products and shifted sums, 4 % cheaper by estimate, 163, 169).
STEP, DOUBT = 0.002, 0.012
HOPELESS = 1.5  # times the source's cost: what seems dearer is not timed
ALIKE = 2  # forms by the same rules that are timed
CANDIDATES = 64  # programs that are kept for the case that better ones prove unequal or inaccurate


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program that is cheaper than the source, with the steps that lead to it.

    `accuracy` is its measured rounding error, where it is known.
    """

    program: Program
    steps: tuple[Step, ...]
    cost: float
    accuracy: Accuracy | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a race said: how many forms were timed, and how many times the speed of the program as written the
    chosen one has (None where that was forgotten)."""

    forms: int
    speedup: float | None

    def told(self, rules: Sequence[str]) -> str:
        """One line; `rules` are those of the chosen form."""
        gain = "" if self.speedup is None or not rules else f" at {self.speedup:.3g}x of it"
        forms = (
            "1 form"
            if self.forms == 1
            else f"{self.forms} forms, the program as written among them"
        )
        return f"measured: {forms}; chosen {', '.join(rules) or 'as written'}{gain}"

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"forms": self.forms, "speedup": self.speedup}


@dataclass(frozen=True, slots=True)
class Race:
    """What a race said of a whole program, whose `makes` is empty, or of the part that makes these results."""

    makes: tuple[str, ...]
    rules: tuple[str, ...]
    measured: Measured

    def __str__(self) -> str:
        of = f"{', '.join(self.makes)}: " if self.makes else ""
        return of + self.measured.told(self.rules)

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "makes": list(self.makes),
            "rules": list(self.rules),
            **self.measured.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a search found: the source and the chosen program, with the steps between them.

    `cost_before` and `cost_after` are the judge's; `states` is how many programs were looked at, and
    `complete` whether none was left unexpanded when the budget ended. `candidates` are the cheapest
    programs found, cheapest first but for what a step must save; the first is the chosen one until a
    caller chooses another.
    `accuracy` is the measured rounding error of the chosen program where its steps change roundings.
    `explored` are all programs in the order in which they were found, each with its parent: the
    derivation as a graph. `measured` is there where a race on record chose instead of the judge.
    A program of several `parts` has no graph of its own: each part has one.
    """

    source: Program
    program: Program
    steps: tuple[Step, ...]
    cost_before: float
    cost_after: float
    states: int
    seconds: float
    complete: bool
    candidates: tuple[Candidate, ...] = ()
    accuracy: Accuracy | None = None
    explored: tuple[State, ...] = ()
    parts: tuple[DerivedPart, ...] = ()
    measured: Measured | None = None

    def without_steps(self) -> Derivation:
        """The search's record with the source as the chosen program."""
        return replace(
            self,
            program=self.source,
            steps=(),
            cost_after=self.cost_before,
            accuracy=None,
            measured=None if self.steps else self.measured,
        )

    def __str__(self) -> str:
        lines = [f"{n}. {s.rule} at {s.tensor}" for n, s in enumerate(self.steps, start=1)]
        lines.append(
            f"cost {self.cost_before:.4g} -> {self.cost_after:.4g}, {self.states} programs"
        )
        lines += map(str, self.races())
        if self.accuracy is not None:
            lines.append(str(self.accuracy))
        return "\n".join(lines)

    def races(self) -> tuple[Race, ...]:
        """What races chose: of the whole, or of each part that was searched."""
        if self.measured is not None:
            return (Race((), tuple(s.rule for s in self.steps), self.measured),)
        return tuple(
            replace(race, makes=tuple(t.name for t in each.part.program.results))
            for number, each in enumerate(self.parts)
            if each.alike == number
            for race in each.derivation.races()
        )

    def _repr_html_(self) -> str:
        from tcomp.passes.derivation.page import fragment

        return fragment(self)

    def choosing(self, candidate: Candidate, accuracy: Accuracy | None) -> Derivation:
        """The search's record with another candidate as the chosen program."""
        return replace(
            self,
            program=candidate.program,
            steps=candidate.steps,
            cost_after=candidate.cost,
            accuracy=accuracy,
            measured=self.measured if candidate.program is self.program else None,
        )


@dataclass(frozen=True, slots=True)
class DerivedPart:
    """A part of a program, and what a search found for it, in its own names.

    Equal parts share one search: `alike` is the number of the first of them.
    """

    part: Part
    derivation: Derivation
    alike: int


@paused()
def derive(
    program: Program,
    *,
    seconds: float = 1.0,
    cost: Cost = arithmetic_cost,
    promise: Cost = least_cost,
    rules: tuple[Rule, ...] = RULES,
    reassociate_floats: bool = True,
    clock: Callable[[], float] = time.perf_counter,
    patience: float = inf,
    doubtful: Collection[str] = (),
) -> Derivation:
    """The cheapest equal program found within `seconds`, or before `patience` (see `search`) ends.

    `program` is bound. `cost` judges programs; `promise` says what a program may yet come to and guides the
    search. `reassociate_floats=False` (accuracy class `strict`) leaves out the rules that change the
    rounding of floating-point results. `doubtful` names rules whose results may not hold (see `search`).
    """
    start = clock()
    if not reassociate_floats and has_floats(program):
        rules = tuple(r for r in rules if not r.reassociates)
    found = search(
        normal_form(program),
        seconds=seconds,
        cost=cost,
        promise=promise,
        rules=rules,
        clock=clock,
        patience=patience,
        doubtful=doubtful,
    )
    source = found.states[0]
    limit = WORTHWHILE * source.cost
    sure = {rule.name for rule in rules if rule.certain}
    cheaper = sorted(
        (
            s
            for s in found.states
            if s.cost < (source.cost if sure.issuperset(s.rules()) else limit)
        ),
        key=lambda s: s.cost * (1 + STEP * s.depth + DOUBT * _uncertain(s, sure)),
    )
    best = cheaper[0] if cheaper else source
    return Derivation(
        program,
        best.program,
        best.steps(),
        source.cost,
        best.cost,
        len(found.states),
        clock() - start,
        found.complete,
        tuple(Candidate(s.program, s.steps(), s.cost) for s in cheaper[:CANDIDATES]),
        explored=found.states,
    )


def contenders(found: Derivation, most: int) -> list[Candidate]:
    """Forms worth a race, the one that the estimates would choose first: others may be estimated wrong, those
    that seem no cheaper than the source among them. Of forms that came by the same rules two are enough."""
    kept = [*found.candidates[:1]]
    taken = {c.program for c in kept}
    alike = Counter(_rules(c.steps) for c in kept)
    limit = HOPELESS * found.cost_before
    ordered = sorted(found.explored[1:], key=lambda s: s.cost * (1 + STEP * s.depth))
    for state in ordered:
        if len(kept) == most or state.cost > limit:
            break
        steps = state.steps()
        if state.program not in taken and alike[_rules(steps)] < ALIKE:
            taken.add(state.program)
            alike[_rules(steps)] += 1
            kept.append(Candidate(state.program, steps, state.cost))
    return kept


def _rules(steps: tuple[Step, ...]) -> frozenset[str]:
    return frozenset(step.rule for step in steps)


def _uncertain(state: State, sure: set[str]) -> int:
    return sum(step.rule not in sure for step in state.steps())


def has_floats(program: Program) -> bool:
    """Whether a program computes anything whose rounding could change."""
    return any(n.dtype.is_float for d in program.definitions() for n in postorder(d.body))
