"""Verification: equal programs are proven equal on shrunk shapes, corrupted ones are caught."""

from __future__ import annotations

import time

import pytest

from tcomp.passes.verification import verify_equal
from tcomp.passes.verification.dimensions import Dimensions
from tcomp.passes.verification.number_map import smaller_numbers
from tests.unit.programs import written
from tests.unit.winograd_text import direct, winograd

CONV = """def f(A: f32[N, H, W, C], K: f32[3, 3, F, C]) -> Y: f32[N, H, W, F]:
    Y[n, h, w, f] = sum[c, r, s]((A[n, h + r - 1, w + s - 1, c] else 0) * K[r, s, f, c])
"""
OFFSET_ADD = """def f(A: f32[N, H, W, C], K: f32[3, 3, F, C]) -> Y: f32[N, H, W, F]:
    T[i in 0:N*H*W, j in 0:9*F] = sum[c](
        A[i//(H*W), (i//W)%H, i%W, c] * K[j//(3*F), (j//F)%3, j%F, c])
    Y[n, h, w, f] = sum[r in 0:3, s in 0:3](
        where(h+r-1 >= 0 and h+r-1 < H and w+s-1 >= 0 and w+s-1 < W,
              (T[H*W*n + W*(h+r-1) + (w+s-1), 3*F*r + F*s + f] else 0), 0.0))
"""
BAND = """def f(A: f32[B, M, K], C: f32[B, M, K]) -> Y: f32[B, M, 65]:
    Y[b, m, w] = sum[k](A[b, m, k] * (C[b, m + 4*(w-32), k] else 0))
"""
BAND_FOLDED = """def f(A: f32[B, M, K], C: f32[B, M, K]) -> Y: f32[B, M, 65]:
    P[p in 0:4*B, q in 0:M//4, k in 0:K] = A[p//4, 4*q + p%4, k]
    Q[p in 0:4*B, q in 0:M//4, k in 0:K] = C[p//4, 4*q + p%4, k]
    T[p in 0:4*B, q in 0:M//4, w in 0:65] = sum[k](P[p, q, k] * (Q[p, q+w-32, k] else 0))
    Y[b, m, w] = T[4*b + m%4, m//4, w]
"""
BAND_AS_PUBLISHED = """def f(A: f32[B, M, K], C: f32[B, M, K]) -> Y: f32[B, M, 65]:
    P[p in 0:B, q in 0:M, k in 0:K] = A[p, 4*(q%(M//4)) + q//(M//4), k]
    Q[p in 0:B, q in 0:M, k in 0:K] = C[p, 4*(q%(M//4)) + q//(M//4), k]
    T[p in 0:B, q in 0:M, w in 0:65] = sum[k](P[p, q, k] * (Q[p, q+w-32, k] else 0))
    Y[b, m, w] = T[b, m//4 + (M//4)*(m%4), w]
"""
DILATED = """def f(I: f32[C, H, W], F: f32[O, C, 3, 3]) -> Y: f32[O, H, W]:
    Y[o, y, x] = sum[c, r, s]((I[c, y + 2*r - 2, x + 2*s - 2] else 0) * F[o, c, r, s])
"""
PHASES = """def f(I: f32[C, H, W], F: f32[O, C, 3, 3]) -> Y: f32[O, H, W]:
    P[p in 0:4, c in 0:C, y in 0:H//2, x in 0:W//2] = I[c, 2*y + p//2, 2*x + p%2]
    T[p in 0:4, o in 0:O, y in 0:H//2, x in 0:W//2] = sum[c, r, s](
        (P[p, c, y+r-1, x+s-1] else 0) * F[o, c, r, s])
    Y[o, y, x] = T[2*(y%2) + x%2, o, y//2, x//2]
"""
LARGE_CONV = {"N": 16, "H": 224, "W": 224, "C": 32, "F": 64}
LARGE_BAND = {"B": 8, "M": 10000, "K": 512}
LARGE_PHASES = {"C": 512, "H": 14, "W": 14, "O": 512}
EQUAL = {
    "offset add": (CONV, OFFSET_ADD, LARGE_CONV),
    "offset add at 7 x 7": (CONV, OFFSET_ADD, {"N": 1, "H": 7, "W": 7, "C": 512, "F": 512}),
    "offset add at prime sizes": (CONV, OFFSET_ADD, {"N": 3, "H": 113, "W": 97, "C": 61, "F": 59}),
    "banded product over residues": (BAND, BAND_FOLDED, LARGE_BAND),
    "dilation as phases": (DILATED, PHASES, LARGE_PHASES),
    "Winograd at 56 x 56": (direct(2), winograd(2), {"C": 64, "O": 64, "T": 28}),
    "Winograd at 14 x 14": (direct(2), winograd(2), {"C": 256, "O": 256, "T": 7}),
}
CORRUPTED = {
    "guard that is missing": (CONV, OFFSET_ADD, " and w+s-1 < W", "", LARGE_CONV),
    "guard that is too wide": (CONV, OFFSET_ADD, "h+r-1 >= 0", "h+r-1 >= 0-1", LARGE_CONV),
    "guard that is too narrow": (CONV, OFFSET_ADD, "w+s-1 < W", "w+s-1 < W-1", LARGE_CONV),
    "range off by one": (CONV, OFFSET_ADD, "s in 0:3", "s in 0:2", LARGE_CONV),
    "axes exchanged": (CONV, OFFSET_ADD, "3*F*r + F*s", "3*F*s + F*r", LARGE_CONV),
    "offset off by one": (CONV, OFFSET_ADD, "(w+s-1), 3", "(w+s-2), 3", LARGE_CONV),
    "residue off by one": (BAND, BAND_FOLDED, "T[4*b + m%4", "T[4*b + (m+1)%4", LARGE_BAND),
    "band off by one": (BAND, BAND_FOLDED, "q+w-32", "q+w-31", LARGE_BAND),
    "the published derivation": (BAND, BAND_AS_PUBLISHED, "", "", LARGE_BAND),
    "phases exchanged": (DILATED, PHASES, "2*(y%2) + x%2", "2*(x%2) + y%2", LARGE_PHASES),
    "padding off by one": (DILATED, PHASES, "y+r-1", "y+r-2", LARGE_PHASES),
    "coefficient": (direct(2), winograd(2), "(0.25)", "(0.26)", {"C": 64, "O": 64, "T": 28}),
    "sign": (direct(2), winograd(2), "(-1.0)*p31", "(1.0)*p31", {"C": 64, "O": 64, "T": 28}),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_at_the_size_of_the_problem(name: str) -> None:
    before, after, sizes = EQUAL[name]
    verdict = verify_equal(written(before, **sizes), written(after, **sizes))
    assert verdict.equal and verdict.shrunk, verdict


@pytest.mark.parametrize("name", CORRUPTED)
def test_corruption_is_caught(name: str) -> None:
    before, after, old, new, sizes = CORRUPTED[name]
    assert old in after
    verdict = verify_equal(
        written(before, **sizes), written(after.replace(old, new) if old else after, **sizes)
    )
    assert not verdict.equal


def test_reads_that_leave_are_seen_at_full_size() -> None:
    """A program whose reads leave its tensors is unequal, whatever a smaller one would do."""
    from tcomp.ir.integer import Int
    from tests.unit.programs import Definition, apply, iterator, program, read, tensor

    x, y = tensor("X", 5000), tensor("Y", 5000)
    i = iterator("i", 5000)
    good = program([x], [y], Definition(y, (i,), read(x, i)))
    bad = program([x], [y], Definition(y, (i,), apply("add", read(x, i), read(x, Int.of(i) + 1))))
    verdict = verify_equal(good, bad)
    assert verdict.equal is False and "leaves the tensor" in verdict.reason


def test_integer_overflow_is_seen() -> None:
    """Half of a sum that wraps is not the sum of halves; the same sum in another order is the same."""
    before = "def f(x: i32[N], y: i32[N]) -> z: i32[N]:\n    z[i] = (x[i] + y[i]) // 2\n"
    after = "def f(x: i32[N], y: i32[N]) -> z: i32[N]:\n    z[i] = x[i] + (y[i] - x[i]) // 2\n"
    assert verify_equal(written(before, N=9), written(after, N=9)).equal is False
    swapped = before.replace("x[i] + y[i]", "y[i] + x[i]")
    assert verify_equal(written(before, N=9), written(swapped, N=9)).equal


def test_gathers_are_verified() -> None:
    before = (
        "def f(E: f32[V, D], ids: i32[S]) -> y: f32[S]:\n    y[s] = sum[d](2.0 * E[ids[s], d])\n"
    )
    after = (
        "def f(E: f32[V, D], ids: i32[S]) -> y: f32[S]:\n    y[s] = 2.0 * sum[d](E[ids[s], d])\n"
    )
    sizes = {"V": 50000, "D": 300, "S": 4000}
    assert verify_equal(written(before, **sizes), written(after, **sizes)).equal
    wrong = after.replace("ids[s]", "ids[0]")
    assert not verify_equal(written(before, **sizes), written(wrong, **sizes)).equal


def test_relations_of_sizes_are_kept() -> None:
    program = written(CONV, **LARGE_CONV)
    rows = next(d for d in Dimensions(program).all().values() if 224 in d.extents)
    small = smaller_numbers(rows, 16, sums=True, trusting=True)
    assert small is not None and 16 < small[224] < 40
    strided = written("def f(x: f32[N]) -> y: f32[(N + 1)//2]:\n    y[i] = x[2*i]\n", N=1001)
    (axis,) = Dimensions(strided).all().values()
    small = smaller_numbers(axis, 8, sums=True, trusting=True)
    assert small is not None and small[1001] % 2 == 1 and small[501] * 2 - 1 == small[1001]


def test_verification_is_quick() -> None:
    """Not a bound on this machine's speed: a verdict that takes seconds would stall every compilation."""
    start = time.process_time()
    before, after, sizes = EQUAL["banded product over residues"]
    verify_equal(written(before, **sizes), written(after, **sizes))
    assert time.process_time() - start < 2.0


ATTENTION = """def f(Q: f32[S, D], K: f32[T, D], V: f32[T, D]) -> O: f32[S, D]:
    L[s, t] = sum[d](Q[s, d] * K[t, d])
    m[s] = max[t](L[s, t])
    E[s, t] = exp(L[s, t] - m[s])
    O[s, d] = sum[t](E[s, t] * V[t, d]) / sum[t](E[s, t])
"""
ONE_PASS = """def f(Q: f32[S, D], K: f32[T, D], V: f32[T, D]) -> O: f32[S, D]:
    L[t, s] = sum[d](Q[s, d] * K[t, d])
    scan[t]:
        m[t, s] = maximum((m[t-1, s] else -inf), L[t, s])
        c[t, s] = exp((m[t-1, s] else -inf) - m[t, s])
        p[t, s] = exp(L[t, s] - m[t, s])
        l[t, s] = (l[t-1, s] else 0) * c[t, s] + p[t, s]
        a[t, s, d] = (a[t-1, s, d] else 0) * c[t, s] + p[t, s] * V[t, d]
    O[s, d] = a[T-1, s, d] / l[T-1, s]
"""
PATHS = """def f(A: f32[N, N], B: f32[N, N], v: f32[N]) -> y: f32[N]:
    C[i, j] = {op}[k](A[i, k] + B[k, j])
    y[i] = {op}[j](C[i, j] + v[j])
"""
PATHS_ORDERED = """def f(A: f32[N, N], B: f32[N, N], v: f32[N]) -> y: f32[N]:
    p[k] = {op}[j](B[k, j] + v[j])
    y[i] = {op}[k](A[i, k] + p[k])
"""


def test_exponentials_of_sums_are_products() -> None:
    sizes = {"S": 12, "T": 15, "D": 8}
    assert verify_equal(written(ATTENTION, **sizes), written(ONE_PASS, **sizes)).equal
    for old, new in (
        ("* c[t, s] + p[t, s] * V", "+ p[t, s] * V"),
        ("l[t-1, s] else 0", "l[t-1, s] else 1"),
    ):
        assert old in ONE_PASS
        wrong = ONE_PASS.replace(old, new)
        assert verify_equal(written(ATTENTION, **sizes), written(wrong, **sizes)).equal is False


@pytest.mark.parametrize("op", ["max", "min"])
def test_order_distributes_over_sums(op: str) -> None:
    before, after = (written(t.format(op=op), N=300) for t in (PATHS, PATHS_ORDERED))
    assert verify_equal(before, after).equal
    wrong = written(PATHS_ORDERED.format(op=op).replace("A[i, k] + p", "A[k, i] + p"), N=300)
    assert not verify_equal(before, wrong).equal
