"""Proof logs: a derivation as data, which replays from its source and proves itself on its own.

A log names, for each step, the rule and the fingerprint of the program after it. Replaying applies the
rule to the program before and looks for a result with that fingerprint; nothing in a log is believed.
The steps of a program of several parts are those of its parts, each a program of its own: replaying cuts
the source again and puts the results together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tcomp.diagnostics import Error
from tcomp.ir.tensor.canonical import fingerprint
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.printer import print_program
from tcomp.passes.derivation.carry import together
from tcomp.passes.derivation.derive import Derivation
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.partition import partition
from tcomp.passes.derivation.rule import Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.verification import verify_equal

VERSION = 1


class ProofError(Error):
    """A log that does not prove what it says."""


def to_log(derivation: Derivation) -> dict[str, Any]:
    """The log of a derivation: plain data for JSON, with the programs as text for people."""
    log = {
        "version": VERSION,
        "source": print_program(derivation.source),
        "fingerprint": fingerprint(normal_form(derivation.source)),
        "steps": [
            {**entry, "program": print_program(step.program)}
            for step, entry in zip(
                derivation.steps,
                entries(derivation.steps, in_parts=bool(derivation.parts)),
                strict=True,
            )
        ],
    }
    if derivation.parts:
        bound = {name for each in derivation.parts for name in each.part.constants}
        log["constants"] = [t.name for t in derivation.source.inputs if t.name in bound]
        log["parts"] = [print_program(each.part.program) for each in derivation.parts]
        chosen = derivation.program if derivation.steps else normal_form(derivation.source)
        log["result"] = fingerprint(chosen)
    return log


def entries(steps: Sequence[Step], *, in_parts: bool = False) -> list[dict[str, Any]]:
    """Steps as a log names them."""
    return [
        {
            "rule": step.rule,
            "tensor": step.tensor,
            **({"part": step.part} if in_parts else {}),
            "fingerprint": fingerprint(step.program),
        }
        for step in steps
    ]


def source_text(log: Any) -> str:
    """The program that a log is about, as text. Raises ProofError where it says none."""
    text = log.get("source") if isinstance(log, dict) else None
    if not isinstance(text, str):
        raise ProofError("this is no proof log of a version that is known", code="TC096")
    return text


def replay(source: Program, log: Any) -> Program:
    """The program that a log derives from `source`. Raises ProofError at the first step that fails."""
    return pairs_of(source, log)[0]


def holds(source: Program, log: Any) -> tuple[Program, bool]:
    """The same, and whether what was derived is equal over a prime field: each part by itself."""
    program, pairs = pairs_of(source, log)
    return program, all(verify_equal(a, b).equal for a, b in pairs)


def pairs_of(source: Program, log: Any) -> tuple[Program, list[tuple[Program, Program]]]:
    """The derived program, and each part that was derived with what became of it."""
    if not isinstance(log, dict) or log.get("version") != VERSION:
        raise ProofError("this is no proof log of a version that is known", code="TC096")
    whole = normal_form(source)
    if fingerprint(whole) != log.get("fingerprint"):
        raise ProofError("the log is about another program", code="TC096")
    if "parts" not in log:
        steps = replay_steps(source, log.get("steps"))
        whole = steps[-1].program if steps else whole
        return whole, [(source, whole)]
    parts = [part.program for part in partition(source, log.get("constants") or ())]
    forms = dict[int, Program]()
    for number, step in _numbered(log.get("steps")):
        place = step.get("part") if isinstance(step, dict) else None
        if not isinstance(place, int) or not 0 <= place < len(parts):
            raise ProofError(f"step {number} is about no part of the program", code="TC096")
        before = forms[place] if place in forms else normal_form(parts[place])
        forms[place] = _applied(before, number, step).program
    if forms:
        chosen = [forms.get(place, part) for place, part in enumerate(parts)]
        whole = normal_form(together(source, chosen))
    if fingerprint(whole) != log.get("result"):
        raise ProofError("the parts are not together what the log claims", code="TC096")
    return whole, [(parts[place], form) for place, form in forms.items()]


def replay_steps(source: Program, steps: Any) -> tuple[Step, ...]:
    """The steps that a log lists, each applied to the program before it. Raises ProofError at the first one
    that does not give what the log says."""
    program = normal_form(source)
    found: list[Step] = []
    for number, step in _numbered(steps):
        found.append(_applied(program, number, step))
        program = found[-1].program
    return tuple(found)


def _numbered(steps: Any) -> Iterator[tuple[int, Any]]:
    return enumerate(steps if isinstance(steps, list) else [], start=1)


def _applied(program: Program, number: int, step: Any) -> Step:
    """A step with the program after it, if that is what its rule gives."""
    rules = {rule.name: rule for rule in RULES}
    name = step.get("rule") if isinstance(step, dict) else None
    if name not in rules:
        raise ProofError(f"step {number} uses an unknown rule '{name}'", code="TC096")
    for tensor, candidate in rules[name].apply(program):
        normal = normal_form(candidate)
        if fingerprint(normal) == step.get("fingerprint"):
            return Step(name, tensor, normal)
    raise ProofError(
        f"step {number}: '{name}' does not give the program that the log claims", code="TC096"
    )
