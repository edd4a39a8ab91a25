"""Winograd's lemma: equal over a field, exact matrices, right when run at odd sizes and in any layout."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import tcomp
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.passes import split_constants
from tcomp.passes.derivation.estimate import occurrence
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import Application
from tcomp.passes.derivation.rules import EIGHTHS
from tcomp.passes.derivation.toom_cook import toom_cook
from tcomp.passes.derivation.winograd import winograd
from tcomp.passes.verification import verify_equal
from tcomp.target import Target
from tests.unit.programs import random_inputs
from tests.unit.schedule_harness import NARROW, WIDE, agree

LEMMAS = {
    "F(2, 3)": winograd(toom_cook(2, 3, (0, 1, -1)), least_tiles=1),
    "F(4, 3)": winograd(toom_cook(4, 3, (0, *EIGHTHS)), least_tiles=1),
}
NCHW = "Y[n, o, y, x] = sum[c, r, s]((X[n, c, y + r - 1, x + s - 1] else 0) * K[o, c, r, s])"
NHWC = "Y[n, y, x, o] = relu(sum[r, s, c]((X[n, y + r - 1, x + s - 1, c] else 0) * K[r, s, c, o]))"
VALID = "Y[o, y in 0:A - 2, x in 0:B - 2] = sum[c, r, s](X[c, y + r, x + s] * K[o, c, r, s])"


def conv(text: str, *shapes: tuple[int, ...]) -> Program:
    x, k, y = (f"f32[{', '.join(map(str, s))}]" for s in shapes)
    body = text.replace("A", str(shapes[0][-2])).replace("B", str(shapes[0][-1]))
    source = f"def f(X: {x}, K: {k}) -> Y: {y}:\n    {body}\n"
    return tcomp.compile(source).stages().program


CASES = [
    (NCHW, (2, 4, 5, 7), (4, 4, 3, 3), (2, 4, 5, 7)),
    (NCHW, (1, 4, 8, 8), (4, 4, 3, 3), (1, 4, 8, 8)),
    (NHWC, (1, 5, 4, 4), (3, 3, 4, 4), (1, 5, 4, 4)),
    (VALID, (4, 9, 6), (4, 4, 3, 3), (4, 7, 4)),
    ("Y[o, x] = sum[c, r]((X[c, x + r - 1] else 0) * K[o, c, r])", (4, 11), (5, 4, 3), (5, 11)),
]


LONG_LEMMAS = {
    "F(2, 5)": winograd(toom_cook(2, 5, (0, *EIGHTHS)), least_tiles=1),
    "F(3, 4) twice": winograd(toom_cook(3, 4, (0, *EIGHTHS)), least_tiles=1, pieces=2),
}
FIVE = "Y[o, y, x] = sum[c, r, s]((X[c, y + r - 2, x + s - 2] else 0) * K[o, c, r, s])"
LINE = "Y[o, y, x] = sum[c, s](relu(X[c, y, x + s - 3] else 0) * K[o, c, s])"
INSIDE = "Y[y in 0:A - 6, o] = relu(sum[r, c](X[y + r, c] * K[r, c, o]))"
LONG_CASES = [
    ("F(2, 5)", FIVE, (4, 5, 7), (5, 4, 5, 5), (5, 5, 7)),
    ("F(2, 5)", LINE.replace("3", "2"), (4, 2, 9), (4, 4, 5), (4, 2, 9)),
    ("F(3, 4) twice", LINE, (4, 2, 11), (5, 4, 7), (5, 2, 11)),
    ("F(3, 4) twice", LINE, (4, 1, 12), (4, 4, 8), (4, 1, 12)),
    ("F(3, 4) twice", INSIDE, (13, 5), (7, 5, 4), (7, 4)),
]


# Windows that go backwards, and phases that move them: parity splits of transposed convolutions.
TURNED = "Y[o, y, x] = sum[c, r, s]((X[c, y - r + 1, x - s] else 0) * K[o, c, r, s])"
PHASES = (
    "Y[n, o, y, p, x, q] = sum[c in 0:4, r in 0:2, s in 0:2]"
    "((X[n, c, y + p - r, x + q - s] else 0) * K[c, o, 2*r + 1 - p, 2*s + 1 - q])"
)
LAST = "Y[n, x, p, o] = relu(sum[r in 0:2, c in 0:5]((X[n, x + p - r - 1, c] else 0) * K[3*r + 2 - p, c, o]))"
INSIDE_PHASES = (
    "Y[x in 0:A - 3, p in 0:2, o] = sum[r in 0:2, c in 0:5](X[x + p + r, c] * K[2*r + p, c, o])"
)
PHASED = {
    "F(2, 2)": winograd(toom_cook(2, 2, (1, -1)), least_tiles=1),
    "F(3, 2)": winograd(toom_cook(3, 2, (0, 1, -1)), least_tiles=1),
    "F(4, 2)": winograd(toom_cook(4, 2, EIGHTHS), least_tiles=1),
}
PHASED_CASES = [
    (TURNED, (4, 5, 7), (5, 4, 2, 2), (5, 5, 7)),
    (PHASES, (1, 4, 4, 6), (4, 5, 4, 4), (1, 5, 4, 2, 6, 2)),
    (PHASES, (2, 4, 5, 3), (4, 4, 4, 4), (2, 4, 5, 2, 3, 2)),
    (LAST, (3, 7, 5), (6, 5, 4), (3, 7, 3, 4)),
    (INSIDE_PHASES, (13, 5), (4, 5, 4), (10, 2, 4)),
]


@pytest.mark.parametrize("name", ["F(2, 2)", "F(3, 2)"])
@pytest.mark.parametrize("case", PHASED_CASES, ids=range(len(PHASED_CASES)))
def test_phases_are_equal_and_run(name: str, case: tuple[str, tuple[int, ...]]) -> None:
    _is_equal_and_runs(PHASED[name], case, NARROW if name == "F(2, 2)" else WIDE)


# Strides: taps come in classes, of which some lack the last tap.
STRIDED = "Y[n, o, y, x] = sum[c, r, s]((X[n, c, 2*y + r - 1, 2*x + s] else 0) * K[o, c, r, s])"
STRIDED_LAST = (
    "Y[n, y, x, o] = relu(sum[r, s, c]((X[n, 2*y + r - 1, 2*x + s - 1, c] else 0) * K[r, s, c, o]))"
)
BY_THREE = "Y[o, x] = sum[c, r]((X[c, 3*x + r - 2] else 0) * K[o, c, r])"
BACK = "Y[o, x] = sum[c, r]((X[c, 2*x - r + 2] else 0) * K[o, c, r])"
GROUPED = (
    "Y[g, o, y, x] = sum[c, r, s]((X[g, c, 2*y + r - 1, 2*x + s - 1] else 0) * K[g, o, c, r, s])"
)
STRIDED_INSIDE = "Y[y in 0:(A - 3)//2 + 1, o] = sum[r, c](X[2*y + r, c] * K[r, c, o])"
ONE_AXIS = "Y[o, y, x] = sum[c, r, s]((X[c, y + r - 1, 2*x + s - 1] else 0) * K[o, c, r, s])"
SHORT = {**PHASED, "F(2, 3)": LEMMAS["F(2, 3)"]}
STRIDED_CASES = [
    ("F(2, 2)", STRIDED, (1, 4, 8, 9), (5, 4, 3, 3), (1, 5, 4, 4)),
    ("F(2, 2)", STRIDED, (2, 4, 7, 11), (4, 4, 3, 3), (2, 4, 3, 5)),
    ("F(2, 2)", STRIDED, (1, 4, 8, 9), (4, 4, 4, 4), (1, 4, 4, 3)),
    ("F(2, 2)", STRIDED, (1, 4, 8, 10), (4, 4, 3, 4), (1, 4, 4, 4)),
    ("F(2, 2)", STRIDED_LAST, (2, 7, 9, 5), (3, 3, 5, 4), (2, 4, 5, 4)),
    ("F(2, 2)", BY_THREE, (4, 16), (5, 4, 4), (5, 5)),
    ("F(2, 2)", BY_THREE, (4, 17), (5, 4, 5), (5, 6)),
    ("F(2, 2)", BACK, (4, 9), (5, 4, 3), (5, 5)),
    ("F(2, 2)", GROUPED, (3, 4, 7, 8), (3, 4, 4, 3, 3), (3, 4, 4, 4)),
    ("F(2, 2)", STRIDED_INSIDE, (13, 5), (3, 5, 4), (6, 4)),
    ("F(2, 2)", ONE_AXIS, (4, 5, 9), (4, 4, 3, 3), (4, 5, 5)),
    ("F(3, 2)", STRIDED, (1, 4, 8, 10), (5, 4, 4, 4), (1, 5, 4, 4)),
    ("F(3, 2)", STRIDED_INSIDE, (13, 5), (3, 5, 4), (6, 4)),
    ("F(4, 2)", STRIDED_INSIDE, (17, 5), (3, 5, 4), (8, 4)),
    ("F(4, 2)", BY_THREE, (4, 17), (5, 4, 5), (5, 6)),
    ("F(2, 3)", STRIDED, (1, 4, 9, 10), (4, 4, 5, 5), (1, 4, 4, 3)),
    ("F(2, 3)", BACK, (4, 11), (5, 4, 6), (5, 5)),
]


@pytest.mark.parametrize("name, text, image, filters, result", STRIDED_CASES)
def test_strides_are_equal_and_run(
    name: str, text: str, image: tuple[int, ...], filters: tuple[int, ...], result: tuple[int, ...]
) -> None:
    _is_equal_and_runs(SHORT[name], (text, image, filters, result))


def test_zeros_of_shorter_classes_are_not_multiplied() -> None:
    """Of 3 taps with stride 2 one class has two and one has one: 5 products for 2 outputs, not 6."""
    text = "Y[o, x] = sum[c, r](X[c, 2*x + r] * K[o, c, r])"
    source = normal_form(conv(text, (4, 17), (4, 4, 3), (4, 8)))
    ((_, derived),) = PHASED["F(2, 2)"](source)
    found = [o for o in map(occurrence, normal_form(derived).definitions()) if o is not None]
    assert sum(o.products for o in found) == 4 * 4 * 4 * 5


@pytest.mark.parametrize("name, text, image, filters, result", LONG_CASES)
def test_longer_filters_are_equal_and_run(
    name: str, text: str, image: tuple[int, ...], filters: tuple[int, ...], result: tuple[int, ...]
) -> None:
    _is_equal_and_runs(LONG_LEMMAS[name], (text, image, filters, result))


@pytest.mark.parametrize("name", sorted(LEMMAS))
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_lemma_is_equal_and_runs(name: str, case: tuple[str, tuple[int, ...]]) -> None:
    _is_equal_and_runs(LEMMAS[name], case, NARROW if name == "F(2, 3)" else WIDE)


def _is_equal_and_runs(
    lemma: Application, case: tuple[str, tuple[int, ...]], target: Target = WIDE
) -> None:
    source = normal_form(conv(*case))
    ((_, derived),) = lemma(source)
    derived = normal_form(derived)
    assert verify_equal(source, derived).equal
    inputs = random_inputs(source)
    for a, b in zip(interpret(source, inputs), interpret(derived, inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    agree(derived, inputs, target, tolerance=1e-4)


@pytest.mark.parametrize("outputs", [2, 3, 4])
@pytest.mark.parametrize("taps", [2, 3, 5])
def test_matrices_are_exact(outputs: int, taps: int) -> None:
    points = [Fraction(n, 3) for n in range(outputs + taps - 2)]
    made = toom_cook(outputs, taps, points)
    d = [Fraction(7 * n * n - 3, 5) for n in range(made.products)]
    w = [Fraction(2 * n + 1, 7) for n in range(taps)]
    data = [sum((c * v for c, v in zip(row, d, strict=True)), Fraction(0)) for row in made.data]
    weights = [sum((c * v for c, v in zip(row, w, strict=True)), Fraction(0)) for row in made.taps]
    for i, row in enumerate(made.result):
        got = sum((c * a * b for c, a, b in zip(row, data, weights, strict=True)), Fraction(0))
        assert got == sum(d[i + k] * w[k] for k in range(taps))


@pytest.mark.parametrize(
    "text",
    [
        "Y[o, x] = sum[c, r]((X[c, 2*x + r - 1] else 0) * K[o, c, r])",
        "Y[o, x] = sum[c, r]((X[c, x + 2*r - 1] else 0) * K[o, c, r])",
        "Y[o, x] = max[c, r]((X[c, x + r - 1] else 0) * K[o, c, r])",
    ],
)
def test_what_is_no_such_convolution_stays(text: str) -> None:
    source = normal_form(conv(text, (4, 11), (5, 4, 3), (5, 11)))
    assert not [p for lemma in LEMMAS.values() for p in lemma(source)]


@pytest.mark.parametrize("accuracy", ["standard", "fast"])
def test_filters_are_transformed_once(accuracy: str) -> None:
    source = (
        "def f(X: f32[16, 32, 32], K: f32[16, 16, 3, 3]) -> Y: f32[16, 32, 32]:\n"
        "    Y[o, y, x] = sum[c, r, s]((X[c, y + r - 1, x + s - 1] else 0) * K[o, c, r, s])\n"
    )
    ((_, derived),) = LEMMAS["F(2, 3)" if accuracy == "standard" else "F(4, 3)"](
        normal_form(tcomp.compile(source).stages().program)
    )
    once, called = split_constants(normal_form(derived), {"K"})
    assert once is not None
    assert [t.name for t in called.inputs] == ["X", "Y_taps"]
