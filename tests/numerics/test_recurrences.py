"""Recurrences whose steps are matrix products, against NumPy loops in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tcomp

LSTM = """
def lstm(X: f32[T, B, I], W: f32[4, H, I], U: f32[4, H, H]) -> (h: f32[T, B, H], c: f32[T, B, H]):
    A[t, b, q, j] = sum[k](X[t, b, k] * W[q, j, k])
    scan[t]:
        g[t, b, q, j] = A[t, b, q, j] + sum[m]((h[t-1, b, m] else 0) * U[q, j, m])
        c[t, b, j] = sigmoid(g[t, b, 1, j]) * (c[t-1, b, j] else 0) + sigmoid(g[t, b, 0, j]) * tanh(g[t, b, 2, j])
        h[t, b, j] = sigmoid(g[t, b, 3, j]) * tanh(c[t, b, j])
"""
RNN = """
def rnn(x: f32[B, T, H], U: f32[H, H], h0: f32[B, H]) -> h: f32[B, T, H]:
    scan[t] h[b, t, j] = tanh(x[b, t, j] + sum[m]((h[b, t-1, m] else h0[b, m]) * U[m, j]))
"""
SIZES = [(1, 1, 3, 2), (3, 5, 7, 8), (2, 16, 33, 9), (4, 12, 64, 64)]
THREADS = pytest.mark.parametrize("threads", [1, 2])


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@THREADS
@pytest.mark.parametrize("steps, batch, hidden, inputs", SIZES)
def test_lstm(steps: int, batch: int, hidden: int, inputs: int, threads: int) -> None:
    rng = np.random.default_rng(steps)
    x = rng.standard_normal((steps, batch, inputs), dtype=np.float32)
    w, u = (0.2 * rng.standard_normal((4, hidden, n), dtype=np.float32) for n in (inputs, hidden))
    got_h, got_c = tcomp.compile(LSTM, threads=threads)(x, w, u)
    h, c = np.zeros((batch, hidden)), np.zeros((batch, hidden))
    for t in range(steps):
        g = np.einsum("bk,qjk->bqj", x[t].astype(float), w) + np.einsum("bm,qjm->bqj", h, u)
        c = sigmoid(g[:, 1]) * c + sigmoid(g[:, 0]) * np.tanh(g[:, 2])
        h = sigmoid(g[:, 3]) * np.tanh(c)
        np.testing.assert_allclose(got_h[t], h, atol=2e-5)
        np.testing.assert_allclose(got_c[t], c, atol=2e-5)


@THREADS
@pytest.mark.parametrize("steps, batch, hidden, inputs", SIZES)
def test_rnn_with_an_initial_state(
    steps: int, batch: int, hidden: int, inputs: int, threads: int
) -> None:
    rng = np.random.default_rng(steps)
    x = rng.standard_normal((batch, steps, hidden), dtype=np.float32)
    u = 0.2 * rng.standard_normal((hidden, hidden), dtype=np.float32)
    h0 = rng.standard_normal((batch, hidden), dtype=np.float32)
    got = tcomp.compile(RNN, threads=threads)(x, u, h0)
    h = h0.astype(float)
    for t in range(steps):
        h = np.tanh(x[:, t] + h @ u)
        np.testing.assert_allclose(got[:, t], h, atol=2e-5)


def test_products_of_the_state_are_contractions() -> None:
    f = tcomp.compile(LSTM, sizes={"T": 3, "B": 8, "I": 16, "H": 32}, threads=1)
    f(*(np.zeros(s, np.float32) for s in ((3, 8, 16), (4, 32, 16), (4, 32, 32))))
    assert [t.kind for t in f.schedule] == ["contraction", "recurrence"]
