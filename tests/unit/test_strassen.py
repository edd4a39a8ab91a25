"""Strassen's lemma: the published identity, equal over a field, right when run, and refused where it must be."""

from __future__ import annotations

from itertools import product as pairs

import numpy as np
import pytest

import tcomp
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.passes.accuracy import measure
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.strassen import LEFT, QUARTERS, RESULT, RIGHT, strassen
from tcomp.passes.verification import verify_equal
from tests.unit.programs import random_inputs
from tests.unit.schedule_harness import NARROW, WIDE, agree

PLAIN = "C[i, j] = sum[k](A[i, k] * B[k, j])"
TURNED = "C[j, i] = relu(sum[k](A[k, i] * B[j, k]) + b[i])"
BATCHED = "C[n, i, j] = sum[m, k](A[n, i, m, k] * B[k, j, m])"


def program(line: str, **shapes: tuple[int, ...]) -> Program:
    types = {name: f"f32[{', '.join(map(str, shape))}]" for name, shape in shapes.items()}
    result = types.pop("C")
    arguments = ", ".join(f"{name}: {type_}" for name, type_ in types.items())
    source = f"def f({arguments}) -> C: {result}:\n    {line}\n"
    return normal_form(tcomp.compile(source).stages().program)


CASES = {
    "plain": program(PLAIN, A=(8, 12), B=(12, 20), C=(8, 20)),
    "large": program(PLAIN, A=(44, 68), B=(68, 52), C=(44, 52)),
    "turned, with an epilogue": program(TURNED, A=(12, 8), B=(16, 12), b=(8,), C=(16, 8)),
    "batched, two summed": program(BATCHED, A=(3, 8, 5, 12), B=(12, 4, 5), C=(3, 8, 4)),
}


def test_the_matrices_multiply_two_by_two() -> None:
    """Brent's equations: the coefficient of each pair of quarters in each quarter of the result."""
    numbered = tuple(enumerate(QUARTERS))
    for (r, (i, j)), (p, (a, k)), (q, (m, b)) in pairs(numbered, repeat=3):
        total = sum(x[p] * y[q] * z for x, y, z in zip(LEFT, RIGHT, RESULT[r], strict=True))
        assert total == int(k == m and a == i and b == j)


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("name", sorted(CASES))
def test_the_lemma_is_equal_and_runs(name: str, levels: int) -> None:
    source = CASES[name]
    ((_, derived),) = strassen(levels, least=4)(source)
    derived = normal_form(derived)
    assert verify_equal(source, derived).equal
    inputs = random_inputs(source)
    for a, b in zip(interpret(source, inputs), interpret(derived, inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    agree(derived, inputs, NARROW if levels == 1 else WIDE, tolerance=1e-4)


def test_one_level_keeps_standard_accuracy_and_two_do_not() -> None:
    source = program(PLAIN, A=(256, 256), B=(256, 256), C=(256, 256))
    found = [measure(source, normal_form(next(strassen(n, least=4)(source))[1])) for n in (1, 2)]
    assert [m is not None and m.allows("standard") for m in found] == [True, False]
    assert all(m is not None and m.allows("fast") for m in found)


@pytest.mark.parametrize(
    ("line", "shapes"),
    [
        (PLAIN, {"A": (8, 7), "B": (7, 8), "C": (8, 8)}),
        (PLAIN, {"A": (6, 8), "B": (8, 2), "C": (6, 2)}),
        ("C[i, j] = max[k](A[i, k] * B[k, j])", {"A": (8, 8), "B": (8, 8), "C": (8, 8)}),
        ("C[i, j] = sum[k](A[i, k] * exp(B[k, j]))", {"A": (8, 8), "B": (8, 8), "C": (8, 8)}),
        ("C[i, j] = sum[k](A[i, k] * B[i, j])", {"A": (8, 8), "B": (8, 8), "C": (8, 8)}),
    ],
    ids=["odd", "narrow", "a maximum", "an operand to compute", "no product of matrices"],
)
def test_what_is_no_such_product_stays(line: str, shapes: dict[str, tuple[int, ...]]) -> None:
    assert not list(strassen(1, least=4)(program(line, **shapes)))


def test_large_products_take_it_and_strict_does_not() -> None:
    source = (
        "def f(A: f32[2048, 2048], B: f32[2048, 2048]) -> C: f32[2048, 2048]:\n    " + PLAIN + "\n"
    )
    rules = {
        accuracy: [s.rule for s in tcomp.compile(source, accuracy=accuracy).derivation.steps]
        for accuracy in ("strict", "standard")
    }
    assert rules == {"strict": [], "standard": ["Strassen"]}
