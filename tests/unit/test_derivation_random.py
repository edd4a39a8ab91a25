"""Random walks through equal programs: every application of every rule keeps the meaning of random programs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.verifier import verify
from tcomp.passes.derivation import RULES
from tcomp.passes.derivation.normal import normal_form
from tests.strategies import seeded_case

STEPS = 3
PROGRAMS = 12  # of each chunk


def successors(program: Program) -> Iterator[tuple[str, Program]]:
    for rule in RULES:
        for _, result in rule.apply(program):
            yield rule.name, result


@pytest.mark.parametrize("first", range(0, 4 * PROGRAMS, PROGRAMS))
def test_walks_keep_the_meaning(first: int) -> None:
    for seed in range(first, first + PROGRAMS):
        case = seeded_case(seed)
        source = bind(case.program, {})
        if any(t.dtype.is_packed for d in source.definitions() for t in (d.tensor, *source.inputs)):
            continue  # 4-bit types are bytes before anything is derived
        expected = interpret(source, case.inputs)
        program, rng = normal_form(source), random.Random(seed)
        for _ in range(STEPS):
            found = list(successors(program))
            if not found:
                break
            rule, result = rng.choice(found)
            program = normal_form(result)
            verify(program)
            for wanted, got in zip(expected, interpret(program, case.inputs), strict=True):
                assert same(wanted, got), (seed, rule)


def same(wanted: Any, got: Any) -> bool:
    """Equal, floats but for rounding where both are finite."""
    if wanted.dtype.kind != "f":
        return bool(np.array_equal(wanted, got))
    usable = np.isfinite(wanted) & np.isfinite(got)
    scale = np.max(np.abs(wanted), where=np.isfinite(wanted), initial=1.0)
    return bool(np.all((np.abs(got - wanted) <= 1e-6 * scale) | ~usable))
