"""Compiled functions: what options and arguments decide."""

from __future__ import annotations

import numpy as np

import tcomp

GROUPED = """
def grouped[groups=1](I: f32[N, C, L], F: f32[O, C//groups, R]) -> Y: f32[N, O, L - R + 1]:
    Y[n, o, x] = sum[c, r](I[n, o//(O//groups)*(C//groups) + c, x + r] * F[o, c, r])
"""


def test_shapes_may_depend_on_parameters() -> None:
    f = tcomp.compile(GROUPED, params={"groups": 2})
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, 4, 8)).astype(np.float32)
    taps = rng.standard_normal((6, 2, 3)).astype(np.float32)
    expected = np.zeros((1, 6, 6))
    for o in range(6):
        for x in range(6):
            part = image[0, o // 3 * 2 : o // 3 * 2 + 2, x : x + 3]
            expected[0, o, x] = np.sum(part.astype(float) * taps[o])
    np.testing.assert_allclose(f(image, taps), expected, rtol=1e-4, atol=1e-5)


def test_constants_are_folded_and_handed_to_every_call() -> None:
    text = """
def scaled(X: f32[M, K], W: f32[K, N], s: f32[N]) -> Y: f32[M, N]:
    V[k, j] = W[k, j] * s[j]
    Y[i, j] = sum[k](X[i, k] * V[k, j])
"""
    rng = np.random.default_rng(1)
    x, w, s = (rng.standard_normal(n).astype(np.float32) for n in ((3, 5), (5, 7), (7,)))
    f = tcomp.compile(text, constants={"W": w, "s": s})
    for _ in range(2):
        np.testing.assert_allclose(f(x), x @ (w * s), rtol=1e-4, atol=1e-5)
    again = tcomp.compile(text, constants={"W": 2 * w, "s": s})
    np.testing.assert_allclose(again(x), x @ (2 * w * s), rtol=1e-4, atol=1e-5)


def test_strict_accuracy_keeps_the_order_as_written() -> None:
    text = """
def chain(A: f32[N, N], B: f32[N, N], v: f32[N]) -> y: f32[N]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
"""
    a = np.eye(8, dtype=np.float32)
    f = tcomp.compile(text, accuracy="strict")
    assert tcomp.check(f, a, a, np.ones(8, np.float32))
    assert not any(s.rule == "factor pull-out" for s in f.derivation.steps)


def test_the_accuracy_that_was_met_is_reported() -> None:
    text = """
def distances(X: f32[M, D], C: f32[K, D]) -> Q: f32[M, K]:
    Q[m, k] = sum[d]((X[m, d] - C[k, d]) ** 2)
"""
    x, c = (
        np.random.default_rng(0).standard_normal(s).astype(np.float32)
        for s in ((512, 64), (64, 64))
    )
    fast, standard = (tcomp.compile(text, accuracy=a, tune="off") for a in ("fast", "standard"))
    assert tcomp.check(fast, x, c) and tcomp.check(standard, x, c)
    assert "the bound of 'fast' is met" in str(fast.explain())
    assert fast.derivation.accuracy.bound == "fast"
    assert not any(step.rule == "expansion" for step in standard.derivation.steps)
