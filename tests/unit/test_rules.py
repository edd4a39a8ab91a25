"""Every rule, instantiated at random: what it gives is equal to what it was given.

Equal means twice: over a prime field (or another arithmetic of `passes.verification`), and in the reference
interpreter's float64 on normal numbers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import numpy as np
import pytest

from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.passes.derivation import RULES
from tcomp.passes.derivation.index import INDEX_RULES
from tcomp.passes.derivation.rules import LEMMAS
from tcomp.passes.simplify import simplify
from tcomp.passes.verification import verify_equal
from tests.unit.programs import random_inputs, written

ODD = (1, 2, 3, 5, 7, 8, 11, 12)  # sizes to draw from

# Programs to which a rule applies, as text over sizes M, N and K; {t} is a type and {c} a small constant.
CASES: dict[str, tuple[str, ...]] = {
    "traversal merging": (
        "def f(X: {t}[M, K], W: {t}[K, N], v: {t}[N]) -> y: {t}[M]:\n"
        "    H[i, j] = sum[k](X[i, k] * W[k, j])\n    y[i] = sum[j](H[i, j] * v[j])\n",
    ),
    "sum merging": (
        "def f(X: {t}[M, K], W: {t}[M, K, N]) -> y: {t}[M]:\n"
        "    y[i] = sum[k](X[i, k] * sum[j](W[i, k, j] * X[i, k]))\n",
    ),
    "re-association": (
        "def f(A: {t}[M, K], B: {t}[K, N], C: {t}[N, M]) -> y: {t}[M, M]:\n"
        "    y[i, l] = sum[k, j](A[i, k] * B[k, j] * C[j, l])\n",
    ),
    "factor pull-out": (
        "def f(A: {t}[M, K], B: {t}[K, N]) -> y: {t}[M]:\n    y[i] = sum[k, j](A[i, k] * B[k, j])\n",
        "def f(A: f32[M, K], B: f32[K, N]) -> y: f32[M]:\n    y[i] = max[k, j](A[i, k] + B[k, j])\n",
        "def f(A: bool[M, K], B: bool[K, N]) -> y: bool[M]:\n    y[i] = any[k, j](A[i, k] and B[k, j])\n",
    ),
    "sum joining": (
        "def f(X: {t}[M, K], Z: {t}[M, K]) -> y: {t}[M]:\n    y[i] = sum[j](X[i, j]) - sum[k](Z[i, k])\n",
        "def f(X: {t}[M], Z: {t}[M, N], W: {t}[M, M]) -> y: {t}[N]:\n"
        "    y[n] = sum[i](X[i]) - sum[j](Z[j, n] * sum[i](W[j, i]))\n",
        "def f(X: f64[M, K], Z: f64[M, K]) -> y: f64[M]:\n"
        "    y[i] = minimum(min[j](X[i, j]), min[k](Z[i, k]))\n",
    ),
    "factoring": (
        "def f(X: {t}[M], Z: {t}[M], g: {t}[M]) -> y: {t}[M]:\n    y[i] = X[i] * g[i] - Z[i] * g[i]\n",
        "def f(X: f32[M], Z: f32[M], g: f32[M]) -> y: f32[M]:\n"
        "    y[i] = maximum(X[i] + g[i], Z[i] + g[i])\n",
    ),
    "sum splitting": (
        "def f(X: {t}[M, K], Z: {t}[M, K]) -> y: {t}[M]:\n    y[i] = sum[j](X[i, j] + Z[i, j])\n",
        "def f(X: f32[M, K], Z: f32[M, K]) -> y: f32[M]:\n    y[i] = max[j](maximum(X[i, j], Z[i, j]))\n",
    ),
    "distribution": (
        "def f(X: {t}[M], Z: {t}[M], g: {t}[M]) -> y: {t}[M]:\n    y[i] = (X[i] - Z[i]) * g[i]\n",
        "def f(X: f32[M], Z: f32[M], g: f32[M]) -> y: f32[M]:\n    y[i] = minimum(X[i], Z[i]) + g[i]\n",
        "def f(X: bool[M], Z: bool[M], g: bool[M]) -> y: bool[M]:\n    y[i] = (X[i] or Z[i]) and g[i]\n",
    ),
    "unused iterator": (
        "def f(X: {t}[M]) -> y: {t}[M]:\n    y[i] = sum[j in 0:K](X[i])\n",
        "def f(X: f32[M]) -> y: f32[M]:\n    y[i] = max[j in 0:K](X[i])\n",
    ),
    "delta elimination": (
        "def f(X: {t}[K]) -> y: {t}[M]:\n    y[i] = sum[k](where(k == i - {c}, X[k], 0))\n",
    ),
    "negation": (
        "def f(X: {t}[M, K], Z: {t}[M, K]) -> y: {t}[M]:\n    y[i] = sum[j](-X[i, j] * Z[i, j])\n",
    ),
    "expansion": (
        "def f(X: {t}[M, K], Z: {t}[N, K]) -> y: {t}[M, N]:\n"
        "    y[i, j] = sum[k]((X[i, k] - Z[j, k]) * (X[i, k] - Z[j, k]))\n",
        "def f(X: {t}[M, K], u: {t}[M], v: {t}[K]) -> y: {t}:\n"
        "    y = sum[i, k]((X[i, k] + u[i] * v[k]) ** 2)\n",
    ),
    "sum splitting by divisors": (
        "def f(A: {t}[M, N], B: {t}[K, {c}], x: {t}[{c}*N]) -> y: {t}[M, K]:\n"
        "    y[i, k] = sum[j](A[i, j//{c}] * B[k, j%{c}] * x[j])\n",
    ),
    "range splitting": (
        "def f(A: {t}[M, K], B: {t}[M, N]) -> y: {t}[M]:\n"
        "    y[i] = sum[j in 0:K+N](where(j < K, (A[i, j] else 0), (B[i, j-K] else 0)))\n",
        "def f(A: {t}[K]) -> y: {t}[M]:\n    y[i] = sum[j](where(j >= {c} - 1, A[j], 2 * A[j]))\n",
        "def f(A: f32[K]) -> y: f32[M]:\n    y[i] = min[j](where({c} > 2*{c} - 1 - j, A[j], 2 * A[j]))\n",
    ),
    "division pull-out": (
        "def f(A: f64[M, K], B: f64[K, N], s: f64[M]) -> y: f64[M, N]:\n"
        "    y[i, j] = sum[k](A[i, k] / s[i] * B[k, j])\n",
    ),
    "scale folding": (
        "def f(A: {t}[M, K], B: {t}[K, N], s: {t}[N]) -> y: {t}[M, N]:\n"
        "    y[i, j] = sum[k](A[i, k] * B[k, j]) * s[j]\n",
        "def f(A: f64[M, K], B: f64[K, N], s: f64[N]) -> y: f64[M, N]:\n"
        "    y[i, j] = sum[k](A[i, k] * B[k, j]) / s[j]\n",
    ),
    "grouping": (
        "def f(X: {t}[M, N], a: {t}[N], b: {t}[N], c: {t}[M]) -> y: {t}[M, N]:\n"
        "    y[i, j] = a[j] - (X[i, j] - c[i]) - b[j]\n",
    ),
    "shift folding": (
        "def f(X: {t}[M, N], a: {t}[N], s: {t}[N], b: {t}[N]) -> y: {t}[M, N]:\n"
        "    y[i, j] = b[j] - (X[i, j] - a[j]) * s[j]\n",
        "def f(X: f64[M, N], a: f64[N], s: f64[N], b: f64[N]) -> y: f64[M, N]:\n"
        "    y[i, j] = (X[i, j] + a[j]) / s[j] + b[j]\n",
    ),
    "exponentials": (
        "def f(a: f64[M], b: f64[M]) -> y: f64[M]:\n    y[i] = exp(a[i]) * exp(b[i])\n",
        "def f(a: f64[M], b: f64[M]) -> y: f64[M]:\n    y[i] = exp2(a[i]) / exp2(b[i])\n",
    ),
    "logarithms": (
        "def f(X: f64[M, N]) -> Y: f64[M, N]:\n    m[i] = max[j](X[i, j])\n"
        "    E[i, j] = exp(X[i, j] - m[i])\n    S[i] = sum[j](E[i, j])\n    Y[i, j] = log(E[i, j] / S[i])\n",
        "def f(a: f64[M], b: f64[M]) -> y: f64[M]:\n    y[i] = log2(exp2(a[i]) * (exp(b[i]) + 2.5)) * 3\n",
        "def f(a: f64[M], X: f64[M, K]) -> y: f64[M]:\n    y[i] = log(exp(a[i])) + log(sum[k](exp(X[i, k])) / {c})\n",
    ),
    "window sharing": (
        "def f(X: {t}[N + K, M + 3], w: {t}[K], v: {t}[3]) -> y: {t}[N, M]:\n"
        "    y[i, j] = sum[r, s](w[r] * v[s] * X[i + r, j + s])\n",
        "def f(X: f32[N + K, M + 3], w: f32[K]) -> y: f32[N, M]:\n"
        "    y[i, j] = max[r in 0:K, s in 0:3](X[i + r, j + s] + w[r])\n",
        "def f(X: {t}[N], w: {t}[K], v: {t}[3]) -> y: {t}[N]:\n"
        "    y[i] = sum[r, s](w[r] * v[s] * (X[i - r + s] else 0))\n",
    ),
    "window splitting": (
        "def f(X: {t}[N + K + 7, M]) -> y: {t}[N, M]:\n"
        "    y[i, j] = sum[r in 0:K + 8](X[i + r, j])\n",
        "def f(X: f32[N, M]) -> y: f32[N, M]:\n"
        "    y[i, j] = max[r in 0:K + 8](X[i + r - {c}, j] else -inf)\n",
    ),
    "stencil separation": (
        "def f(X: f64[N, M]) -> y: f64[N, M]:\n"
        "    y[i, j] = (X[i, j] else 0) + 2*(X[i, j+1] else 0) - {c}*((X[i+1, j] else 0)"
        " + 2*(X[i+1, j+1] else 0))\n",
    ),
    "online softmax": (
        "def f(L: f64[M, {c}*K], V: f64[{c}*K, N]) -> y: f64[M, N]:\n"
        "    m[i] = max[t](L[i, t])\n    E[i, t] = exp(L[i, t] - m[i])\n    s[i] = sum[t](E[i, t])\n"
        "    y[i, j] = sum[t](E[i, t] * V[t, j]) / s[i]\n",
        "def f(L: f64[K, M], ok: bool[K, M]) -> y: f64[M]:\n"
        "    X[t, i] = where(ok[t, i], L[t, i], -inf)\n    m[i] = max[t](X[t, i])\n"
        "    E[t, i] = exp(X[t, i] - m[i])\n    y[i] = sum[t](E[t, i]) + m[i]\n",
    ),
    "prefix scan": (
        "def f(X: {t}[M, N]) -> y: {t}[M, N]:\n    y[i, n] = sum[j in 0:N](where(j <= n, X[i, j], 0))\n",
        "def f(X: f32[N, M]) -> y: f32[N, M]:\n"
        "    y[n, i] = max[j in 0:N+{c}](where(n > j - 1, (X[j, i] else 0), -inf))\n",
        "def f(X: {t}[N, M]) -> y: {t}[N, M]:\n    y[n, i] = 3 * sum[j in 0:N](X[n - j, i] else 0)\n",
    ),
}


def instances(rule: str, seed: int) -> Iterator[Program]:
    """The rule's programs at random sizes, in f64 and i32."""
    rng = random.Random(f"{rule} {seed}")
    for text in CASES[rule]:
        for dtype in ("f64", "i32") if "{t}" in text else ("",):
            filled = text.format(t=dtype, c=rng.choice((2, 3, 4)))
            if dtype == "f64":
                filled = filled.replace(", 0))", ", 0.0))").replace(" else 0)", " else 0.0)")
            sizes = {name: rng.choice(ODD) for name in "MNK"}
            yield simplify(
                written(re.sub(r"\b[MNK]\b", lambda m, known=sizes: str(known[m[0]]), filled))
            )


@pytest.mark.parametrize("rule", [r for r in RULES if r.name in CASES], ids=lambda r: r.name)
def test_rule_keeps_the_meaning(rule) -> None:  # type: ignore[no-untyped-def]
    fired = 0
    for seed in range(6):
        for source in instances(rule.name, seed):
            arrays = random_inputs(source, seed)
            expected = interpret(source, arrays)
            for _, result in rule.apply(source):
                fired += 1
                verdict = verify_equal(source, result)
                assert verdict.equal, (verdict, source, result)
                for wanted, got in zip(expected, interpret(result, arrays), strict=True):
                    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)
    assert fired >= 3, "the rule hardly ever applies"


def test_every_rule_of_algebra_is_tried() -> None:
    elsewhere = {r.name for r in (*INDEX_RULES, *LEMMAS)}  # test_index_rules; Winograd, Strassen
    assert {r.name for r in RULES} - elsewhere <= set(CASES)


def applications(rule: str, text: str) -> int:
    (found,) = (r for r in RULES if r.name == rule)
    return sum(1 for _ in found.apply(simplify(written(text))))


REFUSED = {
    "wrapping integers are no max-plus semiring": (
        "factor pull-out",
        "def f(A: i32[4, 5], B: i32[5, 6]) -> y: i32[4]:\n    y[i] = max[k, j](A[i, k] + B[k, j])\n",
    ),
    "maxima of integers do not distribute": (
        "factoring",
        "def f(X: i32[5], Z: i32[5], g: i32[5]) -> y: i32[5]:\n"
        "    y[i] = maximum(X[i] + g[i], Z[i] + g[i])\n",
    ),
    "a divisor that moves with the sum stays": (
        "division pull-out",
        "def f(A: f32[4, 5], s: f32[5]) -> y: f32[4]:\n    y[i] = sum[k](A[i, k] / s[k])\n",
    ),
    "a scale with an iterator of its own is not folded": (
        "scale folding",
        "def f(A: f32[4, 5], B: f32[5, 6], s: f32[3]) -> y: f32[3, 4, 6]:\n"
        "    y[l, i, j] = sum[k](A[i, k] * B[k, j]) * s[l]\n",
    ),
    "a non-linear function stays between": (
        "scale folding",
        "def f(A: f32[4, 5], B: f32[5, 6], s: f32[6]) -> y: f32[4, 6]:\n"
        "    y[i, j] = relu(sum[k](A[i, k] * B[k, j])) * s[j]\n",
    ),
    "a remainder of the range is not split off": (
        "sum splitting by divisors",
        "def f(A: f32[4], x: f32[10]) -> y: f32:\n    y = sum[j](A[j//3] * x[j])\n",
    ),
    "a window that sees its taps apart is not shared": (
        "window sharing",
        "def f(X: f32[20, 20], w: f32[3, 3]) -> y: f32[18, 18]:\n"
        "    y[i, j] = sum[r, s](w[r, s] * X[i + r, j + s])\n",
    ),
    "a stencil of rank 2 does not separate": (
        "stencil separation",
        "def f(X: f32[9, 9]) -> y: f32[8, 8]:\n"
        "    y[i, j] = X[i, j] + 2*X[i, j+1] + 3*X[i+1, j] + 5*X[i+1, j+1]\n",
    ),
    "a sum of what comes later is no prefix": (
        "prefix scan",
        "def f(X: f32[9]) -> y: f32[9]:\n    y[i] = sum[j in 0:9](where(j >= i, X[j], 0.0))\n",
    ),
    "a prefix that starts late is none": (
        "prefix scan",
        "def f(X: f32[9]) -> y: f32[9]:\n    y[i] = sum[j in 1:9](where(j <= i, X[j], 0.0))\n",
    ),
    "a term that knows the place is no prefix": (
        "prefix scan",
        "def f(X: f32[9]) -> y: f32[9]:\n"
        "    y[i] = sum[j in 0:9](where(j <= i, X[j] * X[i], 0.0))\n",
    ),
    "sums over other weights do not join": (
        "factoring",
        "def f(X: f32[5], V: f32[5], Z: f32[5], W: f32[5]) -> y: f32[5]:\n"
        "    y[i] = X[i] * V[i] + Z[i] * W[i]\n",
    ),
    "exponentials that are read otherwise are needed": (
        "online softmax",
        "def f(L: f32[4, 8]) -> (y: f32[4], E: f32[4, 8]):\n    m[i] = max[t](L[i, t])\n"
        "    E[i, t] = exp(L[i, t] - m[i])\n    y[i] = sum[t](E[i, t])\n",
    ),
    "a shift by something else is no softmax": (
        "online softmax",
        "def f(L: f32[4, 8]) -> y: f32[4]:\n    m[i] = min[t](L[i, t])\n"
        "    E[i, t] = exp(L[i, t] - m[i])\n    y[i] = sum[t](E[i, t])\n",
    ),
    "a sum inside that needs the whole sum stays": (
        "online softmax",
        "def f(L: f32[4, 8], V: f32[8]) -> y: f32[4]:\n    m[i] = max[t](L[i, t])\n"
        "    E[i, t] = exp(L[i, t] - m[i])\n    s[i] = sum[t](E[i, t])\n"
        "    y[i] = sum[t](E[i, t] * (V[t] / s[i]))\n",
    ),
    "a factor that may be negative": (
        "logarithms",
        "def f(a: f32[5], b: f32[5]) -> y: f32[5]:\n    y[i] = log(exp(a[i]) * b[i])\n",
    ),
    "the logarithm of a sum": (
        "logarithms",
        "def f(a: f32[5], b: f32[5]) -> y: f32[5]:\n    y[i] = log(exp(a[i]) + exp(b[i]))\n",
    ),
    "exponentials of another base have another logarithm": (
        "logarithms",
        "def f(a: f32[5]) -> y: f32[5]:\n    y[i] = log2(exp(a[i]))\n",
    ),
    "exponentials of other bases stay": (
        "exponentials",
        "def f(a: f32[5], b: f32[5]) -> y: f32[5]:\n    y[i] = exp(a[i]) * exp2(b[i])\n",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_rule_refuses(reason: str) -> None:
    assert applications(*REFUSED[reason]) == 0
