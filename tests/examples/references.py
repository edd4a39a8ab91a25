"""What the programs of examples/ mean, in plain NumPy and SciPy, float64 inside.

Each function takes the program's inputs in signature order and returns its results. `SMALL` has sizes for
tests, odd and prime where the program allows; floats are compared at the tolerance given there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import signal, special
from scipy import stats as distributions

Array = Any


@dataclass(frozen=True, slots=True)
class Case:
    """One example: small sizes, parameters the reference assumes, and the largest error allowed,
    relative to the largest magnitude of the result."""

    reference: Callable[..., tuple[Array, ...]]
    sizes: dict[str, int]
    tolerance: float = 1e-5


def _wide(*arrays: Array) -> tuple[Array, ...]:
    return tuple(a.astype(np.float64) for a in arrays)


def linear_gelu(X: Array, W: Array, b: Array) -> tuple[Array, ...]:
    X, W, b = _wide(X, W, b)
    H = X @ W + b
    return (H * distributions.norm.cdf(H),)


def _correlate(image: Array, kernel: Array) -> Array:
    """Valid cross-correlation, summed over channels: (C, H, W) with (C, R, S)."""
    return sum(signal.correlate2d(i, k, mode="valid") for i, k in zip(image, kernel, strict=True))


def _convolve_same(images: Array, filters: Array) -> Array:
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.stack([np.stack([_correlate(i, f) for f in filters]) for i in padded])


def conv_block(
    I: Array, F: Array, gain: Array, bias: Array, center: Array, var: Array
) -> tuple[Array, ...]:
    I, F, gain, bias, center, var = _wide(I, F, gain, bias, center, var)
    A = _convolve_same(I, F)
    column = (slice(None), None, None)
    Y = (A - center[column]) / np.sqrt(var[column] + 1e-5) * gain[column] + bias[column]
    return (np.maximum(Y, 0),)


def softmax(X: Array) -> tuple[Array, ...]:
    return (special.softmax(X.astype(np.float64), axis=1),)


def layer_norm(X: Array, gain: Array, bias: Array) -> tuple[Array, ...]:
    X, gain, bias = _wide(X, gain, bias)
    centred = X - X.mean(axis=1, keepdims=True)
    return (centred / np.sqrt(X.var(axis=1, keepdims=True) + 1e-5) * gain + bias,)


def causal_attention(Q: Array, K: Array, V: Array) -> tuple[Array, ...]:
    Q, K, V = _wide(Q, K, V)
    heads = []
    for q, k, v in zip(Q, K, V, strict=True):
        scores = q @ k.T / np.sqrt(q.shape[1])
        scores[np.triu_indices(len(q), 1)] = -np.inf
        heads.append(special.softmax(scores, axis=1) @ v)
    return (np.stack(heads),)


def embedding_mean_pool(E: Array, ids: Array) -> tuple[Array, ...]:
    rows = []
    for sentence in ids:
        words = E[sentence[sentence != 0]].astype(np.float64)
        rows.append(words.sum(axis=0) / max(len(words), 1))
    return (np.stack(rows),)


def jacobi(U: Array) -> tuple[Array, ...]:
    U = U.astype(np.float64)
    kernel = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4
    for _ in range(4):
        V = U.copy()
        V[1:-1, 1:-1] = signal.convolve2d(U, kernel, mode="valid")
        U = V
    return (U,)


def lru(r: Array, x: Array, h0: Array) -> tuple[Array, ...]:
    r, x, h = _wide(r, x, h0)
    out = np.empty_like(x)
    for t, (gate, value) in enumerate(zip(special.expit(r), x, strict=True)):
        h = gate * h + (1 - gate) * value
        out[t] = h
    return (out,)


def lstm(X: Array, W: Array, U: Array, b: Array) -> tuple[Array, ...]:
    X, W, U, b = _wide(X, W, U, b)
    h = c = np.zeros((X.shape[1], W.shape[1]))
    hs, cs = [], []
    for x in X:
        i, f, g, o = (x @ W[q].T + h @ U[q].T + b[q] for q in range(4))
        c = special.expit(f) * c + special.expit(i) * np.tanh(g)
        h = special.expit(o) * np.tanh(c)
        hs.append(h)
        cs.append(c)
    return np.stack(hs), np.stack(cs)


def tensor_train(X: Array, F: Array, G: Array, H: Array, b: Array) -> tuple[Array, ...]:
    X, F, G, H, b = _wide(X, F, G, H, b)
    weights = np.tensordot(np.tensordot(F, G, 1), H, 1)  # i l j m k o
    return (np.tensordot(X, weights, ((1, 2, 3), (0, 2, 4))) + b,)


def low_rank(X: Array, W: Array, A: Array, B: Array) -> tuple[Array, ...]:
    X, W, A, B = _wide(X, W, A, B)
    return (X @ W + 2.0 * (X @ A) @ B,)


def matrix_chain(A: Array, B: Array, v: Array) -> tuple[Array, ...]:
    A, B, v = _wide(A, B, v)
    return (A @ (B @ v),)


def int8_matmul(X: Array, W: Array, sx: Array, sw: Array) -> tuple[Array, ...]:
    total = X.astype(np.int64) @ W.astype(np.int64)
    return total * np.outer(sx, sw).astype(np.float64), total.astype(np.int32)


def kmeans_assignment(X: Array, C: Array) -> tuple[Array, ...]:
    distances = np.array([[((x - c) ** 2).sum() for c in C] for x in X])
    return distances.argmin(axis=1), distances.min(axis=1)


def histogram(x: Array, w: Array) -> tuple[Array, ...]:
    count = np.bincount(x, minlength=256)
    return count.astype(np.int32), np.bincount(x, weights=w.astype(np.float64), minlength=256)


def conv_transpose(I: Array, F: Array) -> tuple[Array, ...]:
    I, F = _wide(I, F)
    N, _, H, W = I.shape
    Y = np.zeros((N, F.shape[1], 2 * H + 2, 2 * W + 2))
    for y in range(H):
        for x in range(W):
            patch = np.einsum("nc,cors->nors", I[:, :, y, x], F)
            Y[:, :, 2 * y : 2 * y + 4, 2 * x : 2 * x + 4] += patch
    return (Y[:, :, 1:-1, 1:-1],)


def rmsnorm_rotary(X: Array, g: Array) -> tuple[Array, ...]:
    X, g = _wide(X, g)
    S, _, D = X.shape
    normed = X / np.sqrt((X**2).mean(axis=2, keepdims=True) + 1e-6) * g
    pairs = normed[..., : D // 2] + 1j * normed[..., D // 2 :]
    turn = np.exp(1j * np.outer(np.arange(S), 10000.0 ** (-2 * np.arange(D // 2) / D)))
    turned = pairs * turn[:, None, :]
    return (np.concatenate((turned.real, turned.imag), axis=2),)


def graph_convolution(
    X: Array, W: Array, source: Array, target: Array, weight: Array
) -> tuple[Array, ...]:
    from scipy import sparse

    X, W, weight = _wide(X, W, weight)
    vertices = len(X)
    adjacency = sparse.coo_array((weight, (target, source)), shape=(vertices, vertices))
    return (np.maximum(adjacency.tocsr() @ (X @ W), 0),)


def black_scholes(S: Array, K: Array, T: Array) -> tuple[Array, ...]:
    S, K, T = _wide(S, K, T)
    rate, sigma = 0.02, 0.3
    spread = sigma * np.sqrt(T)
    d1 = (np.log(S / K) + (rate + sigma**2 / 2) * T) / spread
    cdf, discounted = distributions.norm.cdf, K * np.exp(-rate * T)
    call = S * cdf(d1) - discounted * cdf(d1 - spread)
    return call, call + discounted - S  # put-call parity


def digits(images: Array, F1: Array, b1: Array, F2: Array, b2: Array, W: Array, b: Array) -> tuple:
    F1, b1, F2, b2, W, b = _wide(F1, b1, F2, b2, W, b)
    A = images[:, None].astype(np.float64) / 16
    for F, bias in ((F1, b1), (F2, b2)):
        A = np.maximum(_convolve_same(A, F) + bias[:, None, None], 0)
    pooled = A.reshape(len(A), -1, 4, 2, 4, 2).max(axis=(3, 5))
    logits = np.tensordot(pooled, W, 3) + b
    return logits, logits.argmax(axis=1)


CASES = {
    "linear_gelu": Case(linear_gelu, {"M": 13, "K": 37, "N": 41}),
    "conv_block": Case(conv_block, {"N": 2, "C": 3, "H": 11, "W": 7, "O": 5}),
    "softmax": Case(softmax, {"M": 13, "N": 131}),
    "layer_norm": Case(layer_norm, {"M": 13, "N": 131}),
    "causal_attention": Case(causal_attention, {"H": 3, "S": 29, "D": 17}),
    "embedding_mean_pool": Case(embedding_mean_pool, {"V": 97, "D": 19, "B": 7, "S": 11}),
    "jacobi": Case(jacobi, {"N": 23, "M": 37}),
    "lru": Case(lru, {"T": 31, "D": 19}),
    "lstm": Case(lstm, {"T": 7, "B": 3, "I": 11, "H": 13}),
    "tensor_train": Case(
        tensor_train,
        {"B": 5, "I": 2, "J": 3, "K": 4, "L": 3, "M": 2, "N": 5, "R": 3, "S": 2},
    ),
    "low_rank": Case(low_rank, {"M": 13, "K": 37, "N": 29, "R": 3}),
    "matrix_chain": Case(matrix_chain, {"M": 37, "K": 29, "N": 31}),
    "int8_matmul": Case(int8_matmul, {"M": 13, "K": 67, "N": 29}),
    "kmeans_assignment": Case(kmeans_assignment, {"N": 101, "K": 7, "D": 5}),
    "histogram": Case(histogram, {"N": 1009}),
    "conv_transpose": Case(conv_transpose, {"N": 2, "C": 3, "H": 5, "W": 7, "O": 4}),
    "rmsnorm_rotary": Case(rmsnorm_rotary, {"S": 31, "H": 3, "D": 18}),
    "graph_convolution": Case(graph_convolution, {"V": 37, "E": 101, "C": 11, "D": 13}),
    "black_scholes": Case(black_scholes, {"N": 1009}, 2e-5),
    "digits": Case(digits, {"N": 5}),
}
