"""Ranges that guards allow: tightened and relaxed to just these, each side by itself."""

from __future__ import annotations

import numpy as np
import pytest

from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Definition, Program, Read, Reduce, postorder
from tcomp.passes.derivation import RULES
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.verification import verify_equal
from tests.unit.programs import random_inputs, written


def applied(name: str, text: str) -> Program | None:
    """What a rule makes of a program; it computes the same."""
    (rule,) = (r for r in RULES if r.name == name)
    source = normal_form(written(text))
    results = [p for _, p in rule.apply(source)]
    if not results:
        return None
    (result,) = results
    assert verify_equal(source, result).equal
    if all(int(n) < 40 for t in source.inputs for n in t.shape):
        arrays = random_inputs(source)
        for want, got in zip(interpret(source, arrays), interpret(result, arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    return result


def ranges(definition: Definition, names: str) -> list[tuple[int, int]]:
    return [
        (it.lo.constant, it.hi.constant)
        for name in names.split()
        for it in definition.iters
        if it.name == name
    ]


# What is sure to be 0 outside the new ranges.
TIGHTENED = {
    "conv3x3, skewed: 0:9 to 1:8": (
        "def f(A: f32[4, 7], K: f32[3, 4]) -> T: f32[3, 9]:\n"
        "    T[r, t] = sum[c]((A[c, t - 1] else 0.0) * K[r, c])\n",
        "t", [(1, 8)],
    ),
    "conv1x7, skewed: 0:13 to 3:10": (
        "def f(A: f32[4, 7], K: f32[7, 4]) -> T: f32[7, 13]:\n"
        "    T[s, t] = sum[c]((A[c, t - 3] else 0.0) * K[s, c])\n",
        "t", [(3, 10)],
    ),
    "transposed convolution, skewed: 0:4 to 1:3": (
        "def f(A: f32[5, 2], K: f32[5, 3]) -> T: f32[3, 4]:\n"
        "    T[o, t] = sum[f]((A[f, t - 1] else 0.0) * K[f, o])\n",
        "t", [(1, 3)],
    ),
    "conv9x9 in 3x3 windows: 0:230 to 2:228": (
        "def f(A: f32[1, 224, 224], K: f32[1, 3, 3]) -> T: f32[230, 230]:\n"
        "    T[j, l] = sum[c, a, b]((A[c, j + a - 4, l + b - 4] else 0.0) * K[c, a, b])\n",
        "j l", [(2, 228), (2, 228)],
    ),
    "padded behind only: 0:9 to 0:7": (
        "def f(A: f32[4, 7], K: f32[3, 4]) -> T: f32[3, 9]:\n"
        "    T[r, t] = sum[c]((A[c, t] else 0.0) * K[r, c])\n",
        "t", [(0, 7)],
    ),
    "padded in front only: 0:9 to 2:9": (
        "def f(A: f32[4, 7], K: f32[3, 4]) -> T: f32[3, 9]:\n"
        "    T[r, t] = sum[c]((A[c, t - 2] else 0.0) * K[r, c])\n",
        "t", [(2, 9)],
    ),
    "backwards: 0:9 to 2:9": (
        "def f(A: f32[4, 7], K: f32[3, 4]) -> T: f32[3, 9]:\n"
        "    T[r, t] = sum[c]((A[c, 8 - t] else 0.0) * K[r, c])\n",
        "t", [(2, 9)],
    ),
    "in steps: 0:9 to 1:5": (
        "def f(A: f32[4, 7], K: f32[3, 4]) -> T: f32[3, 9]:\n"
        "    T[r, t] = sum[c]((A[c, 2*t - 1] else 0.0) * K[r, c])\n",
        "t", [(1, 4)],
    ),
    "where two guards meet: 0:9 to 3:6": (
        "def f(A: f32[7], K: f32[6]) -> T: f32[9]:\n"
        "    T[t] = sum[c in 0:5]((A[t - 3] else 0.0) * (K[t] else 0.0) * c)\n",
        "t", [(3, 6)],
    ),
    "where two terms need both": (
        "def f(A: f32[4, 3], K: f32[4, 3]) -> T: f32[9]:\n"
        "    T[t] = sum[c]((A[c, t - 1] else 0.0) + (K[c, t - 4] else 0.0))\n",
        "t", [(1, 7)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TIGHTENED)
def test_a_range_shrinks_to_what_guards_let_through(name: str) -> None:
    text, names, wanted = TIGHTENED[name]
    result = applied("boundary tightening", text)
    assert result is not None
    made = next(iter(result.definitions()))
    assert ranges(made, names) == wanted
    last = list(result.definitions())[-1]
    assert isinstance(last.body, Read) and last.body.otherwise is not None


LOOSE = {
    "a guard with another value": "sum[c]((A[c, t - 1] else 1.0) * K[r, c])",
    "a term without a guard": "sum[c]((A[c, t - 1] else 0.0) * K[r, c] + K[r, c])",
    "a function that 0 does not pass": "sum[c](exp(A[c, t - 1] else 0.0) * K[r, c])",
    "a maximum": "max[c]((A[c, t - 1] else 0.0) * K[r, c])",
}


@pytest.mark.parametrize("name", LOOSE)
def test_a_range_stays_where_something_may_come_through(name: str) -> None:
    text = "def f(A: f32[4, 7], K: f32[3, 4]) -> T: f32[3, 9]:\n    T[r, t] = {body}\n"
    assert applied("boundary tightening", text.format(body=LOOSE[name])) is None


@pytest.mark.parametrize(("left", "right"), [(0, 2), (2, 0), (1, 1), (1, 3)])
def test_the_range_of_a_sum_shrinks_each_side_by_itself(left: int, right: int) -> None:
    n = 7 + left + right
    text = (
        f"def f(A: f32[7], B: f32[{n}]) -> y: f32:\n"
        f"    y = sum[t in 0:{n}]((A[t - {left}] else 0.0) * B[t])\n"
    )
    result = applied("sum boundary tightening", text)
    assert result is not None
    (total,) = (n for d in result.definitions() for n in postorder(d.body) if isinstance(n, Reduce))
    (it,) = total.iters
    assert (it.lo.constant, it.hi.constant) == (left, 7 + left)
    assert all(n.otherwise is None for n in postorder(total) if isinstance(n, Read))


@pytest.mark.parametrize(("taps", "wide"), [(5, {6}), (7, {8, 9})])
def test_windows_are_relaxed_by_zero_weights(taps: int, wide: set[int]) -> None:
    """To multiples of 2 and 3, both taps of the window at once; only the weights get a guard."""
    pad = taps // 2
    text = (
        f"def f(A: f32[2, 3, 12, 13], K: f32[4, 3, {taps}, {taps}]) -> Y: f32[2, 4, 12, 13]:\n"
        f"    Y[n, f, h, w] = sum[c, r, s]((A[n, c, h + r - {pad}, w + s - {pad}] else 0.0) * K[f, c, r, s])\n"
    )
    (rule,) = (r for r in RULES if r.name == "boundary relaxing")
    source = normal_form(written(text))
    found = set()
    for _, result in rule.apply(source):
        assert verify_equal(source, result).equal
        (definition,) = result.definitions()
        (total,) = (n for n in postorder(definition.body) if isinstance(n, Reduce))
        grown = {it.name: (it.lo.constant, it.hi.constant) for it in total.iters}
        assert grown["c"] == (0, 3)
        assert grown["r"] == grown["s"]
        found.add(grown["r"])
        reads = {n.tensor.name: n for n in postorder(total) if isinstance(n, Read)}
        assert [i.constant for i in reads["A"].index] == [0, 0, -pad, -pad]
        assert reads["K"].otherwise is not None
    assert found == {(0, n) for n in wide}


@pytest.mark.parametrize("taps", [4, 6, 9, 3, 2])
def test_windows_that_divide_stay(taps: int) -> None:
    text = (
        f"def f(A: f32[3, 12], K: f32[3, {taps}]) -> Y: f32[12]:\n"
        f"    Y[h] = sum[c, r]((A[c, h + r - 1] else 0.0) * K[c, r])\n"
    )
    assert applied("boundary relaxing", text) is None
