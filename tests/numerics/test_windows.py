"""Contractions read through a window, in every frame and form, against NumPy in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tcomp import schedule
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor.nodes import Program
from tcomp.schedule.contraction import match
from tcomp.schedule.contraction.group import survey_dense, to_trace
from tcomp.schedule.contraction.window.decisions import (
    CHANNELS,
    WindowBlocking,
    candidates,
    is_legal,
)
from tcomp.schedule.contraction.window.frame import Frame, frames
from tcomp.target import Target
from tests.compiled import Compiled
from tests.guarded import guarded, requires_guards
from tests.numerics.contractions import CONVOLUTIONS, convolution, convolution_reference
from tests.numerics.test_contractions import NEON, WIDE, check
from tests.numerics.test_contractions_compiled import targets
from tests.unit.programs import random_inputs, written

WINDOWS = [
    *CONVOLUTIONS,
    ((1, 2, 1, 37), (3, 1, 3), 1, 1, 1),  # one line
    ((2, 3, 9, 1), (4, 3, 1), 1, 1, 1),  # runs of one pixel
    ((1, 2, 23, 19), (17, 3, 3), 2, 0, 2),
    ((1, 3, 31, 30), (5, 5, 5), 3, 2, 1),
    ((1, 2, 3, 9), (3, 3, 3), 1, 4, 1),  # lines that meet nothing but border
    ((2, 3, 4, 6), (5, 5, 5), 1, 2, 1),
    ((1, 2, 5, 8), (4, 3, 3), 2, 3, 2),
]


def ways(source: Program, target: Target) -> list[tuple[Frame, WindowBlocking]]:
    """The best blocking of each frame and form, with two threads."""
    found = match(next(iter(source.definitions())))
    assert found is not None
    views = frames(found, survey_dense(found, target).scope)
    return [(views[b.frame], b) for _, b in candidates(views, 2)]


def small(frame: Frame, blocking: WindowBlocking) -> WindowBlocking:
    """The same with tasks and tiles so small that there are partial ones of every kind."""
    lanes = min(blocking.lanes, 4)
    choice = replace(
        blocking, lanes=lanes, tile_rows=2, tile_vectors=1, unrolled=1, unroll=2, parallel=1,
        lines=min(2, frame.line.extent), task_channels=lanes if blocking.form == 3 else 1,
    )  # fmt: skip
    choice = replace(choice, task_channels=min(choice.task_channels, frame.channels.extent))
    assert is_legal(frame, choice)
    return choice


@pytest.mark.parametrize("target", [NEON, WIDE], ids=["neon", "avx512"])
@pytest.mark.parametrize("shape, filters, stride, pad, dilation", WINDOWS)
def test_every_way_gives_the_same(
    shape: tuple[int, int, int, int], filters: tuple[int, int, int],
    stride: int, pad: int, dilation: int, target: Target,
) -> None:  # fmt: skip
    source = convolution(shape, filters, stride, pad, dilation)
    inputs = random_inputs(source)
    expected = convolution_reference(inputs, stride, pad, dilation)
    found = ways(source, target)
    assert found
    for frame, blocking in found:
        for choice in (blocking, small(frame, blocking)):
            check(source, expected, inputs, target=target, decided=to_trace(choice))


@pytest.mark.parametrize("target", [NEON, WIDE], ids=["neon", "avx512"])
@pytest.mark.parametrize("width, channels", [(4, 16), (5, 3), (8, 17), (1, 4)])
def test_taps_outside_depend_on_the_batch(width: int, channels: int, target: Target) -> None:
    """As the phases of a transposed convolution: each has its own border."""
    source = written(
        f"def f(X: f32[4, 3, {width}], F: f32[2, {channels}, 4, 2]) -> Y: f32[2, {channels}, 3, {width}]:\n"
        "    Y[p, o, y, x] = sum[c, s]((X[c, y, x + p - s] else 0) * F[p, o, c, s])\n"
    )
    inputs = random_inputs(source)
    padded = np.pad(inputs["X"].astype(float), ((0, 0), (0, 0), (1, 1)))
    expected = sum(
        np.einsum(
            "pcyx,poc->poyx",
            np.stack([padded[:, :, 1 + p - s :][:, :, :width] for p in range(2)]),
            inputs["F"][..., s].astype(float),
        )
        for s in range(2)
    )
    found = ways(source, target)
    assert any(b.form == CHANNELS for _, b in found)
    for frame, blocking in found:
        for choice in (blocking, small(frame, blocking)):
            check(source, expected, inputs, target=target, decided=to_trace(choice))


@requires_guards
@pytest.mark.parametrize("shape, filters, stride, pad, dilation", WINDOWS)
def test_every_way_compiled(
    shape: tuple[int, int, int, int], filters: tuple[int, int, int],
    stride: int, pad: int, dilation: int,
) -> None:  # fmt: skip
    source = convolution(shape, filters, stride, pad, dilation)
    inputs = random_inputs(source)
    expected = convolution_reference(inputs, stride, pad, dilation)
    for target in targets():
        for frame, blocking in ways(source, target):
            for choice in (blocking, small(frame, blocking)):
                compare(source, choice, target, inputs, expected)


def compare(
    source: Program, choice: WindowBlocking, target: Target, inputs: dict[str, Any], expected: Any
) -> None:
    plan = Plan(source, tuple(Group((d,)) for d in source.definitions()))
    module = schedule.lower(plan, (to_trace(choice),), target, 2)
    kernel = Compiled(module, target, threads=2)
    for edge in ("start", "end"):
        arrays = [guarded(inputs[t.name], edge, read_only=True) for t in source.inputs]
        out = guarded(np.full(expected.shape, 99, np.float32), edge)
        assert kernel(*arrays, out) == 0
        scale = float(np.max(np.abs(expected), initial=1.0))
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5 * scale)
