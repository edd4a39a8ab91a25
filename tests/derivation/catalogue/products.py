"""Products of matrices: orders, shared factors, traces, linear layers, projections."""

from __future__ import annotations

from tcomp.ir.tensor.nodes import Apply, Program, Reduce, postorder
from tcomp.passes import split_constants
from tcomp.passes.derivation.estimate import extent
from tests.derivation.catalogue.case import Case
from tests.derivation.forms import Form, largest, work
from tests.derivation.orders import fewest_products

VECTOR = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {k}, {n}], v: f32[{b}, {n}]) -> y: f32[{b}, {m}]:\n"
    "    C[b in 0:{b}, i in 0:{m}, j in 0:{n}] = sum[k in 0:{k}](A[b, i, k] * B[b, k, j])\n"
    "    y[b, i] = sum[j in 0:{n}](C[b, i, j] * v[b, j])\n"
)
CHAIN = (
    "def f(A: f32[{g}, {m}, {k}], B: f32[{g}, {k}, {n}], C: f32[{g}, {n}, {p}], D: f32[{g}, {p}, {q}])"
    " -> Y: f32[{g}, {m}, {q}]:\n"
    "    T[g in 0:{g}, i in 0:{m}, j in 0:{n}] = sum[k](A[g, i, k] * B[g, k, j])\n"
    "    U[g in 0:{g}, i in 0:{m}, p in 0:{p}] = sum[j in 0:{n}](T[g, i, j] * C[g, j, p])\n"
    "    Y[g, i, q] = sum[p in 0:{p}](U[g, i, p] * D[g, p, q])\n"
)
LOW_RANK = (
    "def f(A: f32[{b}, {m}, {k}], U: f32[{k}, {r}], V: f32[{r}, {n}]) -> Y: f32[{b}, {m}, {n}]:\n"
    "    W[k, j] = sum[r](U[k, r] * V[r, j])\n    Y[b, i, j] = sum[k](A[b, i, k] * W[k, j])\n"
)
SHARED = (
    "def f(X: f32[{b}, {m}, {k}], Y: f32[{b}, {m}, {k}], V: f32[{k}, {n}], W: f32[{k}, {n}])"
    " -> Z: f32[{b}, {m}, {n}]:\n"
    "    Z[b, i, j] = sum[k](X[b, i, k] * W[k, j]) {sign} sum[l](Y[b, i, l] * {other}[l, j])\n"
)
TRACE = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {k}, {m}]) -> t: f32[{b}]:\n"
    "    C[b in 0:{b}, i in 0:{m}, j in 0:{m}] = sum[k in 0:{k}](A[b, i, k] * B[b, k, j])\n"
    "    t[b] = sum[i in 0:{m}](C[b, i, i])\n"
)
PROJECTIONS = (
    "def f(X: f32[{b}, {m}, {k}], U: f32[{k}, {n}], V: f32[{k}, {n}], W: f32[{k}, {p}])"
    " -> (q: f32[{b}, {m}, {n}], k: f32[{b}, {m}, {n}], v: f32[{b}, {m}, {p}]):\n"
    "    q[h, i, j] = sum[c](X[h, i, c] * U[c, j])\n    k[h, i, j] = sum[c](X[h, i, c] * V[c, j])\n"
    "    v[h, a, b] = sum[d](W[d, b] * X[h, a, d])\n"
)
LAYERS = (
    "def f(X: f32[{b}, {m}, {k}], V: f32[{k}, {n}], W: f32[{n}, {p}]) -> Y: f32[{b}, {m}, {p}]:\n"
    "    H[b in 0:{b}, i in 0:{m}, j in 0:{n}] = {act}(sum[k](X[b, i, k] * V[k, j]))\n"
    "    Y[b, i, p] = sum[j in 0:{n}](H[b, i, j] * W[j, p])\n"
)
SLICE = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {k}, {n}]) -> Y: f32[{b}, {r}, {n}]:\n"
    "    C[b in 0:{b}, i in 0:{m}, j in 0:{n}] = sum[k](A[b, i, k] * B[b, k, j])\n"
    "    Y[b, i, j] = C[b, 2*i + 3, j]\n"
)
SUM_OF_SLICE = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {k}, {n}]) -> Y: f32[{b}, {n}]:\n"
    "    C[b in 0:{b}, i in 0:{m}, j in 0:{n}] = sum[k](A[b, i, k] * B[b, k, j])\n"
    "    Y[b, j] = sum[i in 0:{r}](C[b, i + 3, j])\n"
)
# Rows of two tensors one after the other, summed over, or each multiplied.
JOINED = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {n}, {k}], W: f32[{m} + {n}, {r}]) -> Y: f32[{b}, {k}, {r}]:\n"
    "    C[b in 0:{b}, i in 0:{m} + {n}, k in 0:{k}] = "
    "where(i < {m}, (A[b, i, k] else 0.0), (B[b, i - {m}, k] else 0.0))\n"
    "    Y[b, k, j] = sum[i](C[b, i, k] * W[i, j])\n"
)
BESIDE = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {n}, {k}], W: f32[{k}, {r}]) -> Y: f32[{b}, {m} + {n}, {r}]:\n"
    "    C[b in 0:{b}, i in 0:{m} + {n}, k in 0:{k}] = "
    "where(i < {m}, (A[b, i, k] else 0.0), (B[b, i - {m}, k] else 0.0))\n"
    "    Y[b, i, j] = sum[k](C[b, i, k] * W[k, j])\n"
)


def at_most(operations: float, constants: str = "") -> Form:
    """So many scalar operations at a call, where the constants are bound."""
    names = frozenset(constants.split())

    def is_it(program: Program) -> bool:
        called = split_constants(program, names)[1] if names else program
        return work(called) <= operations

    return is_it


def trace_without_product(b: int, m: int, k: int) -> Form:
    return lambda p: work(p) <= 3 * b * m * k and largest(p) <= b * m


def plain_products(number: int) -> Form:
    """So many sums, none of which chooses between operands."""

    def is_it(program: Program) -> bool:
        nodes = [n for d in program.definitions() for n in postorder(d.body)]
        sums = [n for n in nodes if isinstance(n, Reduce)]
        chosen = [n for s in sums for n in postorder(s) if isinstance(n, Apply) and n.op == "where"]
        return len(sums) == number and not chosen

    return is_it


def one_product(points: int) -> Form:
    """A single product of matrices, of so many results."""

    def is_it(program: Program) -> bool:
        found = [
            d
            for d in program.definitions()
            if any(isinstance(n, Reduce) for n in postorder(d.body))
        ]
        return len(found) == 1 and extent(found[0].iters) == points

    return is_it


def _vector(variant: str, b: int, m: int, k: int, n: int) -> Case:
    form = at_most(2.01 * b * (k * n + m * k))
    return Case(5, "(AB)v", variant, VECTOR.format(b=b, m=m, k=k, n=n), form)


def _chain(variant: str, g: int, m: int, k: int, n: int, p: int, q: int) -> Case:
    extents = dict(zip("gmknpq", (g, m, k, n, p, q), strict=True))
    fewest = fewest_products(("gmk", "gkn", "gnp", "gpq"), "gmq", extents)
    return Case(6, "ABCD", variant, CHAIN.format(**extents), at_most(2.01 * fewest), looks=200)


def _low_rank(variant: str, b: int, m: int, k: int, r: int, n: int) -> Case:
    text = LOW_RANK.format(b=b, m=m, k=k, r=r, n=n)
    return Case(7, "A(UV)", variant, text, at_most(2.01 * b * (m * k * r + m * r * n)), looks=200)


def _shared(variant: str, b: int, m: int, k: int, n: int, sign: str, other: str = "W") -> Case:
    text = SHARED.format(b=b, m=m, k=k, n=n, sign=sign, other=other)
    verdict = "chosen" if other == "W" else "refused"
    title = f"XW {sign} Y{other}"
    return Case(8, title, variant, text, at_most(2.2 * b * m * k * n), verdict, looks=200)


def _trace(variant: str, b: int, m: int, k: int) -> Case:
    form = trace_without_product(b, m, k)
    return Case(9, "trace(AB)", variant, TRACE.format(b=b, m=m, k=k), form, looks=200)


def _projections(variant: str, b: int, m: int, k: int, n: int, p: int) -> Case:
    text = PROJECTIONS.format(b=b, m=m, k=k, n=n, p=p)
    form = one_product(b * m * (2 * n + p))
    return Case(11, "three projections", variant, text, form, "either", constants="U V W")


def _layers(variant: str, b: int, m: int, k: int, n: int, p: int, act: str = "") -> Case:
    text = LAYERS.format(b=b, m=m, k=k, n=n, p=p, act=act)
    form = at_most(2 * b * m * k * p, "V W")
    title = f"{act}(XV)W" if act else "(XV)W"
    verdict = "refused" if act else "chosen"
    return Case(13, title, variant, text, form, verdict, constants="V W", looks=200)


def _parts(variant: str, b: int, m: int, k: int, n: int, r: int) -> tuple[Case, ...]:
    sizes = {"b": b, "m": m, "k": k, "n": n, "r": r}
    rows, total = at_most(2.01 * b * r * k * n), at_most(2.1 * b * (r * k + k * n))
    two = plain_products(2)
    return (
        Case(0, "rows of a product", variant, SLICE.format(**sizes), rows),
        Case(0, "a sum of rows of a product", variant, SUM_OF_SLICE.format(**sizes), total),
        Case(0, "a sum over a concatenation", variant, JOINED.format(**sizes), two, "either"),
        Case(0, "rows of a concatenation", variant, BESIDE.format(**sizes), two, "either"),
    )


CASES = (
    *_parts("stated", 1, 512, 256, 128, 64),
    *_parts("odd, prime", 1, 131, 61, 67, 29),
    *_parts("batched", 5, 63, 33, 45, 15),
    _vector("stated", 1, 1024, 1024, 1024),
    _vector("odd, prime", 1, 509, 1021, 257),
    _vector("prime, batched", 5, 97, 61, 113),
    _chain("stated", 1, 10, 1000, 10, 1000, 10),
    _chain("odd, prime", 1, 7, 331, 13, 509, 211),
    _chain("prime, batched", 3, 31, 101, 7, 53, 61),
    _low_rank("stated", 1, 512, 1024, 16, 1024),
    _low_rank("odd, prime", 1, 257, 509, 7, 331),
    _low_rank("batched", 8, 63, 255, 9, 127),
    _shared("stated", 1, 64, 512, 512, "+"),
    _shared("stated", 1, 64, 512, 512, "-"),
    _shared("odd, prime", 1, 61, 509, 257, "+"),
    _shared("prime, batched", 7, 13, 101, 61, "-"),
    _shared("stated", 1, 64, 512, 512, "+", "V"),
    _shared("prime, batched", 7, 13, 101, 61, "-", "V"),
    _trace("stated", 1, 1024, 1024),
    _trace("odd, prime", 1, 509, 1021),
    _trace("prime, batched", 7, 97, 61),
    _projections("stated", 1, 256, 512, 512, 512),
    _projections("one row", 1, 1, 512, 512, 512),
    _projections("odd, prime", 1, 61, 37, 29, 31),
    _projections("odd, batched", 5, 15, 33, 21, 9),
    _layers("stated", 1, 64, 512, 512, 512),
    _layers("odd, prime", 1, 61, 257, 509, 127),
    _layers("prime, batched", 5, 13, 101, 211, 61),
    *(_layers("stated", 1, 64, 512, 512, 512, act) for act in ("relu", "tanh", "exp")),
    _layers("prime, batched", 5, 13, 101, 211, 61, "relu"),
)
