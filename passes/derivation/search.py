"""Best-first search over equal programs.

States are programs in a normal form, told apart by marks. The open state that promises most is
expanded first: a state promises what it would cost if its sums were ordered and its products regular, so
that a step on the way, such as one large sum that no kernel would run as it stands, is not mistaken for
a dead end; among equal promises the one that is closer to such a form goes first. The order is
deterministic and does not depend on the budget: a larger one sees the same states and then more.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import inf

from tcomp.ir.tensor.nodes import Program, Statement, count
from tcomp.ir.tensor.tables import table_iters
from tcomp.passes.derivation.cost import Cost
from tcomp.passes.derivation.estimate import mismatches
from tcomp.passes.derivation.mark import mark
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import Rule, Step

MAX_GROWTH = 4  # a state with this many times the nodes of the source is not expanded, and only kept by a lemma
MAX_COST_RATIO = 16.0  # nor one that promises no less than this many times the best
# Times the best: a search that would expand what promises more ends, if it is no SHORT one. Of 160 workloads none
# is derived to a faster form through what a search finds then.
NEAR = 1.5
SHORT = 1 / 4  # of the patience
DISTANCE = 0.1  # of its promise a state is put back for each mismatch
STEP = 0.01  # and for each step
LEAST_GAIN = 1e-3  # of the best cost: what counts as progress


@dataclass(frozen=True, slots=True)
class State:
    """A program, how it was derived, and what it costs."""

    program: Program
    cost: float
    promise: float
    parent: State | None
    rule: str
    tensor: str
    depth: int
    mark: tuple[int, ...]

    def steps(self) -> tuple[Step, ...]:
        """The applications from the source to this state."""
        found: list[Step] = []
        state = self
        while state.parent is not None:
            found.append(Step(state.rule, state.tensor, state.program))
            state = state.parent
        return tuple(reversed(found))

    def rules(self) -> set[str]:
        """The names of the rules that were applied."""
        return {step.rule for step in self.steps()}

    @property
    def priority(self) -> float:
        """What the queue orders by; the smallest goes first."""
        distance = sum(mismatches(d) for d in self.program.definitions())
        return self.promise * (1 + DISTANCE * distance + STEP * self.depth)


@dataclass(frozen=True, slots=True)
class Found:
    """All states in the order in which they were found, the source first, and whether none was left."""

    states: tuple[State, ...]
    complete: bool


def search(
    source: Program,
    *,
    seconds: float,
    cost: Cost,
    promise: Cost,
    rules: tuple[Rule, ...],
    clock: Callable[[], float] = time.perf_counter,
    patience: float = inf,
    doubtful: Collection[str] = (),
) -> Found:
    """Searches what `source`, a program in normal form, equals.

    Without a cheaper program the search ends after `patience` states, and with one that was found as state n
    after so many and n / 8 times as many again. What the rules of `doubtful` give may not hold: they are applied
    at the end, on the way to the cheapest program.
    """
    sure = tuple(rule for rule in rules if rule.name not in doubtful)
    found = _searched(source, seconds, cost, promise, sure, clock, patience)
    others = [rule for rule in rules if rule.name in doubtful]
    more = (_latest(found, rule, cost, promise) for rule in others)
    return Found((*found.states, *(state for states in more for state in states)), found.complete)


def _latest(found: Found, rule: Rule, cost: Cost, promise: Cost) -> list[State]:
    """What a rule gives at the last program to which it applies on the way to the cheapest one."""
    state: State | None = min(found.states, key=lambda s: s.cost)
    while state is not None:
        made = [(tensor, normal_form(program)) for tensor, program in rule.apply(state.program)]
        if made:
            depth = state.depth + 1
            return [
                State(p, cost(p), promise(p), state, rule.name, tensor, depth, mark(p))
                for tensor, p in made
            ]
        state = state.parent
    return []


def _searched(
    source: Program,
    seconds: float,
    cost: Cost,
    promise: Cost,
    rules: tuple[Rule, ...],
    clock: Callable[[], float],
    patience: float,
) -> Found:
    start = clock()
    first = State(source, cost(source), promise(source), None, "", "", 0, mark(source))
    states = [first]
    best = first.cost
    depths = {first.mark: 0}
    queue: list[tuple[float, int, State]] = [(first.priority, 0, first)]
    limit = MAX_GROWTH * _nodes(source) + 64
    forms = _Forms()
    lemmas = {rule.name for rule in rules if rule.certain}
    last = 0  # the state that was the best when it was found
    while queue:
        _, _, state = heapq.heappop(queue)
        if depths[state.mark] < state.depth:
            continue  # reached again in fewer steps
        if state.promise > best * MAX_COST_RATIO:
            continue
        if state.promise > best * NEAR and len(states) > patience * SHORT:
            return Found(tuple(states), complete=False)
        depth = state.depth + 1
        for rule, tensor, written in _successors(state, rules):
            if clock() - start > seconds or len(states) > patience * (1 + last / 8):
                return Found(tuple(states), complete=False)
            program, own = forms.of(written)
            grown = _nodes(program) > limit
            if depths.get(own, depth + 1) <= depth or (grown and rule not in lemmas):
                continue
            depths[own] = depth
            made = State(program, cost(program), promise(program), state, rule, tensor, depth, own)
            states.append(made)
            if made.cost < best * (1 - LEAST_GAIN):
                last = len(states)
            best = min(best, made.cost)
            if not grown:
                heapq.heappush(queue, (made.priority, len(states), made))
    return Found(tuple(states), complete=True)


class _Forms:
    """Normal forms with their marks; programs of one search are told apart by their statements."""

    def __init__(self) -> None:
        self.normal: dict[tuple[Statement, ...], Program] = {}
        self.marks: dict[tuple[Statement, ...], tuple[int, ...]] = {}

    def of(self, program: Program) -> tuple[Program, tuple[int, ...]]:
        normal = self.normal.get(program.body)
        if normal is None:
            normal = self.normal[program.body] = normal_form(program)
        own = self.marks.get(normal.body)
        if own is None:
            own = self.marks[normal.body] = mark(normal)
        return normal, own


def _successors(state: State, rules: tuple[Rule, ...]) -> Iterator[tuple[str, str, Program]]:
    """What one application gives; only the first one of a rule that always helps."""
    for rule in rules:
        if rule.always:
            for tensor, program in rule.apply(state.program):
                yield rule.name, tensor, program
                return
    for rule in rules:
        for tensor, program in rule.apply(state.program):
            yield rule.name, tensor, program


def _nodes(program: Program) -> int:
    """Nodes that rules may rewrite: tables stay as they are."""
    return sum(1 if table_iters(d) else count(d.body) for d in program.definitions())
