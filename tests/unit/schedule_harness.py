"""Runs a tensor program through planning and scheduling on the loop interpreter, beside its meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from tcomp import schedule
from tcomp.ir.loop.interpreter import interpret as run_loops
from tcomp.ir.plan import Plan
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.passes import plan as make_plan
from tcomp.target import Target

WIDE = Target(
    "x86_64-unknown-linux-gnu", "znver4", "+avx512f", 512, 32, True, 32768, 1 << 20, 1 << 25, 2
)
NARROW = Target(
    "x86_64-unknown-linux-gnu", "haswell", "", 256, 16, True, 32768, 1 << 18, 1 << 23, 2
)


def run(
    plan: Plan, inputs: dict[str, Any], target: Target = WIDE, threads: int = 2
) -> tuple[list[Any], int, tuple[str, ...]]:
    """Results of the scheduled plan, the status, and the fault table."""
    traces = schedule.analytical(plan, target, threads)
    module = schedule.lower(plan, traces, target, threads)
    program = schedule.completed(plan).program
    outputs = [
        np.zeros(tuple(int(n) for n in each.shape), each.dtype.numpy) for each in program.results
    ]
    arguments = [np.ascontiguousarray(inputs[each.name]) for each in program.inputs]
    status = run_loops(module, [*arguments, *outputs])
    return outputs, status, module.faults


def agree(
    program: Program,
    inputs: dict[str, Any],
    target: Target = WIDE,
    threads: int = 2,
    tolerance: float = 2e-5,
) -> None:
    """Asserts that the scheduled program gives what the tensor interpreter gives."""
    expected = interpret(program, inputs)
    outputs, status, _ = run(make_plan(program), inputs, target, threads)
    assert status == 0
    for got, want in zip(outputs, expected, strict=True):
        assert got.shape == want.shape
        if got.dtype.kind in "iub":
            np.testing.assert_array_equal(got, want)
        else:
            exact = np.asarray(got, np.float64)
            np.testing.assert_allclose(
                exact, np.asarray(want, np.float64), rtol=tolerance, atol=tolerance
            )
