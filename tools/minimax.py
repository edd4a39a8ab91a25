"""Derives the polynomials of `tcomp.codegen.math` and writes them to `coefficients.py`.

Method: Remez' exchange in multi-precision arithmetic on a dense Chebyshev grid, with the error weighted
so that it is relative to the function computed. Coefficients are rounded to the type they are used in,
the lowest first, and the rest is refitted each time (a simple form of Brisebarre and Chevillard's
"Efficient polynomial L-infinity approximations", ARITH 2007). Intervals and forms: Muller, "Elementary
Functions", 3rd edition; Cody & Waite, "Software Manual for the Elementary Functions".

    python tools/minimax.py            writes tcomp/codegen/math/coefficients.py
    python tools/minimax.py NAME       prints one polynomial and its error
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mpmath import mp, mpf

mp.dps = 60
Function = Callable[[Any], Any]
TARGET = Path(__file__).parents[1] / "tcomp" / "codegen" / "math" / "coefficients.py"


@dataclass(frozen=True)
class Spec:
    """p(x) = sum of c[i] x**i, i < terms, close to `function` on [low, high]; `weight` scales the error."""

    name: str
    function: Function
    weight: Function
    low: Any
    high: Any
    terms: int
    bits: int  # 24 for f32, 53 for f64


def round_to(value: Any, bits: int) -> Any:
    """The nearest float of 24 or 53 significant bits."""
    as_double = float(value)
    if bits == 53:
        return mpf(as_double)
    return mpf(struct.unpack("f", struct.pack("f", as_double))[0])


def grid(low: Any, high: Any, points: int) -> list[Any]:
    """Chebyshev nodes: dense at the ends, where the error oscillates fastest."""
    low, high = mpf(low), mpf(high)
    centre, radius = (low + high) / 2, (high - low) / 2
    return [centre - radius * mp.cos(mp.pi * (i + mpf(1) / 2) / points) for i in range(points)]


def horner(coefficients: Sequence[Any], x: Any) -> Any:
    value = mpf(0)
    for c in reversed(coefficients):
        value = value * x + c
    return value


def remez(
    xs: list[Any], values: list[Any], weights: list[Any], first: int, terms: int
) -> list[Any]:
    """Coefficients of x**first ... x**(first+terms-1) with the least weighted maximum error on the grid."""
    picks = [(2 * i + 1) * len(xs) // (2 * (terms + 1)) for i in range(terms + 1)]
    for _ in range(30):
        matrix = mp.matrix(terms + 1, terms + 1)
        right = mp.matrix(terms + 1, 1)
        for row, k in enumerate(picks):
            for column in range(terms):
                matrix[row, column] = xs[k] ** (first + column)
            matrix[row, terms] = (-1) ** row / weights[k]
            right[row] = values[k]
        solution = mp.lu_solve(matrix, right)
        found, level = [solution[i] for i in range(terms)], abs(solution[terms])
        errors = [
            w * (v - x**first * horner(found, x))
            for x, v, w in zip(xs, values, weights, strict=True)
        ]
        picks = extrema(errors, terms + 1) or picks
        if max(map(abs, errors)) <= level * mpf("1.001"):
            break
    return found


def extrema(errors: list[Any], count: int) -> list[int] | None:
    """Positions of `count` alternating extrema, the largest kept; None if there are fewer."""
    runs: list[int] = []
    for k, error in enumerate(errors):
        if runs and (errors[runs[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[runs[-1]]):
                runs[-1] = k
        else:
            runs.append(k)
    while len(runs) > count:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    return runs if len(runs) == count else None


def refit(xs: Any, rest: Any, weights: Any, first: int, terms: int) -> Any:
    """`remez` in double precision by Lawson's iteration, which also takes bases that vanish at 0."""
    basis = np.stack([xs ** (first + i) for i in range(terms)], axis=1) * weights[:, None]
    right = rest * weights
    emphasis = np.ones(len(xs)) / len(xs)
    best, least = None, np.inf
    for _ in range(200):
        root = np.sqrt(emphasis)
        found = np.linalg.lstsq(basis * root[:, None], right * root, rcond=1e-16)[0]
        errors = np.abs(basis @ found - right)
        if errors.max() < least:
            best, least = found, errors.max()
        emphasis = emphasis * errors
        emphasis /= emphasis.sum()
    return best


def derive(spec: Spec) -> tuple[list[float], float]:
    """The rounded coefficients, lowest first, and the weighted maximum error they leave.

    Rounding to f64 is harmless, for every form has its leading terms exact; rounding to f32 is not.
    """
    xs = grid(spec.low, spec.high, 60 * (spec.terms + 2))
    target = [spec.function(x) for x in xs]
    weights = [abs(spec.weight(x)) for x in xs]
    found = [round_to(c, spec.bits) for c in remez(xs, target, weights, 0, spec.terms)]
    if spec.bits == 24:
        x, w = np.array(xs, dtype=float), np.array(weights, dtype=float)
        for done in range(1, spec.terms):
            rest = [v - horner(found[:done], x) for v, x in zip(target, xs, strict=True)]
            free = refit(x, np.array(rest, dtype=float), w, done, spec.terms - done)
            found[done:] = [round_to(c, spec.bits) for c in free]
    error = max(w * abs(v - horner(found, x)) for x, v, w in zip(xs, target, weights, strict=True))
    return [float(c) for c in found], float(error)


# -- the functions -------------------------------------------------------------------------------------


def in_square(odd: Function, start: int) -> Function:
    """g with odd(x) = x**start * g(x*x), as a function of z = x*x."""
    return lambda z: odd(mp.sqrt(z)) / mp.sqrt(z) ** start


def relative(function: Function, start: int) -> Function:
    """The weight that makes an error of g(z), z = x*x, relative to `function`."""
    return lambda z: mp.sqrt(z) ** start / function(mp.sqrt(z))


def odd_tail(name: str, function: Function, low: Any, high: Any, terms: int, bits: int) -> Spec:
    """function(x) = x + x**3 * g(x*x)."""
    tail = in_square(lambda x: function(x) - x, 3)
    return Spec(name, tail, relative(function, 3), mpf(low) ** 2, mpf(high) ** 2, terms, bits)


LN2 = mp.log(2)
ROOT = mp.sqrt(2)
QUARTER = mp.pi / 4 * mpf("1.0001")
REDUCED = LN2 / 2 * mpf("1.0005")


def exp_spec(name: str, terms: int, bits: int) -> Spec:
    """exp(r) = 1 + r + r*r*p(r)"""
    return Spec(
        name,
        lambda r: (mp.exp(r) - 1 - r) / r**2,
        lambda r: r**2 / mp.exp(r),
        -REDUCED,
        REDUCED,
        terms,
        bits,
    )


def log_spec(name: str, terms: int, bits: int) -> Spec:
    """log(1 + f) = f + f*f*p(f)"""
    return Spec(
        name,
        lambda f: (mp.log1p(f) - f) / f**2,
        lambda f: f**2 / mp.log1p(f),
        1 / ROOT - 1,
        ROOT - 1,
        terms,
        bits,
    )


def log2_spec(name: str, terms: int, bits: int) -> Spec:
    """log2(1 + f) = f/ln2 + f*f*p(f)"""
    return Spec(
        name,
        lambda f: (mp.log1p(f) - f) / LN2 / f**2,
        lambda f: f**2 * LN2 / mp.log1p(f),
        1 / ROOT - 1,
        ROOT - 1,
        terms,
        bits,
    )


def atanh_spec(name: str, terms: int) -> Spec:
    """2 atanh(s) = 2 s + s**3 p(s*s): log of the ratio (1+s)/(1-s)"""
    high = (ROOT - 1) / (ROOT + 1) * mpf("1.0001")
    f = lambda s: 2 * mp.atanh(s)  # noqa: E731
    tail = in_square(lambda s: f(s) - 2 * s, 3)
    return Spec(name, tail, relative(f, 3), mpf("1e-8"), high**2, terms, 53)


def atanh_tail_spec(name: str, terms: int) -> Spec:
    """2 atanh(s) = 2 s + 2/3 s**3 + s**5 p(s*s)"""
    high = (ROOT - 1) / (ROOT + 1) * mpf("1.0001")
    f = lambda s: 2 * mp.atanh(s)  # noqa: E731
    tail = in_square(lambda s: f(s) - 2 * s - 2 * s**3 / 3, 5)
    return Spec(name, tail, relative(f, 5), mpf("1e-8"), high**2, terms, 53)


def cos_spec(name: str, terms: int, bits: int) -> Spec:
    """cos(x) = 1 - z/2 + z*z*p(z), z = x*x"""
    return Spec(
        name,
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        lambda z: z**2 / mp.cos(mp.sqrt(z)),
        mpf("1e-8"),
        QUARTER**2,
        terms,
        bits,
    )


ERFCX_SLOPE = mpf("0.375")


def erfcx_spec(name: str, terms: int, bits: int, furthest: Any) -> Spec:
    """exp(x*x) erfc(x) = t * p(t - 1/2), t = 1 / (1 + 3/8 x), for 0 <= x <= furthest.

    A variable that maps the half line to an interval: Shepherd & Laframboise, Math. Comp. 36 (1981).
    """

    def scaled(u: Any) -> Any:
        t = u + mpf("0.5")
        x = (1 / t - 1) / ERFCX_SLOPE
        return mp.exp(x * x) * mp.erfc(x) / t

    low = 1 / (1 + mpf(furthest) * ERFCX_SLOPE) - mpf("0.5")
    return Spec(name, scaled, lambda u: 1 / scaled(u), low, mpf("0.5"), terms, bits)


def erf_small_spec(name: str, high: Any, terms: int, bits: int) -> Spec:
    """erf(x) = x + x * p(x*x)"""
    tail = in_square(lambda x: mp.erf(x) - x, 1)
    return Spec(name, tail, relative(mp.erf, 1), mpf("1e-12"), mpf(high) ** 2, terms, bits)


def erf_large_spec(name: str, low: Any, high: Any, terms: int, bits: int) -> Spec:
    """erf(x) = 1 - exp(p(x)); the weight makes the error relative to erf"""
    return Spec(
        name, lambda x: mp.log(mp.erfc(x)), lambda x: mp.erfc(x) / mp.erf(x), low, high, terms, bits
    )


TINY = mpf("1e-5")
SPECS = [
    exp_spec("EXP_F32", 5, 24),
    exp_spec("EXP_F64", 10, 53),
    exp_spec("EXP_F64_SHORT", 6, 53),
    log_spec("LOG_F32", 9, 24),
    log2_spec("LOG2_F32", 9, 24),
    log2_spec("LOG2_F64_SHORT", 13, 53),
    atanh_spec("ATANH_F64", 7),
    atanh_tail_spec("ATANH_TAIL_F64", 8),
    odd_tail("SIN_F64_SHORT", mp.sin, TINY, QUARTER, 4, 53),
    cos_spec("COS_F64_SHORT", 4, 53),
    odd_tail("SIN_F64", mp.sin, TINY, QUARTER, 6, 53),
    cos_spec("COS_F64", 6, 53),
    odd_tail("SINH_F32", mp.sinh, TINY, mpf(1), 4, 24),
    odd_tail("SINH_F64", mp.sinh, TINY, mpf(1), 8, 53),
    odd_tail("ATAN_F32", mp.atan, TINY, mpf(1), 8, 24),
    odd_tail("ATAN_F64", mp.atan, TINY, mpf(1), 19, 53),
    odd_tail("ASIN_F32", mp.asin, TINY, mpf("0.5"), 5, 24),
    odd_tail("ASIN_F64", mp.asin, TINY, mpf("0.5"), 12, 53),
    erf_small_spec("ERF_SMALL_F32", "0.875", 6, 24),
    erf_small_spec("ERF_SMALL_F64", 1, 12, 53),
    erf_large_spec("ERF_LARGE_F32", "0.875", 4, 8, 24),
    erfcx_spec("ERFCX_F32", 10, 24, "10.5"),
    erfcx_spec("ERFCX_F64", 24, 53, "27.5"),
]

HEADER = '''"""Coefficients of the polynomials, lowest power first. Written by tools/minimax.py: do not edit.

Each error is the largest weighted error on the interval, relative to the function computed, before
rounding errors of its evaluation (2**-24 = 6.0e-08 is half an ULP of f32, 2**-53 = 1.1e-16 of f64).
"""

from __future__ import annotations
'''


def render(name: str, coefficients: list[float], error: float) -> str:
    lines = "".join(f"    {c!r},\n" for c in coefficients)
    return f"\n{name} = (  # error {error:.1e}\n{lines})\n"


def main(names: list[str]) -> None:
    if names:
        for spec in SPECS:
            if any(n in spec.name for n in names):
                print(render(spec.name, *derive(spec)))
        return
    TARGET.write_text(HEADER + "".join(render(spec.name, *derive(spec)) for spec in SPECS))


if __name__ == "__main__":
    main(sys.argv[1:])
