"""Choosing: the cheapest candidate that is proven equal and that the accuracy class allows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.accuracy import Accuracy, measure
from tcomp.passes.derivation.cost import Cost
from tcomp.passes.derivation.derive import Candidate, Derivation, has_floats
from tcomp.passes.derivation.mark import mark
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import Step
from tcomp.passes.derivation.rules import LEMMAS, RULES
from tcomp.passes.derivation.search import State
from tcomp.passes.verification import verify_equal

MOST_TRIED = 8  # candidates that are examined before the source is taken
MOST_FAULTS = 2  # of a rule, before candidates without it go first
_CHANGING = frozenset(rule.name for rule in RULES if rule.reassociates)
_DOUBTFUL = frozenset(rule.name for rule in LEMMAS if rule.cancels)

logger = logging.getLogger("tcomp")


def chosen(found: Derivation, accuracy: str, faults: Counter[str] | None = None) -> Derivation:
    """The derivation with the first candidate that holds, or without steps where none does. `faults` counts rules
    whose errors were too large, here and in other parts of a program."""
    return next(_held(found, accuracy, faults), found.without_steps())


def candidates_holding(
    found: Derivation, accuracy: str, most: int, candidates: Sequence[Candidate] | None = None
) -> list[Derivation]:
    """The derivation with each of the first `candidates` that hold, in their order; by default its own."""
    given = found if candidates is None else replace(found, candidates=tuple(candidates))
    held = islice(_held(given, accuracy), most)
    return [replace(each, candidates=found.candidates) for each in held]


def _held(
    found: Derivation, accuracy: str, faults: Counter[str] | None = None
) -> Iterator[Derivation]:
    """Candidates that hold, as far as they are worth examining.

    A candidate holds if it is equal to the source over a prime field and, where a step may change the
    rounding of floats, its measured error is within what the class allows. What was derived through a
    program that differs, or is inaccurate, is not looked at: it has the same fault.
    """
    rejected: set[Program] = set()
    faults = probable_faults(accuracy) if faults is None else faults
    waiting = list(found.candidates)
    for _ in range(MOST_TRIED):
        waiting = [c for c in waiting if not any(s.program in rejected for s in c.steps)]
        if not waiting:
            return
        candidate = _next(waiting, faults)
        # Measuring takes less time than verifying: where it probably decides, it comes first.
        if any(step.rule in faults for step in candidate.steps):
            step = _first_inaccurate(found.source, candidate, accuracy)
        else:
            step = None
        if step is None:
            verdict = verify_equal(found.source, candidate.program)
            if not verdict.equal:
                logger.info("a derivation was not used: %s", verdict.reason)
                if verdict.equal is False:  # what could not be decided says nothing of what follows
                    rejected.add(_first_unequal(found.source, candidate))
                continue
            step = _first_inaccurate(found.source, candidate, accuracy)
        if step is None:
            yield found.choosing(candidate, _measured(found.source, candidate, accuracy))
        else:
            faults[step.rule] += 1
            rejected.add(step.program)


def probable_faults(accuracy: str) -> Counter[str]:
    """Rules after whose steps errors are probably too large, with how often they were; some by their nature."""
    return Counter(r.name for r in RULES if r.cancels and accuracy == "standard")


def doubtful(source: Program, accuracy: str) -> frozenset[str]:
    """The lemmas whose errors are probably larger than the class allows, and that no further step makes smaller."""
    return _DOUBTFUL if accuracy == "standard" and has_floats(source) else frozenset()


def _next(waiting: list[Candidate], faults: Counter[str]) -> Candidate:
    """Takes the cheapest that has no rule which is at fault again and again, else the cheapest.

    One such rule (F(4, 3) in `standard`) beside many that do not matter would use up all tries.
    """
    usual = (n for n, c in enumerate(waiting) if all(faults[s.rule] < MOST_FAULTS for s in c.steps))
    return waiting.pop(next(usual, 0))


def replayed(
    source: Program, steps: tuple[Step, ...], cost: Cost, accuracy: str
) -> Derivation | None:
    """A derivation whose steps are known from elsewhere; None where its program does not hold."""
    changing = any(step.rule in _CHANGING for step in steps)
    if accuracy == "strict" and changing and has_floats(source):
        return None
    before = normal_form(source)
    state = State(before, cost(before), cost(before), None, "", "", 0, mark(before))
    states = [state]
    for depth, step in enumerate(steps, start=1):
        price = cost(step.program)
        own = mark(step.program)
        states.append(
            State(step.program, price, price, states[-1], step.rule, step.tensor, depth, own)
        )
    last = states[-1]
    candidates = (Candidate(last.program, steps, last.cost),) if steps else ()
    found = Derivation(
        source,
        before,
        (),
        state.cost,
        state.cost,
        len(states),
        0.0,
        complete=False,
        candidates=candidates,
        explored=tuple(states),
    )
    result = chosen(found, accuracy)
    return result if len(result.steps) == len(steps) else None


def _measured(source: Program, candidate: Candidate, accuracy: str) -> Accuracy | None:
    """The rounding errors of a candidate where a step may have changed them."""
    if not any(step.rule in _CHANGING for step in candidate.steps):
        return None
    return measure(source, candidate.program, accuracy)


def _first_unequal(source: Program, candidate: Candidate) -> Program:
    """The program after the first step that is at fault; the last one is if none before it is."""
    steps = candidate.steps[:-1]
    unequal = (s.program for s in steps if verify_equal(source, s.program).equal is False)
    return next(unequal, candidate.program)


def _first_inaccurate(source: Program, candidate: Candidate, accuracy: str) -> Step | None:
    """The first step after which errors are larger than allowed; None where those of the candidate are not."""
    changing = [step for step in candidate.steps if step.rule in _CHANGING]
    if not changing or _allowed(source, candidate.program, accuracy):
        return None
    logger.info("a derivation was not used: %s", measure(source, candidate.program, accuracy))
    last = candidate.steps[-1]
    if last.rule in _DOUBTFUL:
        return last
    before = (s for s in changing if s is not last and not _allowed(source, s.program, accuracy))
    return next(before, last)


def _allowed(source: Program, derived: Program, accuracy: str) -> bool:
    measured = measure(source, derived, accuracy)
    return measured is not None and measured.allows(accuracy)
