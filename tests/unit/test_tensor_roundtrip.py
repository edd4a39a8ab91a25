"""What the printer prints, the front end reads back as the same program."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.printer import print_program
from tcomp.lang import lower, parse
from tests.fuzz.programs import Case
from tests.strategies import cases, seeded_case


def read_back(program: Program) -> Program:
    return bind(lower(parse(print_program(program))), {})


def assert_same(program: Program) -> None:
    again = read_back(program)
    assert (again.inputs, again.results) == (program.inputs, program.results)
    assert again.body == program.body, print_program(program)


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_seeded_programs(first: int) -> None:
    for seed in range(first, first + 50):
        assert_same(seeded_case(seed).program)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_drawn_programs(case: Case) -> None:
    assert_same(case.program)
