"""Every index rule, instantiated at random: what it gives equals what it was given, borders included."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import numpy as np
import pytest

from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.passes.derivation.index import INDEX_RULES
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.verification import verify_equal
from tests.unit.programs import random_inputs, written

# Programs over sizes M, N and K, a dilation or stride {d} and a padding {p}.
TRANSPOSED = (
    "def f(I: f64[2, K, N], F: f64[K, 3, 5]) -> Y: f64[2, 3, {d}*N + 4]:\n"
    "    Y[n, o, y] = sum[c, r](where((y + {p} - r) % {d} == 0, (I[n, c, (y + {p} - r)//{d}] else 0.0), 0.0)"
    " * F[c, o, r])\n"
)
CONVOLUTION = (
    "def f(I: f64[2, K, N + 7], F: f64[3, K, {d}]) -> Y: f64[2, 3, N + 4]:\n"
    "    Y[n, o, y] = sum[c, r]((I[n, c, y + r - {p}] else 0.0) * F[o, c, r])\n"
)
TERMS = (
    "def f(I: f64[K, N + 7], F: f64[3, K, {d}]) -> Y: f64[3, N + 4]:\n"
    "    T[r, o, y in 0:N + 4] = sum[c](({read}) * F[o, c, r])\n"
    "    Y[o, y] = sum[r](T[r, o, y])\n"
)
CASES: dict[str, tuple[str, ...]] = {
    "congruence": (TRANSPOSED, TRANSPOSED.replace("y + {p} - r", "2*y + {p} - 3*r")),
    "single place": (
        "def f(A: f64[M, 1], B: f64[M, {d}]) -> y: f64[{d}]:\n"
        "    y[i] = sum[k, r]((A[k, i - r] else 0.0) * B[k, r])\n",
        "def f(A: f64[M, 1], B: f64[{d}, N]) -> y: f64[N]:\n"
        "    y[i] = sum[r in 0:{d}, k in 0:M]((A[k, r + {d} - 2*i] else 0.0) * B[r, i])\n",
    ),
    "variable splitting": (
        TRANSPOSED,
        CONVOLUTION.replace("y + r", "y + {d}*r"),
        "def f(X: f64[M, N]) -> Y: f64[2*N]:\n    Y[i] = sum[k](X[k, i//2] * (i % {d}))\n",
    ),
    "boundary tightening": (
        "def f(A: f64[N, K], B: f64[K, M]) -> Y: f64[N + 7, M]:\n"
        "    Y[t, j] = sum[k]((A[t - {p}, k] else 0.0) * B[k, j])\n",
        "def f(A: f64[N, K]) -> Y: f64[N + 7]:\n    Y[t] = sum[k](A[{p} + 2 - t, k] else 0.0)\n",
    ),
    "skew": (
        TERMS.replace("{read}", "I[c, y + r - {p}] else 0.0"),
        TERMS.replace("{read}", "I[c, {p} - y + 2*r] else 0.0"),
    ),
    "sum skew": (
        "def f(A: f64[M, 8, K + 8], V: f64[8*M + K + 9, N]) -> Y: f64[M, 8, N]:\n"
        "    Y[q, p, n] = sum[w](A[q, p, w] * (V[8*q + p + w - {p}, n] else 0.0))\n",
        "def f(A: f64[9, 12], V: f64[{d}*24, N]) -> Y: f64[9, N]:\n"
        "    Y[p, n] = sum[w in 1:11](A[p, w] * V[{d}*(10 + p - w), n])\n",
    ),
    "layout transformation": (
        "def f(A: f64[K, N], B: f64[M, K, 5]) -> Y: f64[N]:\n"
        "    T[s, i in 0:M, j in 0:N] = sum[k](A[k, j] * B[i, k, s])\n"
        "    Y[j] = sum[i, s](T[s, i, j + i - {p}] else 0.0)\n",
    ),
    "variable merging": (
        "def f(A: f64[{d}*M, K], B: f64[K, 3]) -> Y: f64[M, {d}, 3]:\n"
        "    Y[i, q, j] = sum[k](A[{d}*i + q, k] * B[k, j])\n",
    ),
    "summation splitting": (CONVOLUTION,),
    "sum variable splitting": (CONVOLUTION.replace("{d}]", "6]"),),
    "sum boundary tightening": (
        "def f(A: f64[N], B: f64[N + 7]) -> y: f64:\n"
        "    y = sum[t in 0:N + 7]((A[t - {p}] else 0.0) * B[t])\n",
    ),
    "boundary relaxing": (CONVOLUTION.replace("{d}]", "5]"), CONVOLUTION.replace("{d}]", "7]")),
    "sum variable merging": (
        "def f(A: f64[{d}*M, N], B: f64[{d}*M]) -> Y: f64[N]:\n"
        "    Y[i] = sum[q in 0:M, p in 0:{d}](A[{d}*q + p, i] * B[p + {d}*q])\n",
        "def f(A: f64[M, 3*{d} + 9]) -> Y: f64[M]:\n"
        "    Y[i] = max[p in 2:2 + {d}, q in 1:4](A[i, 2 + p + {d}*q])\n",
        "def f(A: f64[6*{d}], B: f64[6*{d}]) -> y: f64:\n"
        "    y = sum[q in 0:6, p in 0:{d}](A[{d}*q + p] * B[6*{d} - 1 - p - {d}*q])\n",
    ),
    "reversal": (
        "def f(A: f64[N, K], B: f64[K, M]) -> Y: f64[N, M]:\n"
        "    Y[i, j] = sum[k](A[N - 1 - i, k] * B[k, j])\n",
        "def f(A: f64[K, 2*N + 3], B: f64[M, K]) -> Y: f64[M, N]:\n"
        "    Y[j, i] = max[k](A[k, 2*N - 2*i] + B[M - 1 - j, k]) * 2\n",
    ),
    "sum reversal": (
        "def f(A: f64[N, K], B: f64[{d}, K]) -> Y: f64[N]:\n"
        "    Y[i] = sum[r in 0:{d}, k in 0:K]((A[i - r + {p}, k] else 0.0) * B[r, k])\n",
        "def f(A: f64[N], B: f64[M]) -> Y: f64[M]:\n"
        "    Y[i] = sum[r in 0:N]((A[N - 1 - r] else 0.0) * (B[i - r] else 0.0))\n",
    ),
    "expression splitting": (
        "def f(X: f64[M, K], A: f64[K, N + 4]) -> Y: f64[M, N + 4]:\n"
        "    Y[i, j] = sum[k](X[i, k] * where(j < {d}, A[k, j], A[k, N + 3 - j]))\n",
        "def f(X: f64[M, K], A: f64[K, N + 4]) -> Y: f64[M, N + 4]:\n"
        "    Y[i, j] = where({d} - j >= 0, sum[k](X[i, k] * A[k, j]), 0.0)\n",
    ),
    "expression merging": (
        "def f(X: f64[M, K], A: f64[K, N], B: f64[K, {d}]) -> (P: f64[M, N], Q: f64[M, {d}]):\n"
        "    P[i, j] = sum[k](X[i, k] * A[k, j])\n    Q[a, b] = sum[c](B[c, b] * X[a, c])\n",
    ),
}


def instances(rule: str, seed: int) -> Iterator[Program]:
    """The rule's programs at random, often odd and prime, sizes."""
    rng = random.Random(f"{rule} {seed}")
    for text in CASES[rule]:
        filled = text.replace("{d}", str(rng.choice((2, 3, 4)))).replace(
            "{p}", str(rng.randrange(4))
        )
        sizes = {name: str(rng.choice((2, 3, 5, 7, 8, 11))) for name in "MNK"}
        bound = re.sub(r"\b[MNK]\b", lambda m, known=sizes: known[m[0]], filled)  # type: ignore[misc]
        yield normal_form(written(bound))


@pytest.mark.parametrize("rule", INDEX_RULES, ids=lambda r: r.name)
def test_rule_keeps_the_meaning(rule) -> None:  # type: ignore[no-untyped-def]
    fired = 0
    for seed in range(6):
        for source in instances(rule.name, seed):
            arrays = random_inputs(source, seed)
            expected = interpret(source, arrays)
            for _, result in rule.apply(source):
                for form in (result, normal_form(result)):
                    fired += 1
                    verdict = verify_equal(source, form)
                    assert verdict.equal, (verdict, source, form)
                    for wanted, got in zip(expected, interpret(form, arrays), strict=True):
                        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)
    assert fired >= 3, "the rule hardly ever applies"


REFUSED = {
    "a condition that is no congruence": (
        "congruence",
        "def f(I: f64[7], F: f64[5]) -> Y: f64[9]:\n"
        "    Y[y] = sum[r](where(y - r >= 2, (I[y - r] else 0.0), 0.0) * F[r])\n",
    ),
    "a term that counts where the congruence fails": (
        "congruence",
        "def f(I: f64[7], F: f64[5]) -> Y: f64[9]:\n"
        "    Y[y] = sum[r](where((y - r) % 2 == 0, (I[y - r] else 0.0), 1.0) * F[r])\n",
    ),
    "nothing is divided": (
        "variable splitting",
        "def f(I: f64[8, 8], F: f64[8, 5]) -> Y: f64[8, 5]:\n    Y[i, j] = sum[k](I[i, k] * F[k, j])\n",
    ),
    "an index that data decide is checked where it is, and only there": (
        "variable splitting",
        "def f(I: f64[8], ix: i32[9]) -> Y: f64[9]:\n    Y[i] = I[ix[i]] * (i % 2)\n",
    ),
    "a guard with another value than 0": (
        "boundary tightening",
        "def f(A: f64[5, 3]) -> Y: f64[9]:\n    Y[t] = sum[k](A[t - 2, k] else 1.0)\n",
    ),
    "a step of two is not invertible": (
        "skew",
        "def f(I: f64[9, 20], F: f64[9, 3]) -> Y: f64[3, 4, 4]:\n"
        "    Y[o, i, j] = sum[c](I[c, 2*i + 2*j] * F[c, o])\n",
    ),
    "gaps are no range": (
        "variable merging",
        "def f(I: f64[20, 9], F: f64[9, 3]) -> Y: f64[4, 2, 3]:\n"
        "    Y[i, q, j] = sum[k](I[3*i + q, k] * F[k, j])\n",
    ),
    "a sum without a window": (
        "summation splitting",
        "def f(I: f64[8, 8], F: f64[8, 5]) -> Y: f64[8, 5]:\n    Y[i, j] = sum[k](I[i, k] * F[k, j])\n",
    ),
    "a window that slides forwards": (
        "sum reversal",
        "def f(A: f64[9], B: f64[3]) -> Y: f64[7]:\n    Y[i] = sum[r in 0:3](A[i + r] * B[2 - r])\n",
    ),
    "nothing is reduced": (
        "reversal",
        "def f(A: f64[9]) -> Y: f64[9]:\n    Y[i] = A[8 - i] * 2\n",
    ),
    "another position knows the parts": (
        "sum variable merging",
        "def f(A: f64[12], B: f64[4]) -> y: f64:\n    y = sum[q in 0:3, p in 0:4](A[4*q + p] * B[p])\n",
    ),
    "positions with gaps": (
        "sum variable merging",
        "def f(A: f64[20]) -> y: f64:\n    y = sum[q in 0:3, p in 0:4](A[5*q + p])\n",
    ),
    "rows that share nothing": (
        "sum skew",
        "def f(A: f64[20], V: f64[40, 3]) -> Y: f64[8, 3]:\n    Y[p, n] = sum[w](A[w] * V[p + w, n])\n",
    ),
    "more rows than offsets": (
        "sum skew",
        "def f(A: f64[20, 9], V: f64[40, 3]) -> Y: f64[20, 3]:\n"
        "    Y[p, n] = sum[w](A[p, w] * V[p + w, n])\n",
    ),
    "one position goes forwards": (
        "sum reversal",
        "def f(A: f64[9], B: f64[9]) -> y: f64:\n    y = sum[r](A[8 - r] * B[r])\n",
    ),
    "a product that needs the other": (
        "expression merging",
        "def f(X: f64[8, 8], A: f64[8, 8]) -> Q: f64[8, 8]:\n"
        "    P[i, j] = sum[k](X[i, k] * A[k, j])\n    Q[i, j] = sum[k](X[i, k] * P[k, j])\n",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_rule_refuses(reason: str) -> None:
    name, text = REFUSED[reason]
    (rule,) = (r for r in INDEX_RULES if r.name == name)
    assert not list(rule.apply(normal_form(written(text))))
