"""The programs of the language's introduction, against NumPy."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from lang_run import integers, normal, run

from tcomp.ir.tensor.verifier import verify
from tcomp.lang import lower, parse, signature

PROGRAMS = """
# mlp.tc
def mlp(X: f32[M, K], W: f32[K, N], b: f32[N]) -> Y: f32[M, N]:
    H[i, j] = sum[k](X[i, k] * W[k, j]) + b[j]
    Y[i, j] = gelu(H[i, j])

def conv2d[stride=1, pad=0, dilation=1](I: f32[N, C, H, W], F: f32[O, C, R, S])
        -> Y: f32[N, O, (H + 2*pad - dilation*(R-1) - 1)//stride + 1, (W + 2*pad - dilation*(S-1) - 1)//stride + 1]:
    Y[n, o, y, x] = sum[c, r, s](
        (I[n, c, y*stride + r*dilation - pad, x*stride + s*dilation - pad] else 0) * F[o, c, r, s])

def softmax(X: float[M, N]) -> P: float[M, N]:
    m[i] = max[j](X[i, j])
    E[i, j] = exp(X[i, j] - m[i])
    P[i, j] = E[i, j] / sum[k](E[i, k])

def attention(Q: f32[H, S, D], K: f32[H, T, D], V: f32[H, T, D]) -> O: f32[H, S, D]:
    L[h, s, t] = sum[d](Q[h, s, d] * K[h, t, d]) * (D ** -0.5)
    M[h, s, t] = where(t <= s + (T - S), L[h, s, t], -inf)
    P = softmax(M)                       # a call on whole tensors; leading axes are batched
    O[h, s, d] = sum[t](P[h, s, t] * V[h, t, d])

def rmsnorm[eps=1e-6](X: float[M, N], g: float[N]) -> Y: float[M, N]:
    Y[i, j] = X[i, j] * rsqrt(mean[k](X[i, k] ** 2) + eps) * g[j]

def embed(E: f32[V, D], ids: i32[S]) -> Y: f32[S, D]:
    Y[s, d] = E[ids[s], d]               # gather: an index may be an integer tensor

def lru(a: f32[T, D], x: f32[T, D], h0: f32[D]) -> h: f32[T, D]:
    scan[t] h[t, d] = a[t, d] * (h[t-1, d] else h0[d]) + x[t, d]

def lstm(X: f32[T, B, I], W: f32[4, H, I], U: f32[4, H, H]) -> (h: f32[T, B, H], c: f32[T, B, H]):
    A[t, b, q, j] = sum[k](X[t, b, k] * W[q, j, k])
    scan[t]:
        g[t, b, q, j] = A[t, b, q, j] + sum[m]((h[t-1, b, m] else 0) * U[q, j, m])
        c[t, b, j] = sigmoid(g[t, b, 1, j]) * (c[t-1, b, j] else 0) + sigmoid(g[t, b, 0, j]) * tanh(g[t, b, 2, j])
        h[t, b, j] = sigmoid(g[t, b, 3, j]) * tanh(c[t, b, j])

def split(X: f32[N]) -> (lo: f32[N//2], hi: f32[N//2]):
    lo[i] = X[2*i]
    hi[i] = X[2*i + 1]
"""


def entry(name: str) -> str:
    """The introduction with one of its defs moved to the end."""
    parts = ["def " + p for p in PROGRAMS.split("\ndef ")[1:]]
    return "\n".join(sorted(parts, key=lambda p: p.startswith(f"def {name}")))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("m", "k", "n"), [(3, 5, 7), (1, 1, 1), (0, 4, 3), (4, 0, 3)])
def test_mlp(m: int, k: int, n: int) -> None:
    x, w, b = normal(m, k), normal(k, n, seed=1), normal(n, seed=2)
    h = x.astype(float) @ w + b
    want = 0.5 * h * (1 + np.vectorize(math.erf, otypes=[float])(h / math.sqrt(2)))
    np.testing.assert_allclose(run(entry("mlp"), x, w, b), want, rtol=1e-12)


@pytest.mark.parametrize(
    ("stride", "pad", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 0, 1)]
)
def test_conv2d(stride: int, pad: int, dilation: int) -> None:
    image, filters = normal(2, 3, 9, 7), normal(4, 3, 3, 2, seed=1)
    padded = np.pad(image.astype(float), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height = (9 + 2 * pad - dilation * 2 - 1) // stride + 1
    width = (7 + 2 * pad - dilation * 1 - 1) // stride + 1
    want = np.zeros((2, 4, height, width))
    for y in range(height):
        for x in range(width):
            window = padded[
                :, :, y * stride : y * stride + 2 * dilation + 1 : dilation,
                x * stride : x * stride + dilation + 1 : dilation,
            ]  # fmt: skip
            want[:, :, y, x] = np.einsum("ncrs,ocrs->no", window, filters.astype(float))
    got = run(entry("conv2d"), image, filters, stride=stride, pad=pad, dilation=dilation)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_softmax() -> None:
    x = normal(5, 7)
    np.testing.assert_allclose(run(entry("softmax"), x), softmax(x.astype(float)), rtol=1e-12)
    np.testing.assert_allclose(run(entry("softmax"), x.astype(float)), softmax(x.astype(float)))


@pytest.mark.parametrize(("s", "t"), [(4, 4), (2, 5), (1, 3)])
def test_attention(s: int, t: int) -> None:
    q, k, v = normal(2, s, 3), normal(2, t, 3, seed=1), normal(2, t, 3, seed=2)
    logits = np.einsum("hsd,htd->hst", q.astype(float), k) * 3**-0.5
    seen = np.arange(t)[None, :] <= np.arange(s)[:, None] + (t - s)
    want = softmax(np.where(seen, logits, -np.inf)) @ v
    np.testing.assert_allclose(run(entry("attention"), q, k, v), want, rtol=1e-12)


def test_rmsnorm() -> None:
    x, g = normal(3, 5), normal(5, seed=1)
    x64 = x.astype(float)
    want = x64 / np.sqrt((x64**2).mean(-1, keepdims=True) + np.float32(0.5)) * g
    np.testing.assert_allclose(run(entry("rmsnorm"), x, g, eps=0.5), want, rtol=1e-12)


def test_embed() -> None:
    table, ids = normal(6, 3), integers(4, low=0, high=6)
    np.testing.assert_array_equal(run(entry("embed"), table, ids), table[ids])
    with pytest.raises(IndexError, match="axis 0 of 'E'"):
        run(entry("embed"), table, np.array([0, 6], np.int32))
    with pytest.raises(IndexError, match="axis 0 of 'E'"):
        run(entry("embed"), table, np.array([-1], np.int32))


def test_lru() -> None:
    a, x, h = normal(5, 3), normal(5, 3, seed=1), normal(3, seed=2).astype(float)
    want = []
    for t in range(5):
        h = a[t] * h + x[t]
        want.append(h)
    np.testing.assert_allclose(run(entry("lru"), a, x, normal(3, seed=2)), want, rtol=1e-12)


def test_lstm() -> None:
    x, w, u = normal(4, 2, 3), normal(4, 5, 3, seed=1), normal(4, 5, 5, seed=2)
    h = c = np.zeros((2, 5))
    hs, cs = [], []
    for t in range(4):
        g = np.einsum("bk,qjk->bqj", x[t].astype(float), w) + np.einsum("bm,qjm->bqj", h, u)
        c = sigmoid(g[:, 1]) * c + sigmoid(g[:, 0]) * np.tanh(g[:, 2])
        h = sigmoid(g[:, 3]) * np.tanh(c)
        hs.append(h)
        cs.append(c)
    got_h, got_c = run(entry("lstm"), x, w, u)
    np.testing.assert_allclose(got_h, hs, rtol=1e-12)
    np.testing.assert_allclose(got_c, cs, rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 6, 7])
def test_split(n: int) -> None:
    x = normal(n)
    lo, hi = run(entry("split"), x)
    np.testing.assert_array_equal(lo, x[: n // 2 * 2 : 2])
    np.testing.assert_array_equal(hi, x[1 : n // 2 * 2 : 2])


def test_signatures() -> None:
    module = parse(PROGRAMS)
    assert str(signature(module, "conv2d", {"pad": 1})) == (
        "def conv2d[stride=1, pad=0, dilation=1](I: f32[N, C, H, W], F: f32[O, C, R, S]) -> "
        "Y: f32[N, O, H + 3 - R, W + 3 - S]"
    )
    assert str(signature(module, "rmsnorm")) == (
        "def rmsnorm[eps=1e-06](X: float[M, N], g: float[N]) -> Y: float[M, N]"
    )
    assert str(signature(module)) == "def split(X: f32[N]) -> (lo: f32[N//2], hi: f32[N//2])"
    assert [s.name for s in signature(module, "lstm").sizes] == ["T", "B", "I", "H"]


def test_stored_parser_tables_are_those_of_the_grammar() -> None:
    """`write_tables` was run after the last change of the grammar (or this is another lark)."""
    import lark

    from tcomp.lang import grammar

    text = grammar._GRAMMAR.read_text()
    stored = grammar._stored_tables(text)
    if stored is None:
        assert lark.__version__ != "1.3.1", "tcomp/lang/grammar.json is stale: run write_tables"
        return
    fresh, loaded = grammar.compute(text), grammar.make_parser()
    assert fresh.parse(PROGRAMS) == loaded.parse(PROGRAMS)


def test_the_programs_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "language.md").read_text()
    programs = re.findall(r"```tc\n(.*?)```", text, re.S)
    assert len(programs) > 6
    for program in programs:
        module = parse(program)
        for each in module.defs:
            verify(lower(module, each.name))
