"""Choosing: the cheapest candidate that is proven equal and that the accuracy class allows."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.accuracy import measure
from tcomp.passes.derivation.derive import Candidate, Derivation
from tcomp.passes.derivation.rule import Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.verification import verify_equal

MOST_TRIED = 8  # candidates that are examined before the source is taken
_CHANGING = frozenset(rule.name for rule in RULES if rule.reassociates)

logger = logging.getLogger("tcomp")


def chosen(found: Derivation, accuracy: str) -> Derivation:
    """The derivation with the first candidate that holds, or without steps where none does.

    A candidate holds if it is equal to the source over a prime field and, where a step may change the
    rounding of floats, its measured error is within what the class allows. What was derived through a
    program that fails is not looked at: it has the same fault.
    """
    rejected: set[Program] = set()
    tried = 0
    for candidate in found.candidates:
        if tried == MOST_TRIED:
            break
        if any(step.program in rejected for step in candidate.steps):
            continue
        tried += 1
        verdict = verify_equal(found.source, candidate.program)
        if not verdict.equal:
            logger.info("a derivation was not used: %s", verdict.reason)
            rejected.add(_first(candidate, lambda s: not _equal(found.source, s)))
            continue
        if not any(step.rule in _CHANGING for step in candidate.steps):
            return found.choosing(candidate, None)
        measured = measure(found.source, candidate.program, accuracy)
        if measured is not None and measured.allows(accuracy):
            return found.choosing(candidate, measured)
        logger.info("a derivation was not used: %s", measured or "it cannot be measured")
        rejected.add(_first(candidate, lambda s: _inaccurate(found.source, s, accuracy)))
    return found.without_steps()


def holding(found: Derivation, accuracy: str, most: int) -> list[Derivation]:
    """The derivation with each of the cheapest candidates that hold, cheapest first."""
    kept: list[Derivation] = []
    for candidate in found.candidates[:MOST_TRIED]:
        if len(kept) == most:
            break
        if not verify_equal(found.source, candidate.program).equal:
            continue
        measured = None
        if any(step.rule in _CHANGING for step in candidate.steps):
            measured = measure(found.source, candidate.program, accuracy)
            if measured is None or not measured.allows(accuracy):
                continue
        kept.append(found.choosing(candidate, measured))
    return kept


def _first(candidate: Candidate, at_fault: Callable[[Step], bool]) -> Program:
    """The program after the first step that is at fault; the last one is if none before it is."""
    return next((s.program for s in candidate.steps[:-1] if at_fault(s)), candidate.program)


def _equal(source: Program, step: Step) -> bool:
    return bool(verify_equal(source, step.program).equal)


def _inaccurate(source: Program, step: Step, accuracy: str) -> bool:
    """Whether a step changes the rounding of floats, and more than is allowed."""
    if step.rule not in _CHANGING:
        return False
    measured = measure(source, step.program, accuracy)
    return measured is None or not measured.allows(accuracy)
