"""Interpreter, loop interpreter and compiled kernel on 2,000 random programs (`tools/fuzz.py` runs more)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tcomp.codegen.host import host_target
from tests.fuzz.compare import check, lowered_and_compiled, planned
from tests.fuzz.programs import Case
from tests.strategies import cases, seeded_case

PROGRAMS, CHUNK = 2000, 100


@pytest.mark.parametrize("first", range(0, PROGRAMS, CHUNK))
def test_seeded_programs(first: int) -> None:
    target = host_target()
    wrong: list[str] = []
    for seed in range(first, first + CHUNK):
        try:
            check(seeded_case(seed), lowered_and_compiled, target)
        except Exception as error:  # the seeds of all failures are worth more than the first alone
            wrong.append(f"seed {seed}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(["", *wrong, "see tools/fuzz.py --seed N"])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_drawn_programs(case: Case) -> None:
    """Fewer, but a failing one shrinks."""
    check(case, planned, host_target())
    check(case, lowered_and_compiled, host_target())
