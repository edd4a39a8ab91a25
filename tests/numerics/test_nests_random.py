"""Random programs under analytical and random schedules: the loop interpreter and compiled code agree
with the tensor interpreter."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tcomp import schedule
from tcomp.codegen.host import host_target
from tcomp.ir.loop.interpreter import interpret as run_loops
from tcomp.ir.plan import Plan
from tcomp.ir.tensor.interpreter import interpret
from tcomp.passes import bytes_for_nibbles
from tcomp.passes import plan as make_plan
from tcomp.schedule import Trace
from tcomp.target import Target
from tests.compiled import Compiled
from tests.fuzz.programs import Case
from tests.strategies import seeded_case

NARROW = Target(
    "x86_64-unknown-linux-gnu", "haswell", "", 256, 16, True, 32768, 1 << 18, 1 << 23, 2
)


def _planned(case: Case) -> Plan:
    return schedule.completed(make_plan(bytes_for_nibbles(case.program)))


def _case(seed: int) -> Case | None:
    """A case without packed arguments, which the runtime unpacks, not the schedule."""
    case = seeded_case(seed)
    tensors = (*case.program.inputs, *case.program.results)
    return None if any(t.dtype.is_packed for t in tensors) else case


def _outputs(plan: Plan) -> list[Any]:
    return [np.zeros(tuple(int(n) for n in r.shape), r.dtype.numpy) for r in plan.program.results]


def _judge(case: Case, plan: Plan, module: Any, run: Any) -> None:
    outputs = _outputs(plan)
    inputs = [np.ascontiguousarray(case.inputs[i.name]) for i in plan.program.inputs]
    status = run(module)(*inputs, *outputs)
    try:
        expected = interpret(case.program, case.inputs)
    except IndexError:
        assert status > 0
        return
    assert status == 0
    for got, want, tolerance in zip(outputs, expected, case.tolerances, strict=True):
        if got.dtype.kind in "iub":
            np.testing.assert_array_equal(got, want)
        else:
            exact = np.asarray(want, np.float64)
            spacing = float(np.finfo(np.float32).eps) * np.abs(exact)
            far = np.abs(np.asarray(got, np.float64) - exact) > tolerance + spacing
            same = (got == want) | (np.isnan(exact) & np.isnan(np.asarray(got, np.float64)))
            assert not (far & ~same).any()


def _interpreted(module: Any) -> Any:
    return lambda *arrays: run_loops(module, arrays)


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_analytical_schedules_interpreted(first: int) -> None:
    for seed in range(first, first + 20):
        case = _case(seed)
        if case is not None:
            plan = _planned(case)
            module = schedule.lower(plan, schedule.analytical(plan, NARROW, 2), NARROW, 2)
            _judge(case, plan, module, _interpreted)


@pytest.mark.parametrize("first", range(1000, 1060, 20))
def test_analytical_schedules_compiled(first: int) -> None:
    target = host_target()
    for seed in range(first, first + 20):
        case = _case(seed)
        if case is not None:
            plan = _planned(case)
            module = schedule.lower(plan, schedule.analytical(plan, target, 3), target, 3)
            _judge(case, plan, module, Compiled)


def _drawn(plan: Plan, target: Target, rng: random.Random) -> tuple[Trace, ...]:
    return tuple(schedule.space(group, target, 3).sample(rng) for group in plan.groups)


@pytest.mark.parametrize("first", range(2000, 2080, 20))
def test_drawn_schedules(first: int) -> None:
    target = host_target()
    for seed in range(first, first + 20):
        case = _case(seed)
        if case is None:
            continue
        plan, rng = _planned(case), random.Random(seed)
        module = schedule.lower(plan, _drawn(plan, target, rng), target, 3)
        _judge(case, plan, module, Compiled if seed % 4 == 0 else _interpreted)


def test_the_first_neighbours_differ_and_replay() -> None:
    case = _case(7)
    assert case is not None
    plan, target = _planned(case), host_target()
    for group in plan.groups:
        each = schedule.space(group, target, 2)
        around = list(each.neighbours(each.first))
        assert each.first not in around
        assert len(set(around)) == len(around)
