"""What must not be derived: through functions, past the wrap of integers, against `strict`, over borders."""

from __future__ import annotations

import numpy as np
import pytest

from tcomp.ir.tensor.interpreter import interpret
from tcomp.passes.derivation import RULES
from tcomp.passes.verification import verify_equal
from tests.derivation.forms import concluded, functions, searched, work
from tests.unit.programs import random_inputs, written

THROUGH = (
    "def f(X: f32[{m}, {k}], W: f32[{k}, {n}], V: f32[{n}, {p}]) -> Y: f32[{m}, {p}]:\n"
    "    H[i, j] = sum[k](X[i, k] * W[k, j])\n    Y[i, q] = sum[j]({act} * V[j, q])\n"
)
INTEGERS = {
    "a sum that wraps before it is divided": (
        "def f(X: i32[7, 5], W: i32[5, 3]) -> y: i32[7]:\n"
        "    H[i, j] = sum[k](X[i, k] * W[k, j])\n    y[i] = sum[j](H[i, j] // 3)\n"
    ),
    "a product that wraps before it is compared": (
        "def f(X: i32[7], Z: i32[7], g: i32[7]) -> y: i32[7]:\n"
        "    y[i] = maximum(X[i] * g[i], Z[i] * g[i])\n"
    ),
    "a sum of bytes that wraps before it is widened": (
        "def f(X: i8[7, 9], w: i32[7]) -> y: i32[9]:\n"
        "    s[i, j] = X[i, j] + X[i, j]\n    y[j] = sum[i](cast(i32, s[i, j]) * w[i])\n"
    ),
    "integers in another order": (
        "def f(A: i32[6, 5], B: i32[5, 7], v: i32[7]) -> y: i32[6]:\n"
        "    C[i, j] = sum[k](A[i, k] * B[k, j])\n    y[i] = sum[j](C[i, j] * v[j])\n"
    ),
}
REASSOCIATED = {
    "a chain": (
        "def f(A: f32[64, 64], B: f32[64, 64], v: f32[64]) -> y: f32[64]:\n"
        "    C[i, j] = sum[k](A[i, k] * B[k, j])\n    y[i] = sum[j](C[i, j] * v[j])\n"
    ),
    "a square": (
        "def f(X: f32[64, 8], C: f32[32, 8]) -> Q: f32[64, 32]:\n"
        "    Q[n, k] = sum[d]((X[n, d] - C[k, d]) ** 2)\n"
    ),
    "a window of five that is relaxed": (
        "def f(I: f32[4, 30], F: f32[2, 4, 5]) -> Y: f32[2, 30]:\n"
        "    Y[o, x] = sum[c, r]((I[c, x + r - 2] else 0) * F[o, c, r])\n"
    ),
    "shared sums": (
        "def f(X: f32[64, 64], Y: f32[64, 64], W: f32[64, 64]) -> Z: f32[64, 64]:\n"
        "    Z[i, j] = sum[k](X[i, k] * W[k, j]) + sum[k](Y[i, k] * W[k, j])\n"
    ),
}
UNEVEN = {
    "a dilation that does not divide the range": (
        "def f(I: f32[3, {n}], F: f32[2, 3, 3]) -> Y: f32[2, {n}]:\n"
        "    Y[o, x] = sum[c, r]((I[c, x + 2*r - 2] else 0.0) * F[o, c, r])\n"
    ),
    "a stride that does not divide the taps": (
        "def f(I: f32[3, 5], F: f32[3, 2, {n}]) -> Y: f32[2, 12 + {n}]:\n"
        "    Y[o, y] = sum[c, r](where((y + 1 - r) % 3 == 0, (I[c, (y + 1 - r)//3] else 0.0), 0.0)"
        " * F[c, o, r])\n"
    ),
    "a band whose blocks do not divide the rows": (
        "def f(A: f32[{n}, 4], B: f32[{n}, 4]) -> Y: f32[{n}, 17]:\n"
        "    Y[m, w] = sum[k](A[m, k] * (B[m + w - 8, k] else 0.0))\n"
    ),
}


@pytest.mark.parametrize(
    ("act", "name"),
    [
        ("relu(H[i, j])", "relu"),
        ("exp(H[i, j])", "exp"),
        ("abs(H[i, j])", "abs"),
        ("sqrt(H[i, j])", "sqrt"),
    ],
)
@pytest.mark.parametrize(("m", "k", "n", "p"), [(512, 512, 512, 4), (211, 257, 509, 3)])
def test_nothing_is_pulled_through_a_function(
    act: str, name: str, m: int, k: int, n: int, p: int
) -> None:
    """Without the function the cheap product comes first."""
    found = concluded(THROUGH.format(m=m, k=k, n=n, p=p, act=act), accuracy="fast")
    assert functions(found.program).count(name) == 1
    assert work(found.program) >= 2 * (m * k * n + m * n * p)
    free = concluded(THROUGH.format(m=m, k=k, n=n, p=p, act="H[i, j]"), accuracy="fast")
    assert work(free.program) < 2.1 * (k * n * p + m * k * p)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_wrap_as_they_were_written(name: str) -> None:
    """All that the search reaches gives the same bits on numbers of all sizes."""
    found = searched(INTEGERS[name], 60)
    rng = np.random.default_rng(7)
    arrays = {}
    for tensor in found.source.inputs:
        limits = np.iinfo(tensor.dtype.numpy)
        shape = tuple(int(n) for n in tensor.shape)
        arrays[tensor.name] = rng.integers(limits.min, limits.max, shape, tensor.dtype.numpy)
    wanted = interpret(found.source, arrays)
    for state in found.explored:
        for a, b in zip(wanted, interpret(state.program, arrays), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", REASSOCIATED)
def test_strict_changes_no_rounding(name: str) -> None:
    changing = {rule.name for rule in RULES if rule.reassociates}
    strict = searched(REASSOCIATED[name], 100, strict=True)
    assert not changing & set().union(*(s.rules() for s in strict.explored))
    usual = searched(REASSOCIATED[name], 100)
    assert changing & set().union(*(s.rules() for s in usual.explored))


@pytest.mark.parametrize("name", UNEVEN)
@pytest.mark.parametrize("n", [1, 7, 11, 35])
def test_uneven_parts_are_guarded(name: str, n: int) -> None:
    found = searched(UNEVEN[name].format(n=n), 60)
    arrays = random_inputs(found.source)
    wanted = interpret(found.source, arrays)
    for state in found.explored:
        assert verify_equal(found.source, state.program).equal
        for a, b in zip(wanted, interpret(state.program, arrays), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)


def test_a_read_that_data_decide_stays_where_it_is_checked() -> None:
    text = (
        "def f(I: f32[9, 4], ix: i32[8], F: f32[4, 3]) -> Y: f32[8, 3]:\n"
        "    Y[y, o] = sum[c](I[ix[y], c] * F[c, o]) * cast(f32, y % 2)\n"
    )
    source = written(text)
    for state in searched(text, 60).explored:
        inputs = {**random_inputs(source), "ix": np.full(8, 9, np.int32)}
        with pytest.raises(IndexError):
            interpret(state.program, inputs)
