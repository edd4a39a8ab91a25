"""Ranges, reads, reductions, scans and calls: what programs mean, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from lang_run import integers, normal, run

from tcomp.diagnostics import CompileError
from tcomp.ir.dtypes import boolean, f32, f64, i32
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.nodes import Scan
from tcomp.lang import lower, parse

HEAD = "def f(X: f32[N]) -> Y: f32[N]:\n"


# -- layout ----------------------------------------------------------------------------------------------


def test_layout() -> None:
    text = """tcomp 1   # the version

# a comment

def f(X: f32[N],  # first
      s: f32)     # second
        -> Y: f32[N]:
    # a comment in the block
  # and one that is not indented like it
    A[i] = (X[i]

            + s)
    Y[i] = maximum(
        A[i],
        0)   # done
"""
    x = normal(4)
    want = np.maximum(x.astype(float) + np.float32(0.5), 0)
    np.testing.assert_allclose(run(text, x, np.float32(0.5)), want)
    np.testing.assert_allclose(run(text.replace("\n", "\r\n"), x, np.float32(0.5)), want)
    np.testing.assert_allclose(run("\ufeff" + text.rstrip(), x, np.float32(0.5)), want)


def test_tabs_indent() -> None:
    x = normal(3)
    np.testing.assert_array_equal(
        run("def f(X: f32[N]) -> Y: f32[N]:\n\tA[i] = X[i]\n\tY[i] = A[i]", x), x
    )


def test_the_last_def_is_meant() -> None:
    text = HEAD + "    Y[i] = 1\n" + HEAD.replace("def f", "def g") + "    Y[i] = 2\n"
    assert lower(parse(text)).name == "g"
    assert lower(parse(text), "f").name == "f"
    with pytest.raises(CompileError, match="TC015"):
        lower(parse(text), "h")


def test_long_sums_and_deep_nesting() -> None:
    x = normal(3)
    many = " + ".join(["X[i]"] * 3000)
    np.testing.assert_allclose(run(HEAD + f"    Y[i] = {many}\n", x), x.astype(float) * 3000)
    deep = "exp(" * 3000 + "X[i]" + ")" * 3000
    with pytest.raises(CompileError, match="TC029"):
        lower(parse(HEAD + f"    Y[i] = {deep}\n"))


# -- ranges ----------------------------------------------------------------------------------------------


def test_explicit_ranges_win() -> None:
    x = normal(6)
    got = run("def f(X: f32[N]) -> y: f32:\n    y = sum[k in 1:N-1](X[k])\n", x)
    np.testing.assert_allclose(got, x[1:-1].astype(float).sum())


def test_results_take_their_declared_axes() -> None:
    """Under the second rule reads only have to stay inside: no equality of the sizes is asked for."""
    x = normal(7)
    np.testing.assert_array_equal(
        run("def f(X: f32[N]) -> Y: f32[N//2]:\n    Y[i] = X[i]\n", x), x[:3]
    )


def test_locals_start_anywhere() -> None:
    text = """
def f(X: f32[N]) -> (Y: f32[N], s: f32):
    D[i in 1:N] = X[i] - X[i-1]
    E[i] = 2 * D[i]
    Y[i] = E[i] else -1
    s = sum[i](E[i])
"""
    x = normal(5)
    y, s = run(text, x)
    want = 2 * np.diff(x.astype(float))
    np.testing.assert_allclose(y, [-1, *want])
    np.testing.assert_allclose(s, want.sum())


def test_ranges_from_guards_nested_reductions_and_indices() -> None:
    text = """
def f(X: f32[N], W: f32[M, K], ids: i32[M]) -> y: f32:
    A[i] = sum[j](W[i, j] * (X[ids[i] + j] else 0))
    B[j] = max[i](W[i, j])
    y = sum[i](A[i]) + sum[j](B[j])
"""
    x, w, ids = normal(5), normal(3, 2, seed=1), integers(3, low=-1, high=6)
    want = w.astype(float).max(0).sum()
    for i in range(3):
        for j in range(2):
            at = ids[i] + j
            want += w[i, j] * float(x[at]) if 0 <= at < 5 else 0
    np.testing.assert_allclose(run(text, x, w, ids), want)


def test_unequal_ranges_are_found_when_sizes_bind() -> None:
    text = "def f(X: f32[M], Z: f32[N]) -> y: f32:\n    y = sum[i](X[i] * Z[i])\n"
    program = lower(parse(text))
    assert len(program.constraints) == 1
    bind(program, {"M": 3, "N": 3})
    with pytest.raises(CompileError, match="TC051"):
        bind(program, {"M": 3, "N": 4})


# -- reads -----------------------------------------------------------------------------------------------


def test_else_takes_one_operand() -> None:
    x = normal(4)
    got = run(HEAD + "    Y[i] = X[i-1] else 0 + 1\n", x)
    np.testing.assert_allclose(got, [1, *(x[:-1].astype(float) + 1)])
    got = run(HEAD + "    Y[i] = X[i-1] else -X[0] ** 2\n".replace("-X[0] ** 2", "-2 * 3"), x)
    np.testing.assert_allclose(got, [-6, *(x[:-1].astype(float) * 3)])


def test_else_operands() -> None:
    text = """
def f(X: f32[N], s: f32) -> (a: f32[N], b: f32[N], c: f32[N], d: f32[N], e: f32[N]):
    a[i] = X[i-1] else s
    b[i] = X[i-1] else X[0]
    c[i] = X[i-1] else exp(s)
    d[i] = X[i-1] else (s + 1)
    e[i] = X[i-1] else X[i+1] else -inf
"""
    x = normal(1)
    a, b, c, d, e = run(text, x, np.float32(0.5))
    np.testing.assert_allclose([a[0], b[0], c[0], d[0]], [0.5, x[0], np.exp(0.5), 1.5])
    assert e[0] == -np.inf


def test_quotients_and_remainders_in_indices() -> None:
    text = "def f[g=2](X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i // g * g + (g - 1 - i % g)]\n"
    x = normal(6)
    np.testing.assert_array_equal(run(text, x), x.reshape(3, 2)[:, ::-1].ravel())
    np.testing.assert_array_equal(run(text, x, g=3), x.reshape(2, 3)[:, ::-1].ravel())
    with pytest.raises(CompileError, match="TC060"):
        run(text, normal(5))


def test_clamped_indices() -> None:
    x = normal(5)
    text = (
        HEAD
        + "    Y[i] = X[clip(i - 2, 0, N - 1)] + X[minimum(i + 1, N - 1)] + X[maximum(i - 1, 0)]\n"
    )
    i = np.arange(5)
    x64 = x.astype(float)
    want = x64[np.clip(i - 2, 0, 4)] + x64[np.minimum(i + 1, 4)] + x64[np.maximum(i - 1, 0)]
    np.testing.assert_allclose(run(text, x), want)


def test_gathers() -> None:
    text = """
def f(E: f32[V, D], ids: i16[S], at: i64[S], base: i32) -> (Y: f32[S], Z: f32[S]):
    Y[s] = E[ids[s], at[s]] + E[base, 0]
    Z[s] = E[ids[at[s]] + 1, 2*at[s] - 1] else -1
"""
    table, ids, at = normal(4, 3), np.array([3, 0, 1], np.int16), np.array([0, 1, 2])
    y, z = run(text, table, ids, at, np.int32(2))
    np.testing.assert_allclose(y, table[ids, at].astype(float) + table[2, 0])
    want = [
        table[ids[a] + 1, 2 * a - 1] if ids[a] + 1 < 4 and 0 <= 2 * a - 1 < 3 else -1 for a in at
    ]
    np.testing.assert_allclose(z, want)


def test_computed_integers_in_indices() -> None:
    """Beyond what must be: any integer expression may be an index that is checked at run time."""
    text = "def f(X: f32[M, N]) -> y: f32[M]:\n    y[i] = X[i, argmax[j](X[i, j])]\n"
    x = normal(4, 5)
    np.testing.assert_array_equal(run(text, x), x.max(1))


def test_where_protects() -> None:
    x = np.array([0.0, 1.0], np.float32)
    got = run(HEAD + "    Y[i] = where(X[i] > 0, log(X[i]) / X[i], 0)\n", x)
    np.testing.assert_array_equal(got, [0, 0])


# -- reductions ------------------------------------------------------------------------------------------


def test_reductions() -> None:
    text = """
def f(X: f32[M, N], B: bool[M, N]) -> (s: f32, p: f32[M], h: f32, l: f32, m: f32[N], a: bool, b: bool[M],
                                        t: i64[M], u: i8[N]):
    s = sum[i, j](X[i, j])
    p[i] = prod[j](X[i, j])
    h = max[i, j](X[i, j])
    l = min[i, j](abs(X[i, j]))
    m[j] = mean[i](X[i, j])
    a = any[i, j](B[i, j])
    b[i] = all[j](B[i, j])
    t[i] = argmax[j](X[i, j])
    u[j] = argmin[i](X[i, j])
"""
    x, b = normal(3, 4), normal(3, 4, seed=1) > 0
    w = x.astype(float)
    want = (
        w.sum(),
        w.prod(1),
        w.max(),
        np.abs(w).min(),
        w.mean(0),
        b.any(),
        b.all(1),
        w.argmax(1),
        w.argmin(0),
    )
    for got, expected in zip(run(text, x, b), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_reductions_anywhere_and_siblings() -> None:
    text = """
def f(X: f32[M, N]) -> Y: f32[M]:
    Y[i] = exp(sum[k](X[i, k]) / 9) * max[k](X[i, k] - min[j](X[i, j])) + sum[k in 0:M](X[k, 0])
"""
    x = normal(3, 4)
    w = x.astype(float)
    want = np.exp(w.sum(1) / 9) * (w.max(1) - w.min(1)) + w[:, 0].sum()
    np.testing.assert_allclose(run(text, x), want)


def test_first_nan_wins_and_maxima_propagate_it() -> None:
    x = np.array([1, np.nan, 3, np.nan], np.float32)
    text = """
def f(X: f32[N]) -> (m: f32, a: i64, b: i64):
    m = max[i](X[i])
    a = argmax[i](X[i])
    b = argmin[i](X[i])
"""
    m, a, b = run(text, x)
    assert np.isnan(m) and (a, b) == (1, 1)
    assert run(text, np.array([1, 3, 3], np.float32))[1:] == (1, 0)


def test_argmax_gives_the_iterators_value() -> None:
    x = np.array([9, 1, 2, 5], np.float32)
    assert run("def f(X: f32[N]) -> y: i32:\n    y = argmax[i in 1:N](X[i])\n", x) == 3


def test_empty_reductions() -> None:
    text = "def f(X: f32[N]) -> (s: f32, p: f32, a: bool, b: bool):\n" + "".join(
        f"    {n} = {e}\n"
        for n, e in (
            ("s", "sum[i](X[i])"),
            ("p", "prod[i](X[i])"),
            ("a", "any[i](X[i] > 0)"),
            ("b", "all[i](X[i] > 0)"),
        )
    )
    assert [v.item() for v in run(text, normal(0))] == [0, 1, False, True]


def test_mean_is_over_all_iterators() -> None:
    x = integers(3, 4)
    got = run("def f(X: i32[M, N]) -> y: f32:\n    y = mean[i, j](X[i, j])\n", x)
    np.testing.assert_allclose(got, x.mean())


# -- scans -----------------------------------------------------------------------------------------------


def test_scan_over_another_axis() -> None:
    text = "def f(X: f32[M, T]) -> y: f32[M, T]:\n    scan[t] y[i, t] = (y[i, t-1] else 0) * 0.5 + X[i, t]\n"
    x = normal(2, 5)
    want, last = np.zeros((2, 5)), np.zeros(2)
    for t in range(5):
        last = want[:, t] = last * 0.5 + x[:, t]
    np.testing.assert_allclose(run(text, x), want)


def test_scan_of_locals_and_two_steps_back() -> None:
    text = """
def f(X: f32[T]) -> Y: f32[T]:
    scan[t in 0:T]:
        a[t] = (a[t-1] else 1) + (b[t-2] else 0)
        b[t] = a[t] * X[t] + (sum[k in 1:3](b[t-k] else 0))
    Y[t] = b[t]
"""
    x = normal(6)
    a, b = [], []
    for t in range(6):
        a.append((a[t - 1] if t else 1) + (b[t - 2] if t > 1 else 0))
        b.append(a[t] * float(x[t]) + sum(b[t - k] for k in (1, 2) if t >= k))
    np.testing.assert_allclose(run(text, x), b)


def test_types_of_scanned_locals() -> None:
    text = """
def f(X: f64[T], B: bool[T], I: i8[T]) -> (Y: f64[T], Z: bool[T], W: i32[T]):
    scan[t]:
        s[t] = (s[t-1] else 0) + X[t]
        seen[t] = (seen[t-1] else False) or B[t]
        n[t] = maximum((n[t-1] else 0), I[t])
    Y[t] = s[t]
    Z[t] = seen[t]
    W[t] = n[t]
"""
    program = lower(parse(text))
    scan = program.body[0]
    assert isinstance(scan, Scan)
    assert [d.tensor.dtype for d in scan.definitions] == [f64, boolean, i32]
    x, b, i = (
        normal(5, dtype=np.float64),
        np.array([0, 0, 1, 0, 0], bool),
        np.array([1, -2, 7, 3, 9], np.int8),
    )
    y, z, w = run(text, x, b, i)
    np.testing.assert_allclose(y, np.cumsum(x))
    np.testing.assert_array_equal(z, [False, False, True, True, True])
    np.testing.assert_array_equal(w, [1, 1, 7, 7, 9])


def test_state_machines() -> None:
    """A gather at the scan's own earlier position."""
    text = """
def f(next: i32[S, A], word: i32[T]) -> y: i32[T]:
    scan[t] y[t] = next[y[t-1] else 0, word[t]]
"""
    table, word = integers(4, 3, low=0, high=4), integers(7, low=0, high=3)
    state, want = 0, []
    for letter in word:
        state = table[state, letter]
        want.append(state)
    np.testing.assert_array_equal(run(text, table, word), want)


# -- calls -----------------------------------------------------------------------------------------------

LIBRARY = """
def scale[by=2](X: float[N]) -> Y: float[N]:
    Y[i] = by * X[i]

def stats(X: float[N]) -> (lo: float, hi: float):
    lo = min[i](X[i])
    hi = max[i](X[i])

def axpy(a: f32, X: f32[N], Z: f32[N]) -> Y: f32[N]:
    Y[i] = a * X[i] + Z[i]

def running(X: f32[T, D], h0: f32[D]) -> h: f32[T, D]:
    scan[t] h[t, d] = 0.5 * (h[t-1, d] else h0[d]) + X[t, d]
"""


def test_nested_calls_parameters_and_functions() -> None:
    text = LIBRARY + "def f(X: f32[M, N]) -> Y: f32[M, N]:\n    Y = scale[by=3](gelu(scale(X)))\n"
    x = normal(3, 4)
    from tcomp.ops.meaning import gelu

    np.testing.assert_allclose(run(text, x), 3 * gelu(2 * x.astype(float)), rtol=1e-6)


def test_several_results_and_batches() -> None:
    text = (
        LIBRARY
        + """
def f(X: f32[A, B, N]) -> (Y: f32[A, B], Z: f64[A, B]):
    (l, Z) = stats(X)
    Y[a, b] = l[a, b]
"""
    )
    x = normal(2, 3, 4)
    y, z = run(text, x)
    np.testing.assert_array_equal(y, x.min(-1))
    np.testing.assert_array_equal(z, x.max(-1))


def test_shared_arguments_and_scalars() -> None:
    text = (
        LIBRARY
        + "def f(X: f32[B, N], z: f32[N], s: f32[B]) -> (U: f32[B, N], V: f32[B, N]):\n"
        + "    U = axpy(0.5, X, z)\n    V = axpy(s, X, z)\n"
    )
    x, z, s = normal(3, 4), normal(4, seed=1), normal(3, seed=2)
    u, v = run(text, x, z, s)
    np.testing.assert_allclose(u, 0.5 * x.astype(float) + z)
    np.testing.assert_allclose(v, s[:, None].astype(float) * x + z)


def test_batched_scans() -> None:
    text = (
        LIBRARY + "def f(X: f32[B, T, D], h0: f32[D]) -> h: f32[B, T, D]:\n    h = running(X, h0)\n"
    )
    x, h0 = normal(2, 4, 3), normal(3, seed=1)
    want = np.zeros((2, 4, 3))
    for b in range(2):
        last = h0.astype(float)
        for t in range(4):
            last = want[b, t] = 0.5 * last + x[b, t]
    np.testing.assert_allclose(run(text, x, h0), want)


def test_batches_of_batches() -> None:
    """A batched def that itself calls batched defs, with shared and batched arguments."""
    text = (
        LIBRARY
        + """
def normalise(X: f32[M, N]) -> Y: f32[M, N]:
    (l, h) = stats(X)
    Z = scale[by=4](X)
    Y[i, j] = (Z[i, j] - l[i]) / (h[i] - l[i])

def apply(X: f32[M, N], w: f32[N]) -> Y: f32[M, N]:
    v = softmax(w)
    A = normalise(X)
    Y[i, j] = A[i, j] * v[j]

def f(X: f32[B, C, M, N], w: f32[N]) -> Y: f32[B, C, M, N]:
    Y = apply(X, w)
"""
    )
    x, w = normal(2, 2, 3, 4), normal(4, seed=1)
    low, high = x.astype(float).min(-1, keepdims=True), x.astype(float).max(-1, keepdims=True)
    e = np.exp(w.astype(float))
    np.testing.assert_allclose(
        run(text, x, w), (4 * x - low) / (high - low) * e / e.sum(), rtol=1e-6
    )


def test_batched_scalars_and_untold_sizes() -> None:
    text = (
        LIBRARY
        + """
def g(X: f32[N], s: f32[2]) -> (Y: f32[N], Z: f32[N]):
    Y = axpy(s[0], X, X)
    Z = maximum(X, s[1])

def f(X: f32[B, N], s: f32[B, 2], ids: i32[B, N]) -> (Y: f32[B, N], Z: f32[B, N], H: f32[B, N, 3]):
    (Y, Z) = g(X, s)
    H = one_hot(ids)
"""
    )
    x, s, ids = normal(3, 4), normal(3, 2, seed=1), integers(3, 4, low=0, high=3)
    y, z, h = run(text, x, s, ids)
    np.testing.assert_allclose(y, s[:, :1].astype(float) * x + x)
    np.testing.assert_array_equal(z, np.maximum(x, s[:, 1:]))
    np.testing.assert_array_equal(h, np.eye(3)[ids])


def test_batch_iterators_do_not_capture() -> None:
    """The def's own iterator is called `b`, as the batch's would be, over a range of the same size."""
    text = """
def g(X: f32[N]) -> Y: f32[N]:
    Y[b] = X[b] + sum[b1](X[b1])

def f(X: f32[N, N]) -> Y: f32[N, N]:
    Y = g(X)
"""
    x = normal(3, 3)
    w = x.astype(float)
    np.testing.assert_allclose(run(text, x), w + w.sum(1, keepdims=True))


def test_calls_on_locals_that_do_not_start_at_zero() -> None:
    text = (
        LIBRARY
        + """
def f(X: f32[B, N]) -> (Y: f32[B, N - 1], Z: f32[N - 1], W: f32[N - 1]):
    D[b, i in 1:N] = X[b, i] - X[b, i-1]
    E[i in 1:N] = X[0, i]
    Y = scale(D)
    F = exp(E)
    Z = scale(F)
    W = maximum(E, F)
"""
    )
    x = normal(2, 5)
    y, z, w = run(text, x)
    np.testing.assert_allclose(y, 2 * np.diff(x.astype(float)))
    np.testing.assert_allclose(z, 2 * np.exp(x[0, 1:].astype(float)))
    np.testing.assert_allclose(w, np.exp(x[0, 1:].astype(float)))


def test_results_are_converted_and_copied() -> None:
    text = (
        LIBRARY
        + "def f(X: f32[N]) -> (Y: f64[N], Z: f32[N], W: f16[N]):\n    Y = scale(X)\n    Z = X\n    W = scale(X)\n"
    )
    x = normal(4)
    y, z, w = run(text, x)
    np.testing.assert_allclose(y, 2 * x.astype(float))
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(w, (2 * x.astype(float)).astype(np.float16))


def test_aliases_are_no_copies() -> None:
    program = lower(parse(HEAD + "    T = X\n    U = T\n    Y[i] = U[i]\n"))
    assert len(program.body) == 1


def test_names_of_inlined_tensors() -> None:
    program = lower(
        parse(
            "def f(X: f32[B, N]) -> Y: f32[B, N]:\n    A = softmax(X)\n    B1 = softmax(A)\n    Y[i, j] = B1[i, j]\n"
        )
    )
    names = [d.tensor.name for d in program.definitions()]
    assert names == ["softmax_1_m", "softmax_1_e", "A", "softmax_2_m", "softmax_2_e", "B1", "Y"]


def test_a_files_def_hides_the_librarys() -> None:
    text = """
def softmax(X: f32[N]) -> Y: f32[N]:
    Y[i] = 7

def f(X: f32[N], Z: f32[M, C], ids: i32[M]) -> (Y: f32[N], z: f32):
    Y = softmax(X)
    z = cross_entropy(Z, ids)
"""
    x, z, ids = normal(3), normal(2, 4), np.array([1, 3], np.int32)
    y, loss = run(text, x, z, ids)
    np.testing.assert_array_equal(y, [7, 7, 7])
    w = z.astype(float)
    want = np.mean(np.log(np.exp(w).sum(1)) - w[[0, 1], ids])
    np.testing.assert_allclose(loss, want)


def test_sizes_that_only_the_result_tells() -> None:
    text = "def f(ids: i32[N]) -> Y: f32[N, 5]:\n    Y = one_hot(ids)\n"
    np.testing.assert_array_equal(
        run(text, np.array([1, 4, 7], np.int32)), np.eye(8)[[1, 4, 7]][:, :5]
    )
    text = "def f(X: f32[N]) -> Y: f32[M]:\n    Y[i] = X[i]\n"
    np.testing.assert_array_equal(
        run(text, np.arange(4, dtype=np.float32), sizes={"M": 3}), [0, 1, 2]
    )


def test_declared_types_of_arguments() -> None:
    program = lower(
        parse(
            "def g(x: float) -> y: float:\n    y = x * 0.1\ndef f(X: f64[N]) -> Y: f64[N]:\n    Y = g(X)\n"
        )
    )
    (definition,) = program.definitions()
    assert definition.tensor.dtype is f64 and definition.body.dtype is f64
    assert f32 not in {a.dtype for a in definition.body.children()}


def test_long_programs() -> None:
    """2,000 lines; how long that takes is measured by the benchmarks, not here."""
    body = "".join(f"    T{n}[i] = X[i] * {n} + sum[k](X[k] - {n})\n" for n in range(2000))
    module = parse(HEAD + body + "    Y[i] = T1999[i]\n")
    assert len(module.defs[0].body) == 2001
    short = body[: body.index("    T200[")]
    assert len(lower(parse(HEAD + short + "    Y[i] = T199[i]\n")).body) == 201
