"""Windows over planes of a few vectors, which are one tile with constant masks; beside the meaning."""

from __future__ import annotations

import pytest

from tcomp import schedule
from tcomp.codegen.named import target_named
from tcomp.ir.tensor.nodes import Program
from tcomp.passes import plan
from tests.unit.programs import random_inputs, written
from tests.unit.schedule_harness import NARROW, WIDE, agree

AVX2 = target_named("x86-64-v3")


def depthwise(rows: int, columns: int, taps: int) -> Program:
    pad = taps // 2
    return written(
        f"def f(I: f32[3, {rows}, {columns}], F: f32[3, {taps}, {taps}]) -> Y: f32[3, {rows}, {columns}]:\n"
        f"    Y[o, y, x] = sum[r, s]((I[o, y + r - {pad}, x + s - {pad}] else 0) * F[o, r, s])\n"
    )


def pooled(rows: int, columns: int) -> Program:
    return written(
        f"def f(I: f32[3, {rows}, {columns}]) -> Y: f32[3, {rows}, {columns}]:\n"
        "    Y[o, y, x] = max[r in 0:3, s in 0:3](I[o, y + r - 1, x + s - 1] else -inf)\n"
    )


SIZES = [(7, 7), (3, 6), (9, 7), (4, 4), (13, 3), (1, 15), (2, 8), (5, 13)]


@pytest.mark.parametrize("rows, columns", SIZES)
def test_planes(rows: int, columns: int) -> None:
    for source in (
        depthwise(rows, columns, 3),
        depthwise(rows, columns, 5),
        pooled(rows, columns),
    ):
        for target in (WIDE, AVX2, NARROW):
            agree(source, random_inputs(source), target)


def test_a_plane_is_one_tile() -> None:
    planned = plan(depthwise(7, 7, 3))
    (trace,) = schedule.analytical(planned, WIDE, 1)
    assert (trace["d0.lanes"], trace["d0.merged"], trace["d0.tile.2"]) == (16, 1, 4)
    (trace,) = schedule.analytical(planned, AVX2, 1)
    assert (trace["d0.lanes"], trace["d0.merged"], trace["d0.tile.2"]) == (8, 1, 7)
