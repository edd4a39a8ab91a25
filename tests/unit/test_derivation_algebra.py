"""What the search finds by algebra, on the whole way: derived, proven equal, accurate enough, chosen."""

from __future__ import annotations

import math

import pytest

from tcomp.ir.tensor.nodes import Apply, Program, Reduce, Scan, postorder
from tcomp.passes.accuracy import measure
from tcomp.passes.derivation import RULES, Derivation
from tcomp.passes.derivation.cost import operations
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.online import BLOCK
from tcomp.passes.verification import verify_equal
from tcomp.pipeline import derived
from tests.derivation.orders import fewest_products
from tests.unit.programs import written

DISTANCES = """def f(X: f32[M, D], Y: f32[K, D]) -> Q: f32[M, K]:
    Q[m, k] = sum[d]((X[m, d] - Y[k, d]) ** 2)
"""
NORM = """def f(X: f32[M, K], W: f32[K, N], mu: f32[N], var: f32[N], g: f32[N], b: f32[N]) -> Y: f32[M, N]:
    H[i, j] = sum[k](X[i, k] * W[k, j])
    Y[i, j] = (H[i, j] - mu[j]) * (g[j] * rsqrt(var[j] + 1e-5)) + b[j]
"""
LINEAR = """def f(X: f32[M, K], V: f32[K, K], v: f32[K], W: f32[K, K], w: f32[K]) -> Y: f32[M, K]:
    H[i, j] = {act}(sum[k](X[i, k] * V[k, j]) + v[j])
    Y[i, j] = sum[k](H[i, k] * W[k, j]) + w[j]
"""
KRONECKER = """def f(A: f32[P, P], B: f32[Q, Q], x: f32[P*Q]) -> y: f32[P*Q]:
    K[i in 0:P*Q, j in 0:P*Q] = A[i//Q, j//Q] * B[i%Q, j%Q]
    y[i] = sum[j](K[i, j] * x[j])
"""
PATHS = """def f(A: f32[N, N], B: f32[N, N], v: f32[N]) -> y: f32[N]:
    C[i, j] = {op}[k](A[i, k] + B[k, j])
    y[i] = {op}[j](C[i, j] + v[j])
"""
REACHABLE = """def f(A: bool[N, N], B: bool[N, N], v: bool[N]) -> y: bool[N]:
    C[i, j] = any[k](A[i, k] and B[k, j])
    y[i] = any[j](C[i, j] and v[j])
"""
CUMULATIVE = """def f(X: f32[M, N]) -> Y: f32[M, N]:
    Y[m, i] = {op}[j in 0:N](where(j <= i, X[m, j], {zero}))
"""
WINDOW = """def f(X: f32[M, N]) -> Y: f32[M, N - 255]:
    Y[m, i] = {op}[r in 0:256](X[m, i + r])
"""
BLUR = """def f(X: f32[H, W], u: f32[9], v: f32[9]) -> Y: f32[H, W]:
    Y[y, x] = sum[r, s](u[r] * v[s] * (X[y + r - 4, x + s - 4] else 0))
"""
TRAIN = """def f(A: f32[N, R], B: f32[R, N, R], C: f32[R, N, R], D: f32[R, N], x: f32[N, N, N, N]) -> y: f32:
    y = sum[i, j, k, l, a, b, c](A[i, a] * B[a, j, b] * C[b, k, c] * D[c, l] * x[i, j, k, l])
"""
MONARCH = """def f(L: f32[B, B, B], R: f32[B, B, B], x: f32[B, B]) -> y: f32[B, B]:
    y[i, j] = sum[k, l](L[j, i, k] * R[k, j, l] * x[k, l])
"""
TUCKER = """def f(G: f32[R, R, R], A: f32[N, R], B: f32[N, R], C: f32[N, R]) -> Y: f32[N, N, N]:
    Y[i, j, k] = sum[a, b, c](G[a, b, c] * A[i, a] * B[j, b] * C[k, c])
"""


ATTENTION = """def f(Q: f32[S, D], K: f32[T, D], V: f32[T, D]) -> O: f32[S, D]:
    L[s, t] = sum[d](Q[s, d] * K[t, d]) * 0.125
    m[s] = max[t](L[s, t])
    E[s, t] = exp(L[s, t] - m[s])
    P[s, t] = E[s, t] / sum[u](E[s, u])
    O[s, d] = sum[t](P[s, t] * V[t, d])
"""


def search(text: str, accuracy: str = "standard", constants: str = "", **sizes: int) -> Derivation:
    return derived(written(text, **sizes), accuracy, frozenset(constants.split()), seconds=2.0)


def work(program: Program) -> float:
    return sum(operations(d) for d in program.definitions())


def gain(found: Derivation) -> float:
    return work(found.source) / work(found.program)


def rules(found: Derivation) -> set[str]:
    return {step.rule for step in found.steps}


def test_distances_become_norms_and_a_product_where_cancellation_is_allowed() -> None:
    sizes = {"M": 2000, "K": 64, "D": 32}
    fast = search(DISTANCES, "fast", **sizes)
    assert "expansion" in rules(fast) and fast.accuracy is not None
    assert fast.accuracy.bound == "fast" and fast.accuracy.ratio > 100
    assert "expansion" not in rules(search(DISTANCES, "standard", **sizes))
    assert not search(DISTANCES, "strict", **sizes).steps


def test_scale_and_shift_fold_into_weights() -> None:
    found = search(NORM, constants="W mu var g b", M=256, K=128, N=128)
    assert "scale folding" in rules(found)
    unfolded = search(
        NORM.replace("(g[j] *", "relu(g[j] *").replace("Y[i, j] = (", "Y[i, j] = exp("),
        constants="W mu var g b",
        M=256,
        K=128,
        N=128,
    )
    assert "scale folding" not in rules(unfolded)


def test_linear_layers_collapse_but_not_through_a_function() -> None:
    sizes = {"M": 64, "K": 256}
    found = search(LINEAR.format(act=""), constants="V v W w", **sizes)
    assert found.cost_after < 0.6 * found.cost_before
    found = search(LINEAR.format(act="relu"), constants="V v W w", **sizes)
    assert found.cost_after > 0.9 * found.cost_before


@pytest.mark.parametrize(("p", "q"), [(64, 64), (13, 48)])
def test_kronecker_products_are_two_small_products(p: int, q: int) -> None:
    found = search(KRONECKER, P=p, Q=q)
    assert work(found.program) < 2.5 * p * q * (p + q)


@pytest.mark.parametrize("text", [PATHS.format(op="max"), PATHS.format(op="min"), REACHABLE])
def test_semirings_profit_from_association(text: str) -> None:
    assert gain(search(text, N=257)) > 50


@pytest.mark.parametrize(("op", "zero"), [("sum", "0.0"), ("max", "-inf"), ("min", "inf")])
def test_cumulative_reductions_become_scans(op: str, zero: str) -> None:
    found = search(CUMULATIVE.format(op=op, zero=zero), M=33, N=511)
    assert any(isinstance(s, Scan) for s in found.program.body)
    assert found.cost_after < 0.1 * found.cost_before


@pytest.mark.parametrize("op", ["sum", "max"])
def test_sliding_windows_share_their_parts(op: str) -> None:
    assert gain(search(WINDOW.format(op=op), M=16, N=2000)) > 5


def test_outer_product_filters_separate() -> None:
    assert gain(search(BLUR, H=256, W=300)) > 3


@pytest.mark.parametrize(
    ("text", "factors", "output", "sizes"),
    [
        (TRAIN, "ia ajb bkc cl ijkl", "", {"N": 8, "R": 3}),
        (MONARCH, "jik kjl kl", "ij", {"B": 16}),
        (TUCKER, "abc ia jb kc", "ijk", {"N": 20, "R": 4}),
    ],
)
def test_networks_of_tensors_take_the_cheapest_order(
    text: str, factors: str, output: str, sizes: dict[str, int]
) -> None:
    found = search(text, **sizes)
    extent = {name: sizes.get("N", sizes.get("B", 0)) for name in "ijkl"}
    extent |= {name: sizes.get("R", 0) for name in "abc"}
    fewest = fewest_products(factors.split(), output, extent)
    assert work(found.program) <= 2 * fewest * 1.01


def test_strict_takes_only_what_keeps_every_rounding() -> None:
    for text, sizes in (
        (DISTANCES, {"M": 64, "K": 64, "D": 16}),
        (BLUR, {"H": 64, "W": 64}),
        (CUMULATIVE.format(op="sum", zero="0.0"), {"M": 16, "N": 128}),
    ):
        assert search(text, "strict", **sizes).accuracy is None


def test_nothing_moves_through_a_function() -> None:
    text = DISTANCES.replace("(X[m, d] - Y[k, d]) ** 2", "abs(X[m, d] - Y[k, d])")
    found = search(text, "fast", M=64, K=32, D=16)
    nodes = [n for d in found.program.definitions() for n in postorder(d.body)]
    assert sum(isinstance(n, Apply) and n.op == "abs" for n in nodes) >= 1
    assert any(isinstance(n, Reduce) for n in nodes) and gain(found) < 1.1


def test_attention_in_one_pass() -> None:
    """By two rules; whether it is chosen, the cost decides."""
    source = program = normal_form(written(ATTENTION, S=200, T=600, D=32))
    for name in ("division pull-out", "online softmax"):
        (rule,) = (r for r in RULES if r.name == name)
        program = normal_form(next(p for _, p in rule.apply(program)))
    largest = max(math.prod(int(n) for n in d.tensor.shape[1:]) for d in program.definitions())
    assert any(isinstance(s, Scan) for s in program.body)
    assert largest <= 200 * BLOCK  # what a step keeps: no 200 x 600 tensor
    assert verify_equal(source, program).equal
    measured = measure(source, program)
    assert measured is not None and measured.bound == "standard"
