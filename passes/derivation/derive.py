"""Deriving: the cheapest program that a search finds equal to a given one, with the way to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from tcomp.collecting import paused
from tcomp.ir.tensor.nodes import Program, postorder
from tcomp.passes.accuracy import Accuracy
from tcomp.passes.derivation.cost import Cost, arithmetic_cost, least_cost
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import Rule, Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.derivation.search import State, search

WORTHWHILE = 0.85  # of the source's cost: estimates that are closer do not decide
# Of its cost that each step must save: of programs that cost the same the plainest way; and of what estimates
# do not know well, such as that what is handed on passes through memory (transposed convolutions of 256 x 8 x 8
# and 128 x 16 x 16: phases at once 131 and 146 us; products and shifted sums, 4 % cheaper by estimate, 163, 169).
STEP, DOUBT = 0.002, 0.012
CANDIDATES = 64  # programs that are kept for the case that better ones prove unequal or inaccurate


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program that is cheaper than the source, with the steps that lead to it."""

    program: Program
    steps: tuple[Step, ...]
    cost: float


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a search found: the source and the chosen program, with the steps between them.

    `cost_before` and `cost_after` are the judge's; `states` is how many programs were looked at, and
    `complete` whether none was left unexpanded when the budget ended. `candidates` are the cheapest
    programs found, cheapest first but for what a step must save; the first is the chosen one until a
    caller chooses another.
    `accuracy` is the measured rounding error of the chosen program where its steps change roundings.
    `explored` are all programs in the order in which they were found, each with its parent: the
    derivation as a graph.
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

    def without_steps(self) -> Derivation:
        """The search's record with the source as the chosen program."""
        return replace(
            self, program=self.source, steps=(), cost_after=self.cost_before, accuracy=None
        )

    def __str__(self) -> str:
        lines = [f"{n}. {s.rule} at {s.tensor}" for n, s in enumerate(self.steps, start=1)]
        lines.append(
            f"cost {self.cost_before:.4g} -> {self.cost_after:.4g}, {self.states} programs"
        )
        if self.accuracy is not None:
            lines.append(str(self.accuracy))
        return "\n".join(lines)

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
        )


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
) -> Derivation:
    """The cheapest equal program found within `seconds`, or before `patience` (see `search`) ends.

    `program` is bound. `cost` judges programs; `promise` says what a program may yet come to and guides the
    search. `reassociate_floats=False` (accuracy class `strict`) leaves out the rules that change the
    rounding of floating-point results.
    """
    start = clock()
    if not reassociate_floats and _has_floats(program):
        rules = tuple(r for r in rules if not r.reassociates)
    found = search(
        normal_form(program),
        seconds=seconds,
        cost=cost,
        promise=promise,
        rules=rules,
        clock=clock,
        patience=patience,
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


def _uncertain(state: State, sure: set[str]) -> int:
    return sum(step.rule not in sure for step in state.steps())


def _has_floats(program: Program) -> bool:
    return any(n.dtype.is_float for d in program.definitions() for n in postorder(d.body))
