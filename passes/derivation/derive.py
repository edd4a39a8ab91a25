"""Best-first search over equal programs.

States are programs in a normal form (simplified, loop-invariant reductions lifted, equal definitions
shared), told apart by their canonical fingerprint. The open state that promises most is expanded first: a
state promises what it costs once its sums of many factors are ordered, so that merging everything into
one sum, which no kernel would run as it stands, is not mistaken for a dead end. The order is
deterministic, and the search can be stopped at any time: the best state so far stands, and a larger budget
never loses what a smaller one found.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tcomp.ir.tensor.canonical import fingerprint
from tcomp.ir.tensor.nodes import Program, postorder
from tcomp.passes.accuracy import Accuracy
from tcomp.passes.contraction_order import contraction_order
from tcomp.passes.derivation.cost import Cost, arithmetic_cost
from tcomp.passes.derivation.rule import Rule, Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.derivation.structure import share_equal
from tcomp.passes.inline import drop_unread, inline
from tcomp.passes.lift import lift
from tcomp.passes.simplify import simplify

MAX_GROWTH = 4  # a state with this many times the nodes of the source is not expanded
MAX_COST_RATIO = 16.0  # nor one that promises no less than this many times the best
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
    programs found, cheapest first; the first is the chosen one until a caller chooses another.
    `accuracy` is the measured rounding error of the chosen program where its steps change roundings.
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

    def choosing(self, candidate: Candidate, accuracy: Accuracy | None) -> Derivation:
        """The search's record with another candidate as the chosen program."""
        return replace(
            self,
            program=candidate.program,
            steps=candidate.steps,
            cost_after=candidate.cost,
            accuracy=accuracy,
        )


@dataclass(frozen=True, slots=True)
class _State:
    program: Program
    cost: float
    parent: _State | None
    rule: str
    tensor: str


def derive(
    program: Program,
    *,
    seconds: float = 1.0,
    cost: Cost = arithmetic_cost,
    rules: tuple[Rule, ...] = RULES,
    reassociate_floats: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Derivation:
    """The cheapest equal program found within `seconds`.

    `program` is bound. `reassociate_floats=False` (accuracy class `strict`) leaves out the rules that
    change the rounding of floating-point results.
    """
    start = clock()
    source = normal_form(program)
    if not reassociate_floats and _has_floats(program):
        rules = tuple(r for r in rules if not r.reassociates)
    first = _State(source, cost(source), None, "", "")
    best = first
    cheaper: list[_State] = []
    seen = {fingerprint(source)}
    queue: list[tuple[float, int, _State]] = [(_promise(first, cost), 0, first)]
    limit = MAX_GROWTH * _nodes(source) + 64
    complete = True
    while queue:
        if clock() - start > seconds:
            complete = False
            break
        promise, _, state = heapq.heappop(queue)
        if promise > best.cost * MAX_COST_RATIO:
            break
        for successor in _successors(state, rules, cost):
            mark = fingerprint(successor.program)
            if mark in seen or _nodes(successor.program) > limit:
                continue
            seen.add(mark)
            heapq.heappush(queue, (_promise(successor, cost), len(seen), successor))
            if successor.cost < first.cost:
                cheaper.append(successor)
            if successor.cost < best.cost:
                best = successor
    cheaper.sort(key=lambda state: state.cost)  # stable: of equal ones the first that was found
    return Derivation(
        program,
        best.program,
        _steps(best),
        first.cost,
        best.cost,
        len(seen),
        clock() - start,
        complete,
        tuple(Candidate(s.program, _steps(s), s.cost) for s in cheaper[:CANDIDATES]),
    )


def normal_form(program: Program) -> Program:
    """The form in which states are compared: what planning does to every program anyway, so that only
    what goes beyond it counts as a step."""
    return share_equal(inline(lift(drop_unread(simplify(program)))))


def _promise(state: _State, cost: Cost) -> float:
    ordered = contraction_order(state.program)
    return min(state.cost, cost(ordered)) if ordered.body != state.program.body else state.cost


def _successors(state: _State, rules: tuple[Rule, ...], cost: Cost) -> Iterator[_State]:
    for rule in rules:
        for tensor, program in rule.apply(state.program):
            normal = normal_form(program)
            yield _State(normal, cost(normal), state, rule.name, tensor)


def _steps(state: _State) -> tuple[Step, ...]:
    steps: list[Step] = []
    node: _State | None = state
    while node is not None and node.parent is not None:
        steps.append(Step(node.rule, node.tensor, node.program))
        node = node.parent
    return tuple(reversed(steps))


def _nodes(program: Program) -> int:
    return sum(len(postorder(d.body)) for d in program.definitions())


def _has_floats(program: Program) -> bool:
    return any(n.dtype.is_float for d in program.definitions() for n in postorder(d.body))
