"""Choosing: the cheapest candidate that is proven equal and that the accuracy class allows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.accuracy import Accuracy, measure
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
    # Rules after whose steps errors are probably too large; of those that were, candidates wait.
    suspects = {r.name for r in RULES if r.cancels} if accuracy == "standard" else set[str]()
    failed: set[str] = set()
    waiting: list[Candidate] = []
    tried = 0
    for candidate in _then(found.candidates, waiting):
        if tried == MOST_TRIED:
            break
        if any(step.program in rejected for step in candidate.steps):
            continue
        if candidate not in waiting and any(step.rule in failed for step in candidate.steps):
            waiting.append(candidate)
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
                rejected.add(_first_unequal(found.source, candidate))
                continue
            step = _first_inaccurate(found.source, candidate, accuracy)
        if step is None:
            return found.choosing(candidate, _measured(found.source, candidate, accuracy))
        if step.rule in suspects:
            failed.add(step.rule)
        suspects.add(step.rule)
        rejected.add(step.program)
    return found.without_steps()


def _then(first: Sequence[Candidate], later: list[Candidate]) -> Iterator[Candidate]:
    """What comes first, then what has been added to `later` meanwhile."""
    yield from first
    yield from tuple(later)


def holding(found: Derivation, accuracy: str, most: int) -> list[Derivation]:
    """The derivation with each of the cheapest candidates that hold, cheapest first."""
    kept: list[Derivation] = []
    for candidate in found.candidates[:MOST_TRIED]:
        if len(kept) == most:
            break
        if not verify_equal(found.source, candidate.program).equal:
            continue
        if _first_inaccurate(found.source, candidate, accuracy) is not None:
            continue
        kept.append(found.choosing(candidate, _measured(found.source, candidate, accuracy)))
    return kept


def _measured(source: Program, candidate: Candidate, accuracy: str) -> Accuracy | None:
    """The rounding errors of a candidate where a step may have changed them."""
    if not any(step.rule in _CHANGING for step in candidate.steps):
        return None
    return measure(source, candidate.program, accuracy)


def _first_unequal(source: Program, candidate: Candidate) -> Program:
    """The program after the first step that is at fault; the last one is if none before it is."""
    steps = candidate.steps[:-1]
    unequal = (s.program for s in steps if not verify_equal(source, s.program).equal)
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
