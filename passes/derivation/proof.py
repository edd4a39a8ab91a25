"""Proof logs: a derivation as data, which replays from its source and proves itself on its own.

A log names, for each step, the rule and the fingerprint of the program after it. Replaying applies the
rule to the program before and looks for a result with that fingerprint; nothing in a log is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tcomp.diagnostics import Error
from tcomp.ir.tensor.canonical import fingerprint
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.printer import print_program
from tcomp.passes.derivation.derive import Derivation
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import Step
from tcomp.passes.derivation.rules import RULES

VERSION = 1


class ProofError(Error):
    """A log that does not prove what it says."""


def to_log(derivation: Derivation) -> dict[str, Any]:
    """The log of a derivation: plain data for JSON, with the programs as text for people."""
    return {
        "version": VERSION,
        "source": print_program(derivation.source),
        "fingerprint": fingerprint(normal_form(derivation.source)),
        "steps": [
            {**entry, "program": print_program(step.program)}
            for step, entry in zip(derivation.steps, entries(derivation.steps), strict=True)
        ],
    }


def entries(steps: Sequence[Step]) -> list[dict[str, str]]:
    """Steps as a log names them."""
    return [
        {"rule": s.rule, "tensor": s.tensor, "fingerprint": fingerprint(s.program)} for s in steps
    ]


def source_text(log: Any) -> str:
    """The program that a log is about, as text. Raises ProofError where it says none."""
    text = log.get("source") if isinstance(log, dict) else None
    if not isinstance(text, str):
        raise ProofError("this is no proof log of a version that is known", code="TC096")
    return text


def replay(source: Program, log: Any) -> Program:
    """The program that a log derives from `source`. Raises ProofError at the first step that fails."""
    if not isinstance(log, dict) or log.get("version") != VERSION:
        raise ProofError("this is no proof log of a version that is known", code="TC096")
    if fingerprint(normal_form(source)) != log.get("fingerprint"):
        raise ProofError("the log is about another program", code="TC096")
    steps = replay_steps(source, log.get("steps"))
    return steps[-1].program if steps else normal_form(source)


def replay_steps(source: Program, steps: Any) -> tuple[Step, ...]:
    """The steps that a log lists, each applied to the program before it. Raises ProofError at the first one
    that does not give what the log says."""
    program = normal_form(source)
    rules = {rule.name: rule for rule in RULES}
    found: list[Step] = []
    for number, step in enumerate(steps if isinstance(steps, list) else [], start=1):
        name = step.get("rule") if isinstance(step, dict) else None
        if name not in rules:
            raise ProofError(f"step {number} uses an unknown rule '{name}'", code="TC096")
        wanted = step.get("fingerprint")
        for tensor, candidate in rules[name].apply(program):
            normal = normal_form(candidate)
            if fingerprint(normal) == wanted:
                program = normal
                found.append(Step(name, tensor, program))
                break
        else:
            raise ProofError(
                f"step {number}: '{name}' does not give the program that the log claims",
                code="TC096",
            )
    return tuple(found)
