"""Which candidates are examined: those with a rule whose errors were too large wait for the others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tcomp.ir.tensor.binding import bind
from tcomp.lang import lower, parse
from tcomp.passes.derivation import choose, derive
from tcomp.passes.derivation.derive import Candidate
from tcomp.passes.derivation.rule import Step
from tcomp.passes.derivation.rules import RULES

CANCELS = next(r.name for r in RULES if r.cancels)
SOUND = next(r.name for r in RULES if r.reassociates and not r.cancels)


def program(name: str):
    return bind(lower(parse(f"def {name}(X: f32[4]) -> Y: f32[4]:\n    Y[i] = X[i] + 1.0\n")), {})


def candidate(name: str, *rules: str) -> Candidate:
    """Each step leads to a program of its own name; the last one is the candidate's."""
    steps = tuple(
        Step(rule, "Y", program(name if n == len(rules) - 1 else f"{name}_{n}"))
        for n, rule in enumerate(rules)
    )
    return Candidate(steps[-1].program, steps, 1.0)


@pytest.fixture
def examined(monkeypatch):
    """The names of measured programs, in order; those in `.bad` are too inaccurate."""
    record = SimpleNamespace(names=[], bad=set())

    def measure(source, derived, wanted):
        record.names.append(derived.name)
        return SimpleNamespace(allows=lambda accuracy: derived.name not in record.bad)

    monkeypatch.setattr(choose, "measure", measure)
    monkeypatch.setattr(choose, "verify_equal", lambda a, b: SimpleNamespace(equal=True))
    return record


def found(*candidates: Candidate):
    from dataclasses import replace

    return replace(derive(program("source"), rules=()), candidates=candidates)


def test_candidates_with_a_rule_that_failed_wait(examined):
    examined.bad = {"first", "second"}
    made = found(
        candidate("first", CANCELS), candidate("second", SOUND, CANCELS), candidate("third", SOUND)
    )
    assert choose.chosen(made, "standard").program.name == "third"
    assert "second" not in examined.names


def test_they_are_examined_where_no_other_holds(examined):
    examined.bad = {"first", "third"}
    made = found(
        candidate("first", CANCELS), candidate("second", SOUND, CANCELS), candidate("third", SOUND)
    )
    assert choose.chosen(made, "standard").program.name == "second"


def test_what_fails_by_another_rule_makes_nothing_wait(examined):
    examined.bad = {"first"}
    made = found(candidate("first", SOUND), candidate("second", SOUND), candidate("third", SOUND))
    assert choose.chosen(made, "standard").program.name == "second"


def test_nothing_is_chosen_where_all_fail(examined):
    examined.bad = {"first", "second"}
    made = found(candidate("first", CANCELS), candidate("second", CANCELS))
    assert choose.chosen(made, "standard").program.name == "source"
