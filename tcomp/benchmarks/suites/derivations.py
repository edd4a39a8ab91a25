"""Programs that pay to derive: each is timed as written and as derived, in the same rounds.

Most are the acceptance cases of the OLLIE line of work (Zheng et al., arXiv 2208.02025), of SPORES (Wang et al., VLDB
2020) and of tensor decompositions. Some should be left as they are: a ratio of 1 is right there.
"""

from tcomp.benchmarks.operations import Convolution, ProgramText
from tcomp.benchmarks.workload import Suite, Workload

ATTENTION = """
def f(Q: f32[H, S, D], K: f32[H, S, D], V: f32[H, S, D]) -> O: f32[H, S, D]:
    L[h, s, t] = sum[d](Q[h, s, d] * K[h, t, d]) * (D ** -0.5)
    m[h, s] = max[t](L[h, s, t])
    E[h, s, t] = exp(L[h, s, t] - m[h, s])
    z[h, s] = sum[t](E[h, s, t])
    O[h, s, d] = sum[t](E[h, s, t] / z[h, s] * V[h, t, d])
"""
_LOGITS = "sum[d](Q[h, s, d] * K[h, t, d]) * (D ** -0.5)"
CAUSAL_ATTENTION = ATTENTION.replace(_LOGITS, f"where(t <= s, {_LOGITS}, -inf)")


def _program(
    source: str,
    label: str,
    text: str,
    sizes: dict[str, int],
    constants: tuple[str, ...] = (),
    *,
    small: dict[str, int] | None = None,
    accuracy: str = "standard",
) -> Workload:
    """`small` gives the extents that are not 5 in tests."""
    least = {n: min(v, 5) for n, v in sizes.items()} | (small or {})
    operation = ProgramText(
        label, text.strip() + "\n", tuple(sizes.items()), tuple(least.items()), constants
    )
    return Workload(source, "derivation", operation, accuracy)


def _convolution(source: str, operation: Convolution, accuracy: str = "standard") -> Workload:
    return Workload(source, "derivation", operation, accuracy)


ORDER = (
    _program(
        "algebra",
        "(AB)v",
        """
def f(A: f32[M, K], B: f32[K, N], v: f32[N]) -> y: f32[M]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
""",
        {"M": 1024, "K": 1024, "N": 1024},
    ),
    _program(
        "algebra",
        "chain ABCD",
        """
def f(A: f32[M, K], B: f32[K, N], C: f32[N, P], D: f32[P, Q]) -> Y: f32[M, Q]:
    T[i, j] = sum[k](A[i, k] * B[k, j])
    U[i, p] = sum[j](T[i, j] * C[j, p])
    Y[i, q] = sum[p](U[i, p] * D[p, q])
""",
        {"M": 1000, "K": 10, "N": 1000, "P": 10, "Q": 1000},
    ),
    _program(
        "algebra",
        "A(UV), rank 16",
        """
def f(A: f32[M, K], U: f32[K, R], V: f32[R, N]) -> Y: f32[M, N]:
    W[k, j] = sum[r](U[k, r] * V[r, j])
    Y[i, j] = sum[k](A[i, k] * W[k, j])
""",
        {"M": 512, "K": 1024, "R": 16, "N": 1024},
    ),
    _program(
        "algebra",
        "XW + YW",
        """
def f(X: f32[M, K], Y: f32[M, K], W: f32[K, N]) -> Z: f32[M, N]:
    Z[i, j] = sum[k](X[i, k] * W[k, j]) + sum[k](Y[i, k] * W[k, j])
""",
        {"M": 64, "K": 512, "N": 512},
    ),
    _program(
        "algebra",
        "trace(AB)",
        """
def f(A: f32[M, K], B: f32[K, M]) -> t: f32:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    t = sum[i in 0:M](C[i, i])
""",
        {"M": 1024, "K": 1024},
    ),
    _program(
        "spores",
        "sum((X - uv')^2)",
        """
def f(X: f32[M, N], u: f32[M], v: f32[N]) -> t: f32:
    D[i, j] = X[i, j] - u[i] * v[j]
    t = sum[i, j](D[i, j] * D[i, j])
""",
        {"M": 4096, "N": 1024},
    ),
    _program(
        "algebra",
        "(XW1)W2, weights",
        """
def f(X: f32[M, K], V: f32[K, N], W: f32[N, P]) -> Y: f32[M, P]:
    H[i, j] = sum[k](X[i, k] * V[k, j])
    Y[i, p] = sum[j](H[i, j] * W[j, p])
""",
        {"M": 64, "K": 512, "N": 512, "P": 512},
        ("V", "W"),
    ),
    _program(
        "transformer",
        "three projections",
        """
def f(X: f32[M, K], U: f32[K, N], V: f32[K, N], W: f32[K, N]) -> (q: f32[M, N], k: f32[M, N], v: f32[M, N]):
    q[i, j] = sum[c](X[i, c] * U[c, j])
    k[i, j] = sum[c](X[i, c] * V[c, j])
    v[i, j] = sum[c](X[i, c] * W[c, j])
""",
        {"M": 256, "K": 512, "N": 512},
        ("U", "V", "W"),
    ),
)
DECOMPOSED = (
    _program(
        "tensor",
        "(A kron B)x",
        """
def f(A: f32[M, M], B: f32[N, N], x: f32[M*N]) -> y: f32[M*N]:
    K[i, j] = A[i//N, j//N] * B[i % N, j % N]
    y[i] = sum[j in 0:M*N](K[i, j] * x[j])
""".replace("K[i, j] =", "K[i in 0:M*N, j in 0:M*N] ="),
        {"M": 64, "N": 64},
    ),
    _program(
        "tensor",
        "Tucker",
        """
def f(G: f32[R, S, T], U: f32[I, R], V: f32[J, S], W: f32[K, T]) -> X: f32[I, J, K]:
    X[i, j, k] = sum[r, s, t](G[r, s, t] * U[i, r] * V[j, s] * W[k, t])
""",
        {"R": 8, "S": 8, "T": 8, "I": 48, "J": 48, "K": 48},
    ),
    _program(
        "tensor",
        "CP times matrix",
        """
def f(U: f32[I, R], V: f32[J, R], W: f32[K, R], X: f32[K, N]) -> Y: f32[I, J, N]:
    T[i, j, k] = sum[r](U[i, r] * V[j, r] * W[k, r])
    Y[i, j, n] = sum[k](T[i, j, k] * X[k, n])
""",
        {"I": 64, "J": 64, "K": 256, "R": 16, "N": 32},
    ),
    _program(
        "tensor",
        "tensor train layer",
        """
def f(X: f32[B, I, J, K], F: f32[I, P, R], G: f32[R, J, Q, S], H: f32[S, K, O]) -> Y: f32[B, P, Q, O]:
    Y[b, p, q, o] = sum[i, j, k, r, s](X[b, i, j, k] * F[i, p, r] * G[r, j, q, s] * H[s, k, o])
""",
        {"B": 8, "I": 8, "J": 8, "K": 8, "P": 8, "Q": 8, "O": 8, "R": 4, "S": 4},
        small=dict.fromkeys("BIJKPQORS", 2),
    ),
    _program(
        "tensor",
        "Monarch layer",
        """
def f(L: f32[P, P, P], R: f32[P, P, P], X: f32[B, P*P]) -> Y: f32[B, P*P]:
    T[b, i, j] = sum[k in 0:P](X[b, i*P + k] * R[i, k, j])
    Y[b, y] = sum[i in 0:P](T[b, i, y % P] * L[y % P, i, y//P])
""".replace("T[b, i, j] =", "T[b, i in 0:P, j in 0:P] ="),
        {"B": 64, "P": 32},
    ),
    _program(
        "tensor",
        "five-operand einsum",
        """
def f(A: f32[I, J], B: f32[J, K, L], C: f32[L, M], D: f32[K, N], E: f32[N, M]) -> Y: f32[I]:
    Y[i] = sum[j, k, l, m, n](A[i, j] * B[j, k, l] * C[l, m] * D[k, n] * E[n, m])
""",
        {"I": 16, "J": 16, "K": 16, "L": 16, "M": 16, "N": 16},
        small=dict.fromkeys("IJKLMN", 3),
    ),
)
NETWORKS = (
    _program(
        "resnet",
        "convolution and batch norm",
        """
def f(I: f32[C, H, H], F: f32[O, C, 3, 3], s: f32[O], m: f32[O], b: f32[O]) -> Y: f32[O, H, H]:
    Z[o, y, x] = sum[c, r, q]((I[c, y + r - 1, x + q - 1] else 0) * F[o, c, r, q])
    Y[o, y, x] = (Z[o, y, x] - m[o]) * s[o] + b[o]
""".replace("Z[o, y, x] =", "Z[o, y in 0:H, x in 0:H] ="),
        {"C": 64, "O": 64, "H": 56},
        ("F", "s", "m", "b"),
    ),
    _program(
        "transformer",
        "attention written plainly",
        ATTENTION,
        {"H": 8, "S": 512, "D": 64},
        small={"H": 2, "D": 4},
    ),
    _program(
        "transformer",
        "attention 12 x 128",
        ATTENTION,
        {"H": 12, "S": 128, "D": 64},
        small={"H": 2, "D": 4},
    ),
    _program(
        "transformer",
        "causal attention 12 x 1024",
        CAUSAL_ATTENTION,
        {"H": 12, "S": 1024, "D": 64},
        small={"H": 2, "D": 4},
    ),
    _program(
        "transformer",
        "attention 8 x 4096",
        ATTENTION,
        {"H": 8, "S": 4096, "D": 64},
        small={"H": 2, "D": 4},
    ),
    _program(
        "clustering",
        "distances of all pairs",
        """
def f(X: f32[M, D], Y: f32[N, D]) -> Z: f32[M, N]:
    Z[i, j] = sum[d]((X[i, d] - Y[j, d])**2)
""",
        {"M": 2048, "N": 256, "D": 64},
        accuracy="fast",
    ),
    _convolution("resnet", Convolution((1, 512, 7, 7), 512, (1, 1))),
    _convolution("dcgan", Convolution((1, 100, 1, 1), 512, (4, 4), transposed=True)),
    _convolution("infogan", Convolution((16, 448, 2, 2), 256, (4, 4), 2, (1, 1), transposed=True)),
    _convolution("dcgan", Convolution((1, 256, 8, 8), 128, (4, 4), 2, (1, 1), transposed=True)),
    _convolution("dcgan", Convolution((1, 64, 32, 32), 3, (4, 4), 2, (1, 1), transposed=True)),
    _convolution("gcn", Convolution((1, 2048, 7, 7), 128, (1, 7), pad=(0, 3))),
    _convolution("csrnet", Convolution((1, 512, 14, 14), 512, (3, 3), pad=(2, 2), dilation=2)),
    _convolution("resnet", Convolution((1, 64, 56, 56), 64, (3, 3), pad=(1, 1))),
    _convolution("resnet", Convolution((1, 64, 56, 56), 64, (3, 3), pad=(1, 1)), "fast"),
    _convolution("resnet", Convolution((1, 256, 14, 14), 256, (3, 3), pad=(1, 1)), "fast"),
    _convolution("resnet", Convolution((1, 512, 7, 7), 512, (3, 3), pad=(1, 1))),
    _convolution("srcnn", Convolution((1, 16, 112, 112), 64, (6, 6))),
    _convolution("srcnn", Convolution((1, 8, 112, 112), 32, (9, 9), pad=(4, 4))),
    _convolution("fsrcnn", Convolution((4, 32, 112, 112), 1, (5, 5), pad=(2, 2))),
)
SUMS = (
    _program(
        "signal",
        "cumulative sums",
        """
def f(X: f32[M, N]) -> Y: f32[M, N]:
    Y[i, j] = sum[k in 0:N](where(k <= j, X[i, k], 0))
""",
        {"M": 64, "N": 2048},
    ),
    _program(
        "signal",
        "sliding sums, window 64",
        """
def f(X: f32[M, N]) -> Y: f32[M, N]:
    Y[i, j] = sum[k in 0:64](X[i, j - k] else 0)
""",
        {"M": 64, "N": 16384},
        small={"N": 70},
    ),
    _program(
        "image",
        "box filter 15x15",
        """
def f(X: f32[H, W]) -> Y: f32[H, W]:
    Y[y, x] = sum[r in 0:15, q in 0:15](X[y + r - 7, x + q - 7] else 0) / 225.0
""",
        {"H": 1024, "W": 1024},
        small={"H": 20, "W": 18},
    ),
    _program(
        "image",
        "separable filter 11x11",
        """
def f(X: f32[H, W], g: f32[11], h: f32[11]) -> Y: f32[H, W]:
    Y[y, x] = sum[r, q]((X[y + r - 5, x + q - 5] else 0) * g[r] * h[q])
""",
        {"H": 1024, "W": 1024},
        small={"H": 14, "W": 13},
    ),
    _program(
        "algebra",
        "sum of an outer product",
        """
def f(u: f32[M], v: f32[N]) -> t: f32:
    P[i, j] = u[i] * v[j]
    t = sum[i, j](P[i, j])
""",
        {"M": 4096, "N": 4096},
    ),
)

SUITE = Suite(
    name="derivations",
    title="programs as written and derived",
    workloads=(*ORDER, *DECOMPOSED, *NETWORKS, *SUMS),
    peers=("as_written",),
    targets={"derivation": 1.0},
)
