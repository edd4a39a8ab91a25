"""Choosing: the cheapest candidate that is proven equal and that the accuracy class allows."""

from __future__ import annotations

import logging

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.accuracy import Accuracy, measure
from tcomp.passes.derivation.derive import Candidate, Derivation
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.verification import verify_equal

MOST_TRIED = 8  # candidates that are examined before the source is taken

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
        fault, measured = _examined(found.source, candidate, accuracy)
        if not fault:
            return found.choosing(candidate, measured)
        logger.info("a derivation was not used: %s", fault)
        rejected.add(_first_at_fault(found.source, candidate, accuracy))
    return found.without_steps()


def holding(found: Derivation, accuracy: str, most: int) -> list[Derivation]:
    """The derivation with each of the cheapest candidates that hold, cheapest first."""
    kept: list[Derivation] = []
    for candidate in found.candidates[:MOST_TRIED]:
        fault, measured = _examined(found.source, candidate, accuracy)
        if not fault and len(kept) < most:
            kept.append(found.choosing(candidate, measured))
    return kept


def _examined(source: Program, candidate: Candidate, accuracy: str) -> tuple[str, Accuracy | None]:
    """What is wrong with a candidate ('' if nothing is), and its rounding errors where they matter."""
    verdict = verify_equal(source, candidate.program)
    if not verdict.equal:
        return verdict.reason, None
    if not _changes_rounding(candidate):
        return "", None
    measured = measure(source, candidate.program)
    if measured is None:
        return "its rounding errors cannot be measured", None
    return ("" if measured.allows(accuracy) else str(measured)), measured


def _first_at_fault(source: Program, candidate: Candidate, accuracy: str) -> Program:
    """The program after the first step at which the fault shows."""
    for number, step in enumerate(candidate.steps, start=1):
        prefix = Candidate(step.program, candidate.steps[:number], 0.0)
        if step.program is candidate.program or _examined(source, prefix, accuracy)[0]:
            return step.program
    return candidate.program


def _changes_rounding(candidate: Candidate) -> bool:
    changing = {rule.name for rule in RULES if rule.reassociates}
    return any(step.rule in changing for step in candidate.steps)
