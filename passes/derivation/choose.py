"""Choosing: the cheapest candidate that is proven equal and that the accuracy class allows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.accuracy import Accuracy, measure
from tcomp.passes.derivation.cost import Cost
from tcomp.passes.derivation.derive import Candidate, Derivation, has_floats
from tcomp.passes.derivation.mark import mark
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.derivation.search import State
from tcomp.passes.verification import verify_equal

MOST_TRIED = 8  # candidates that are examined before the source is taken
_CHANGING = frozenset(rule.name for rule in RULES if rule.reassociates)

logger = logging.getLogger("tcomp")


def chosen(found: Derivation, accuracy: str) -> Derivation:
    """The derivation with the first candidate that holds, or without steps where none does.

    A candidate holds if it is equal to the source over a prime field and, where a step may change the
    rounding of floats, its measured error is within what the class allows. What was derived through a
    program that differs, or is inaccurate, is not looked at: it has the same fault.
    """
    rejected: set[Program] = set()
    # Rules after whose steps errors are probably too large.
    suspects = {r.name for r in RULES if r.cancels} if accuracy == "standard" else set[str]()
    tried = 0
    for candidate in found.candidates:
        if tried == MOST_TRIED:
            break
        if any(step.program in rejected for step in candidate.steps):
            continue
        tried += 1
        # Measuring takes less time than verifying: where it probably decides, it comes first.
        if any(step.rule in suspects for step in candidate.steps):
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
            return found.choosing(candidate, _measured(found.source, candidate, accuracy))
        suspects.add(step.rule)
        rejected.add(step.program)
    return found.without_steps()


def holding(
    found: Derivation, accuracy: str, most: int, candidates: Sequence[Candidate] | None = None
) -> list[Derivation]:
    """The derivation with each of the first `candidates` that hold, in their order; by default its own."""
    kept: list[Derivation] = []
    for candidate in (found.candidates if candidates is None else candidates)[:MOST_TRIED]:
        if len(kept) == most:
            break
        if not verify_equal(found.source, candidate.program).equal:
            continue
        if _first_inaccurate(found.source, candidate, accuracy) is not None:
            continue
        kept.append(found.choosing(candidate, _measured(found.source, candidate, accuracy)))
    return kept


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
    before = (s for s in changing if s is not last and not _allowed(source, s.program, accuracy))
    return next(before, last)


def _allowed(source: Program, derived: Program, accuracy: str) -> bool:
    measured = measure(source, derived, accuracy)
    return measured is not None and measured.allows(accuracy)
