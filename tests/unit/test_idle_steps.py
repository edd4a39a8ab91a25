"""Steps of scans without effect: which are found, and which must not be."""

from __future__ import annotations

import pytest

import tcomp
from tcomp.ir.tensor.idle import active
from tcomp.ir.tensor.nodes import Scan

RUNNING = """
def f(X: f32[N, I, S]) -> Y: f32[S]:
    scan[b]:
        L[b, i, s] = where({condition}, X[b, i, s] * 2, {otherwise})
        n[b, s] = {step}
    Y[s] = n[N - 1, s]
"""
MAXIMUM = "maximum(n[b - 1, s] else -inf, max[i](L[b, i, s]))"
SUM = "(n[b - 1, s] else 0) + sum[i](L[b, i, s])"


def steps(condition: str, otherwise: str, step: str) -> tuple[int, int]:
    text = RUNNING.format(condition=condition, otherwise=otherwise, step=step)
    program = tcomp.compile(text, sizes={"N": 9, "I": 4, "S": 10}).stages().program
    (scan,) = (s for s in program.body if isinstance(s, Scan))
    first, stop = active(scan.definitions, scan.iter)
    return int(first), int(stop)


@pytest.mark.parametrize(
    ("condition", "want"),
    [
        ("b * I + i <= s", (0, 3)),  # position 9 at most
        ("b * I + i < s + 4", (0, 4)),  # position 12 is the last
        ("s >= b * I + i and b * I + i > 3", (1, 3)),
        ("b * I + i >= s + 8", (2, 9)),
        ("b * I + i >= 100", (9, 9)),  # none
    ],
)
def test_maxima(condition: str, want: tuple[int, int]) -> None:
    assert steps(condition, "-inf", MAXIMUM) == want


def test_sums_are_left_alone_by_zeros_only() -> None:
    assert steps("b * I + i <= s", "0", SUM) == (0, 3)
    assert steps("b * I + i <= s", "1", SUM) == (0, 9)


def test_what_decays_does_not_stay() -> None:
    decaying = "(n[b - 1, s] else 0) * 0.5 + sum[i](L[b, i, s])"
    assert steps("b * I + i <= s", "0", decaying) == (0, 9)


def test_a_maximum_with_something_else_does_not_stay() -> None:
    assert steps("b * I + i <= s", "0", MAXIMUM) == (0, 9)
