"""Rounding errors are measured against direct evaluation, and the accuracy classes judge them."""

from __future__ import annotations

import numpy as np
import pytest

from tcomp.passes.accuracy import measure
from tcomp.passes.accuracy.evaluate import HAS_EXTENDED, OwnTypes, Truth
from tests.unit.programs import written
from tests.unit.winograd_text import direct, winograd

CHAIN = """def f(A: {t}[N, N], B: {t}[N, N], v: {t}[N]) -> y: {t}[N]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
"""
CHAIN_ORDERED = """def f(A: {t}[N, N], B: {t}[N, N], v: {t}[N]) -> y: {t}[N]:
    p[k] = sum[j](B[k, j] * v[j])
    y[i] = sum[k](A[i, k] * p[k])
"""
DISTANCES = """def f(X: f32[M, D], Y: f32[K, D]) -> Z: f32[M, K]:
    Z[i, j] = sum[d]((X[i, d] - Y[j, d]) ** 2)
"""
NORMS = """def f(X: f32[M, D], Y: f32[K, D]) -> Z: f32[M, K]:
    a[i] = sum[d](X[i, d] ** 2)
    b[j] = sum[d](Y[j, d] ** 2)
    Z[i, j] = a[i] + b[j] - 2 * sum[d](X[i, d] * Y[j, d])
"""
SCALED = """def f(X: f32[M, K], W: f32[K, N], mu: f32[N], g: f32[N], b: f32[N]) -> Y: f32[M, N]:
    Y[i, j] = (sum[k](X[i, k] * W[k, j]) - mu[j]) * g[j] + b[j]
"""
FOLDED = """def f(X: f32[M, K], W: f32[K, N], mu: f32[N], g: f32[N], b: f32[N]) -> Y: f32[M, N]:
    V[k, j] = W[k, j] * g[j]
    c[j] = b[j] - mu[j] * g[j]
    Y[i, j] = sum[k](X[i, k] * V[k, j]) + c[j]
"""
DIFFERENCE = """def f(X: f32[M, K], Z: f32[M, K], W: f32[K, N]) -> Y: f32[M, N]:
    Y[i, j] = sum[k]((X[i, k] - Z[i, k]) * W[k, j])
"""
DIFFERENCE_SPLIT = """def f(X: f32[M, K], Z: f32[M, K], W: f32[K, N]) -> Y: f32[M, N]:
    Y[i, j] = sum[k](X[i, k] * W[k, j]) - sum[k](Z[i, k] * W[k, j])
"""
TRACE = """def f(A: f32[N, N], B: f32[N, N]) -> t: f32:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    t = sum[i](C[i, i])
"""
TRACE_FLAT = """def f(A: f32[N, N], B: f32[N, N]) -> t: f32:
    t = sum[i, k](A[i, k] * B[k, i])
"""


def bound(before: str, after: str, **sizes: int) -> str:
    found = measure(written(before, **sizes), written(after, **sizes))
    assert found is not None
    return found.bound


@pytest.mark.parametrize("dtype", ["f32", "f64", "f16", "bf16"])
def test_a_matrix_chain_may_be_reordered(dtype: str) -> None:
    texts = (text.format(t=dtype) for text in (CHAIN, CHAIN_ORDERED))
    assert bound(*texts, N=1024) == "standard"


def test_what_keeps_its_accuracy_is_standard() -> None:
    assert bound(TRACE, TRACE_FLAT, N=512) == "standard"
    assert bound(SCALED, FOLDED, M=64, K=256, N=64) == "standard"
    assert bound(DIFFERENCE_SPLIT, DIFFERENCE, M=32, K=128, N=32) == "standard"


def test_cancellation_is_seen() -> None:
    """Squared distances of vectors near (1000, ..., 1000) are small differences of large norms."""
    assert bound(DISTANCES, NORMS, M=512, K=64, D=32) == "fast"
    assert bound(DIFFERENCE, DIFFERENCE_SPLIT, M=32, K=128, N=32) == "fast"


def test_winograd() -> None:
    """Lavin and Gray, CVPR 2016: F(2x2, 3x3) is about as accurate as direct convolution, F(4x4, 3x3) is not."""
    sizes = {"C": 8, "O": 4, "T": 3}
    assert bound(direct(2), winograd(2), **sizes) == "standard"
    assert bound(direct(4), winograd(4), **sizes) == "fast"


def test_no_class_allows_what_is_wrong() -> None:
    found = measure(
        written(SCALED, M=8, K=8, N=8), written(SCALED.replace("- mu", "+ mu"), M=8, K=8, N=8)
    )
    assert found is not None and found.bound == "none"
    assert not found.allows("standard") and not found.allows("fast")


def test_classes_contain_each_other() -> None:
    fast = measure(written(DISTANCES, M=8, K=8, D=8), written(NORMS, M=8, K=8, D=8))
    standard = measure(written(NORMS, M=8, K=8, D=8), written(NORMS, M=8, K=8, D=8))
    assert fast is not None and standard is not None
    assert fast.allows("fast") and not fast.allows("standard")
    assert standard.allows("fast") and standard.allows("standard")
    assert standard.ratio <= 1.0


def test_integers_have_no_errors() -> None:
    texts = (text.format(t="i32") for text in (CHAIN, CHAIN_ORDERED))
    found = measure(*(written(t, N=8) for t in texts))
    assert found is not None and not found.errors and found.allows("standard")


def test_sums_run_left_to_right_in_their_own_type() -> None:
    source = written("def f(x: f32[N]) -> s: f32:\n    s = sum[i](x[i])\n", N=1000)
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    total = np.float32(0)
    for value in x:
        total += value
    (found,) = OwnTypes(source, {"x": x}).run()
    assert found.dtype == np.float32 and float(found) == float(total)


def test_truth_has_more_digits_than_f64() -> None:
    if not HAS_EXTENDED:
        pytest.skip("long double is f64 here")
    source = written("def f(x: f64[N]) -> s: f64:\n    s = sum[i](x[i])\n", N=3)
    x = np.array([1.0, 2.0**-60, -1.0])
    assert float(Truth(source, {"x": x}, extended=True).run()[0]) == 2.0**-60
    assert float(OwnTypes(source, {"x": x}).run()[0]) == 0.0
