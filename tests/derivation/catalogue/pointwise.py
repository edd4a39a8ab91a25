"""Squares that are expanded, scales and biases that fold, attention in one pass."""

from __future__ import annotations

from tcomp.ir.tensor.nodes import Apply, Program, Read, Reduce, Scan, postorder
from tcomp.passes import split_constants
from tcomp.passes.derivation.estimate import extent
from tcomp.passes.lift import postorder_outside_reductions
from tcomp.passes.scoping import free_iters
from tests.derivation.catalogue.case import Case
from tests.derivation.forms import Form, largest

RESIDUAL = (
    "def f(X: f32[{b}, {m}, {n}], u: f32[{b}, {m}], v: f32[{b}, {n}]) -> t: f32[{b}]:\n"
    "    D[b, i, j] = X[b, i, j] - u[b, i] * v[b, j]\n    t[b] = sum[i, j](D[b, i, j] * D[b, i, j])\n"
)
DISTANCES = (
    "def f(X: f32[{b}, {m}, {d}], Y: f32[{b}, {k}, {d}]) -> Q: f32[{b}, {m}, {k}]:\n"
    "    Q[b, m, k] = sum[d]((X[b, m, d] - Y[b, k, d]) ** 2)\n"
)
NORM = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{o}, {c}, {t}, {t}], s: f32[{o}], m: f32[{o}], b: f32[{o}])"
    " -> Y: f32[{n}, {o}, {h}, {h}]:\n"
    "    Z[n in 0:{n}, o in 0:{o}, y in 0:{h}, x in 0:{h}] = "
    "sum[c in 0:{c}, r in 0:{t}, q in 0:{t}]((I[n, c, y + r - {t}//2, x + q - {t}//2] else 0) * F[o, c, r, q])\n"
    "    Y[n, o, y, x] = {act}((Z[n, o, y, x] - m[o]) * s[o] + b[o])\n"
)
LINEAR = (
    "def f(X: f32[{n}, {m}, {k}], W: f32[{k}, {j}], a: f32[{j}], s: f32[{j}], b: f32[{j}]) -> Y: f32[{n}, {m}, {j}]:\n"
    "    H[n, i, j] = sum[k](X[n, i, k] * W[k, j]) + a[j]\n    Y[n, i, j] = H[n, i, j] * s[j] + b[j]\n"
)
ATTENTION = (
    "def f(Q: f32[{h}, {s}, {d}], K: f32[{h}, {t}, {d}], V: f32[{h}, {t}, {d}]) -> O: f32[{h}, {s}, {d}]:\n"
    "    L[h, s, t] = sum[d](Q[h, s, d] * K[h, t, d]) * 0.125\n    m[h, s] = max[t](L[h, s, t])\n"
    "    E[h, s, t] = exp(L[h, s, t] - m[h, s])\n    P[h, s, t] = E[h, s, t] / sum[u](E[h, s, u])\n"
    "    O[h, s, d] = sum[t](P[h, s, t] * V[h, t, d])\n"
)
# The logarithm of a softmax, as one writes it: a logarithm for each element.
LIKELIHOOD = (
    "def f(X: f32[{b}, {m}, {n}]) -> Y: f32[{b}, {m}, {n}]:\n    M[b, i] = max[j](X[b, i, j])\n"
    "    E[b, i, j] = exp(X[b, i, j] - M[b, i])\n    S[b, i] = sum[j](E[b, i, j])\n"
    "    Y[b, i, j] = log(E[b, i, j] / S[b, i])\n"
)


def sums_of(*alone: str) -> Form:
    """Sums that read just one tensor each: each of these."""

    def is_it(program: Program) -> bool:
        sums = [
            n for d in program.definitions() for n in postorder(d.body) if isinstance(n, Reduce)
        ]
        read = [{n.tensor.name for n in postorder(s) if isinstance(n, Read)} for s in sums]
        return all({name} in read for name in alone)

    return is_it


def operations_outside(constants: str, *wanted: str) -> Form:
    """What the last definition does with its sums at a call."""
    names = frozenset(constants.split())

    def is_it(program: Program) -> bool:
        called = split_constants(program, names)[1]
        results = [d for d in called.definitions() if d.tensor in called.results]
        outside = [
            getattr(n, "op", "") for d in results for n in postorder_outside_reductions(d.body)
        ]
        return sorted(x for x in outside if x not in ("", "sum")) == sorted(wanted)

    return is_it


def logarithms(most: int) -> Form:
    """So many logarithms are taken."""

    def is_it(program: Program) -> bool:
        taken = [
            extent(free_iters(n))
            for d in program.definitions()
            for n in postorder(d.body)
            if isinstance(n, Apply) and n.op == "log"
        ]
        return sum(taken) <= most

    return is_it


def one_pass(h: int, s: int, t: int, d: int) -> Form:
    """A scan over blocks of keys: no tensor is as large as all scores."""

    def is_it(program: Program) -> bool:
        scans = any(isinstance(statement, Scan) for statement in program.body)
        # A scan's tensors have an axis of steps, of which one is kept.
        return scans and largest(program) < h * s * (t + d)

    return is_it


def _residual(variant: str, b: int, m: int, n: int) -> Case:
    text = RESIDUAL.format(b=b, m=m, n=n)
    return Case(
        10, "sum((X - uv')^2)", variant, text, sums_of("u", "v"), "either", 1.0, "", "fast", 100
    )


def _distances(variant: str, b: int, m: int, k: int, d: int, accuracy: str) -> Case:
    text = DISTANCES.format(b=b, m=m, k=k, d=d)
    verdict = "chosen" if accuracy == "fast" else "rejected"
    title = f"distances of all pairs, {accuracy}"
    return Case(0, title, variant, text, sums_of("X", "Y"), verdict, accuracy=accuracy)


def _norm(variant: str, n: int, c: int, h: int, o: int, t: int, act: str = "") -> Case:
    text = NORM.format(n=n, c=c, h=h, o=o, t=t, act=act)
    form = operations_outside("F s m b", "add", *([act] if act else []))
    title = f"batch norm{' and ' + act if act else ''} after conv{t}x{t}"
    return Case(12, title, variant, text, form, "either", constants="F s m b", looks=400)


def _linear(variant: str, n: int, m: int, k: int, j: int) -> Case:
    text = LINEAR.format(n=n, m=m, k=k, j=j)
    form = operations_outside("W a s b", "add")
    return Case(
        0, "scale and two biases", variant, text, form, "either", constants="W a s b", looks=400
    )


def _attention(variant: str, h: int, s: int, t: int, d: int) -> Case:
    text = ATTENTION.format(h=h, s=s, t=t, d=d)
    return Case(
        0, "attention in one pass", variant, text, one_pass(h, s, t, d), "either", 60.0, looks=900
    )


def _likelihood(variant: str, b: int, m: int, n: int) -> Case:
    text = LIKELIHOOD.format(b=b, m=m, n=n)
    return Case(0, "the logarithm of a softmax", variant, text, logarithms(b * m))


CASES = (
    _likelihood("stated", 1, 256, 1000),
    _likelihood("odd, prime", 1, 61, 509),
    _likelihood("batched", 5, 33, 45),
    _residual("stated", 1, 4096, 1024),
    _residual("odd, prime", 1, 509, 257),
    _residual("prime, batched", 5, 101, 67),
    _distances("stated", 1, 2000, 64, 32, "fast"),
    _distances("odd, prime", 1, 509, 61, 17, "fast"),
    _distances("prime, batched", 3, 211, 53, 13, "fast"),
    _distances("stated", 1, 2000, 64, 32, "standard"),
    _norm("stated", 1, 64, 56, 64, 3),
    _norm("stated", 1, 64, 56, 64, 3, "relu"),
    _norm("1x1", 1, 64, 28, 64, 1),
    _norm("odd, prime, batched", 3, 7, 13, 11, 3, "relu"),
    _linear("stated", 1, 256, 128, 128),
    _linear("odd, prime", 1, 61, 37, 53),
    _linear("batched", 5, 15, 33, 21),
    _attention("stated", 1, 200, 256, 32),
    _attention("batched", 3, 40, 96, 16),
    _attention("odd", 1, 45, 75, 9),
)
