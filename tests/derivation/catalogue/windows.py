"""Prefixes, sliding windows and separable stencils."""

from __future__ import annotations

from tcomp.ir.tensor.nodes import Program, Scan
from tests.derivation.catalogue.case import Case
from tests.derivation.catalogue.products import at_most
from tests.derivation.forms import work

CUMULATIVE = (
    "def f(X: f32[{m}, {n}]) -> Y: f32[{m}, {n}]:\n"
    "    Y[m, i] = {op}[j in 0:{n}](where(j <= i, X[m, j], {zero}))\n"
)
WINDOW = (
    "def f(X: f32[{m}, {n}]) -> Y: f32[{m}, {n} - {t} + 1]:\n"
    "    Y[m, i] = {op}[r in 0:{t}](X[m, i + r])\n"
)
FILTER = (
    "def f(X: f32[{b}, {h}, {w}], u: f32[{t}], v: f32[{t}]) -> Y: f32[{b}, {h}, {w}]:\n"
    "    Y[b, y, x] = sum[r, s](u[r] * v[s] * (X[b, y + r - {t}//2, x + s - {t}//2] else 0))\n"
)
STENCIL = "def f(X: f32[{b}, {h}, {w}]) -> Y: f32[{b}, {h}, {w}]:\n    Y[b, y, x] = {sum}\n"
BINOMIAL = (1, 4, 6, 4, 1)


def stencil(b: int, h: int, w: int) -> str:
    """The product of binomial weights along both axes, written out."""
    taps = [
        f"{p * q}*(X[b, y + {r}, x + {s}] else 0)"
        for r, p in enumerate(BINOMIAL)
        for s, q in enumerate(BINOMIAL)
    ]
    return STENCIL.format(b=b, h=h, w=w, sum=" + ".join(taps))


def a_scan(program: Program) -> bool:
    return any(isinstance(statement, Scan) for statement in program.body)


def _cumulative(variant: str, m: int, n: int, op: str, zero: str) -> Case:
    text = CUMULATIVE.format(m=m, n=n, op=op, zero=zero)
    return Case(0, f"cumulative {op}", variant, text, a_scan)


def _window(variant: str, m: int, n: int, t: int, op: str) -> Case:
    text = WINDOW.format(m=m, n=n, t=t, op=op)
    form = at_most(m * n * t / 2)
    return Case(0, f"sliding {op} of {t}", variant, text, form, looks=400)


def _filter(variant: str, b: int, h: int, w: int, t: int) -> Case:
    text = FILTER.format(b=b, h=h, w=w, t=t)
    form = at_most(4 * b * (h + t) * w * t * 1.1)
    return Case(0, f"filter {t}x{t} of rank 1", variant, text, form, looks=400)


def _stencil(variant: str, b: int, h: int, w: int) -> Case:
    text = stencil(b, h, w)
    return Case(
        0, "stencil 5x5 of rank 1", variant, text, lambda p: work(p) <= 22 * b * h * w * 1.1
    )


CASES = (
    _cumulative("stated", 32, 512, "sum", "0.0"),
    _cumulative("odd, prime, batched", 33, 509, "max", "-inf"),
    _cumulative("one row", 1, 211, "min", "inf"),
    _window("stated", 16, 2000, 256, "sum"),
    _window("odd, prime", 1, 2003, 61, "max"),
    _window("batched", 7, 999, 45, "sum"),
    _filter("stated", 1, 256, 300, 9),
    _filter("odd, prime", 1, 101, 211, 11),
    _filter("batched", 5, 63, 45, 7),
    _stencil("stated", 1, 256, 300),
    _stencil("odd, prime", 1, 101, 211),
    _stencil("batched", 5, 63, 45),
)
