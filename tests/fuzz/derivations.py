"""Random programs of the forms that the rules of derivations match, and the check of all they lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.printer import print_program
from tcomp.ir.tensor.sampling import draw_inputs
from tcomp.ir.tensor.verifier import verify
from tcomp.lang import lower, parse
from tcomp.passes.derivation import RULES, derive
from tcomp.passes.derivation.rules import EIGHTHS
from tcomp.passes.derivation.search import State
from tcomp.passes.derivation.strassen import strassen
from tcomp.passes.derivation.toom_cook import toom_cook
from tcomp.passes.derivation.winograd import winograd
from tcomp.passes.verification import verify_equal
from tests.fuzz.choices import Choices, Seeded

SECONDS = 0.2  # of search for a program: what every compilation spends
MOST_STATES = 24  # compared for each program: the cheapest, and a spread of the others
MOST_INTERPRETED = 4
_EXTENTS = (4, 3, 5, 6, 8, 2, 7, 1, 12)
# Lemmas for products of thousands and for images at the sizes of these programs.
_SMALL = {
    "Strassen": strassen(1, 4),
    "Strassen, two levels": strassen(2, 4),
    "Winograd F(2, 2)": winograd(toom_cook(2, 2, (1, -1)), least_tiles=1),
    "Winograd F(3, 2)": winograd(toom_cook(3, 2, (0, 1, -1)), least_tiles=1),
    "Winograd F(4, 2)": winograd(toom_cook(4, 2, EIGHTHS), least_tiles=1),
    "Winograd F(2, 3)": winograd(toom_cook(2, 3, (0, 1, -1)), least_tiles=1),
    "Winograd F(4, 3)": winograd(toom_cook(4, 3, (0, *EIGHTHS)), least_tiles=1),
    "Winograd F(2, 5)": winograd(toom_cook(2, 5, (0, *EIGHTHS)), least_tiles=1),
    "Winograd F(3, 4), in two pieces": winograd(
        toom_cook(3, 4, (0, *EIGHTHS)), least_tiles=1, pieces=2
    ),
}
EVERY_RULE = tuple(replace(r, apply=_SMALL.get(r.name, r.apply)) for r in RULES)


def program_of(seed: int) -> Program:
    """The bound program of a seed."""
    bound = bind(lower(parse(text_of(Seeded(seed)))), {})
    verify(bound)
    return bound


def check(seed: int) -> Counter[str]:
    """Derives a program and compares what the search reached with it. Returns the rules that fired.

    Raises AssertionError naming the rule and showing both programs where one is unequal.
    """
    source = program_of(seed)
    found = derive(source, seconds=SECONDS, rules=EVERY_RULE)
    states = _spread(found.explored[1:])
    fired = Counter({f"rule {s.rule}": 1 for s in found.explored[1:]})
    for state in states:
        verdict = verify_equal(source, state.program)
        assert verdict.equal is not False, _unequal(state, source, verdict.reason)
        fired["verdict unknown" if verdict.equal is None else "verdict equal"] += 1
    arrays = {
        t.name: _exact(t.dtype.is_float, a)
        for t, a in zip(
            source.inputs, draw_inputs(source, seed, frozenset(), {}).values(), strict=True
        )
    }
    wanted = interpret(source, arrays)
    for state in states[:MOST_INTERPRETED]:
        renamed = zip(state.program.inputs, arrays.values(), strict=True)
        for want, got in zip(
            wanted, interpret(state.program, {t.name: a for t, a in renamed}), strict=True
        ):
            close = np.allclose(got, want, rtol=1e-9, atol=1e-9, equal_nan=True)
            assert close, _unequal(state, source, "differs in float64")
        fired["verdict interpreted"] += 1
    return fired


def _exact(is_float: bool, array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Multiples of 1/8: float64 keeps most sums and products of them exactly."""
    return (np.round(array.astype(np.float64) * 8) / 8).astype(array.dtype) if is_float else array


def _spread(states: tuple[State, ...]) -> list[State]:
    """The cheapest state, the last of every rule, and others evenly spread."""
    if len(states) <= MOST_STATES:
        return sorted(states, key=lambda s: s.cost)
    chosen = {
        id(s): s for s in (min(states, key=lambda s: s.cost), *{s.rule: s for s in states}.values())
    }
    step = -(-len(states) // max(1, MOST_STATES - len(chosen)))
    chosen.update((id(s), s) for s in states[::step])
    return list(chosen.values())


def _unequal(state: State, source: Program, reason: str) -> str:
    way = " > ".join(f"{s.rule} at {s.tensor}" for s in state.steps())
    return f"{way}: {reason}\n{print_program(source)}\n{print_program(state.program)}"


# -- programs --------------------------------------------------------------------------------------------


def text_of(choices: Choices) -> str:
    """The text of a program of one of the families below."""
    return choices.pick(FAMILIES)(choices)


def _sizes(choices: Choices, names: str) -> dict[str, int]:
    return {name: choices.pick(_EXTENTS) for name in names}


def _kind(choices: Choices) -> str:
    return choices.pick(("f32", "f32", "f64", "i32"))


def _sum_of_products(choices: Choices) -> str:
    """Two to four factors over random sets of up to four indices."""
    extents, kind = _sizes(choices, "ijkl"), _kind(choices)
    factors: list[str] = []
    inputs: list[str] = []
    used: set[str] = set()
    for number in range(choices.integer(2, 4)):
        names = [n for n in "ijkl" if choices.integer(0, 1)] or [choices.pick("ijkl")]
        if choices.integer(0, 1):
            names.reverse()
        used |= set(names)
        inputs.append(f"A{number}: {kind}[{', '.join(str(extents[n]) for n in names)}]")
        factors.append(choices.pick(("", "", "", "-")) + f"A{number}[{', '.join(names)}]")
    out = [n for n in sorted(used) if choices.integer(0, 2)]
    summed = [n for n in sorted(used) if n not in out]
    body = " * ".join(f"({f})" for f in factors)
    if len(factors) > 2 and choices.integer(0, 1):
        body = f"({factors[0]} {choices.pick('+-')} {factors[1]}) * " + " * ".join(
            f"({f})" for f in factors[2:]
        )
    ranges = ", ".join(f"{n} in 0:{extents[n]}" for n in summed)
    body = f"sum[{ranges}]({body})" if summed else body
    if not out:
        return f"def f({', '.join(inputs)}) -> Y: {kind}:\n    Y = {body}\n"
    shape = ", ".join(str(extents[n]) for n in out)
    return f"def f({', '.join(inputs)}) -> Y: {kind}[{shape}]:\n    Y[{', '.join(out)}] = {body}\n"


def _chain(choices: Choices) -> str:
    """Linear maps one after another, with a bias or an activation between them."""
    kind = choices.pick(("f32", "f64"))
    a, b, c, d = (choices.pick(_EXTENTS) for _ in range(4))
    middle = choices.pick(
        ("H[i, k]", "H[i, k] * 2", "-H[i, k]", "(H[i, k] + B[i, k])", "tanh(H[i, k])")
    )
    return (
        f"def f(X: {kind}[{a}, {b}], W: {kind}[{b}, {c}], V: {kind}[{c}, {d}], B: {kind}[{a}, {c}])"
        f" -> Y: {kind}[{a}, {d}]:\n"
        f"    H[i in 0:{a}, k in 0:{c}] = sum[j](X[i, j] * W[j, k])\n"
        f"    Y[i, j] = sum[k]({middle} * V[k, j])\n"
    )


def _joined(choices: Choices) -> str:
    """Sums that share a factor or a range."""
    n, m, kind = choices.pick(_EXTENTS), choices.pick(_EXTENTS), _kind(choices)
    second = choices.pick(("A[i, k] * C[k]", "B[i, k] * D[k]", "A[i, k] * D[k]", "B[i, k] * C[k]"))
    sign = choices.pick("+-")
    return (
        f"def f(A: {kind}[{n}, {m}], B: {kind}[{n}, {m}], C: {kind}[{m}], D: {kind}[{m}])"
        f" -> Y: {kind}[{n}]:\n    Y[i] = sum[j](A[i, j] * C[j]) {sign} sum[k]({second})\n"
    )


def _convolution(choices: Choices) -> str:
    """One or two dimensions, stride, dilation and padding, channels or none."""
    kind, taps = choices.pick(("f32", "f64", "i32")), choices.pick((3, 2, 5, 7, 1, 4))
    stride, dilation, pad = (
        choices.pick((1, 1, 2, 3)),
        choices.pick((1, 1, 2)),
        choices.integer(0, 2),
    )
    c, o, long = choices.pick((2, 4, 3, 1)), choices.pick((2, 4, 3)), choices.pick((7, 8, 12, 15))
    width = (long + 2 * pad - dilation * (taps - 1) - 1) // stride + 1
    if width < 1:
        return _convolution(choices)
    index = f"x*{stride} + r*{dilation} - {pad}"
    if choices.integer(0, 1):
        return (
            f"def f(I: {kind}[{c}, {long}], F: {kind}[{o}, {c}, {taps}]) -> Y: {kind}[{o}, {width}]:\n"
            f"    Y[o, x] = sum[c, r]((I[c, {index}] else 0) * F[o, c, r])\n"
        )
    other = index.replace("x", "y").replace("r", "s")
    return (
        f"def f(I: {kind}[{c}, {long}, {long}], F: {kind}[{o}, {c}, {taps}, {taps}])"
        f" -> Y: {kind}[{o}, {width}, {width}]:\n"
        f"    Y[o, y, x] = sum[c, s, r]((I[c, {other}, {index}] else 0) * F[o, c, s, r])\n"
    )


def _zero_insertion(choices: Choices) -> str:
    """A transposed convolution: zeros between the elements, then taps."""
    kind, by, taps = choices.pick(("f32", "f64")), choices.pick((2, 3)), choices.pick((3, 2, 4))
    long, pad = choices.pick((4, 5, 6)), choices.integer(0, 2)
    wide, out = (long - 1) * by + 1, (long - 1) * by + 1 + 2 * pad - taps + 1
    if choices.integer(0, 1):
        return (
            f"def f(X: {kind}[4, {long}], F: {kind}[4, 5, {taps}]) -> Y: {kind}[5, {out}]:\n"
            f"    Z[c in 0:4, t in 0:{wide}] = where(t % {by} == 0, X[c, t // {by}], 0)\n"
            f"    Y[o, t] = sum[c in 0:4, r]((Z[c, t + r - {pad}] else 0) * F[c, o, r])\n"
        )
    return (
        f"def f(X: {kind}[{long}], F: {kind}[{taps}]) -> Y: {kind}[{out}]:\n"
        f"    Z[t in 0:{wide}] = where(t % {by} == 0, X[t // {by}], 0)\n"
        f"    Y[t] = sum[r]((Z[t + r - {pad}] else 0) * F[r])\n"
    )


def _quotients(choices: Choices) -> str:
    """Indices with // and %, read and summed."""
    kind, inner, outer = _kind(choices), choices.pick((2, 3, 4)), choices.pick((2, 3, 5))
    n = inner * outer
    form = choices.integer(0, 2)
    if form == 0:
        return (
            f"def f(A: {kind}[{outer}, {inner}], B: {kind}[{n}]) -> Y: {kind}[{n}]:\n"
            f"    Y[i] = A[i // {inner}, i % {inner}] * B[i]\n"
        )
    if form == 1:
        return (
            f"def f(A: {kind}[{outer}, {inner}], B: {kind}[{n}]) -> Y: {kind}:\n"
            f"    Y = sum[r in 0:{n}](A[r // {inner}, r % {inner}] * B[r])\n"
        )
    return (
        f"def f(A: {kind}[{n}, 4], B: {kind}[4, {n}]) -> Y: {kind}[{inner}, {outer}]:\n"
        f"    P[i in 0:{n}] = sum[k](A[i, k] * B[k, i])\n    Y[p, q] = P[q*{inner} + p]\n"
    )


def _joint_by_where(choices: Choices) -> str:
    """Two tensors one after the other, in a product."""
    kind, a, b = (
        choices.pick(("f32", "f64", "i32")),
        choices.pick((2, 3, 5)),
        choices.pick((1, 4, 3)),
    )
    n = choices.pick((2, 3, 5))
    return (
        f"def f(A: {kind}[{a}, {n}], B: {kind}[{b}, {n}], W: {kind}[{n}, 3]) -> Y: {kind}[{a + b}, 3]:\n"
        f"    C[i in 0:{a + b}, k in 0:{n}] = where(i < {a}, A[i, k] else 0, B[i - {a}, k] else 0)\n"
        f"    Y[i, j] = sum[k](C[i, k] * W[k, j])\n"
    )


def _deltas(choices: Choices) -> str:
    """Iverson brackets and iterators that nothing mentions."""
    kind, n, shift = _kind(choices), choices.pick((4, 5, 7)), choices.integer(-2, 2)
    if choices.integer(0, 1):
        m = choices.pick((2, 3, 6))
        return (
            f"def f(A: {kind}[{n}], B: {kind}[{n}]) -> Y: {kind}[{n}]:\n"
            f"    Y[i] = sum[k in 0:{m}](A[i] * B[i])\n"
        )
    return (
        f"def f(A: {kind}[{n}, {n}], B: {kind}[{n}]) -> Y: {kind}[{n}]:\n"
        f"    Y[i] = sum[k in 0:{n}](where(k == i + {shift}, A[i, k] * B[k], 0))\n"
    )


def _rows(choices: Choices) -> str:
    """Softmax, its sums, and rows of attention."""
    kind, n, m = choices.pick(("f32", "f64")), choices.pick((2, 3, 5)), choices.pick((3, 4, 7))
    head = (
        f"def f(X: {kind}[{n}, {m}], V: {kind}[{m}, 3]) -> Y: {kind}[{n}, 3]:\n"
        f"    M[i in 0:{n}] = max[j](X[i, j])\n"
        f"    E[i in 0:{n}, j in 0:{m}] = exp(X[i, j] - M[i])\n"
    )
    if choices.integer(0, 1):
        return head + "    Y[i, d] = sum[j](E[i, j] / sum[k](E[i, k]) * V[j, d])\n"
    return head + "    Y[i, d] = sum[j](E[i, j] * V[j, d])\n"


def _skewed(choices: Choices) -> str:
    """A product of which another tensor reads diagonals."""
    kind, n, taps = (
        choices.pick(("f32", "f64", "i32")),
        choices.pick((6, 8, 9)),
        choices.pick((2, 3)),
    )
    step = choices.pick((1, 2, -1))
    low = (taps - 1) if step < 0 else 0
    high = n - (step * (taps - 1) if step > 0 else 0)
    return (
        f"def f(A: {kind}[{n}, 3], K: {kind}[{taps}, 3]) -> Y: {kind}[{high - low}]:\n"
        f"    Y[h] = sum[r in 0:{taps}, c in 0:3](A[h + {low} + {step}*r, c] * K[r, c])\n"
    )


def _band(choices: Choices) -> str:
    """Queries times the keys of a band, or weights of a band times values."""
    kind, rows, width = (
        choices.pick(("f32", "f64")),
        choices.pick((17, 32, 40)),
        choices.pick((17, 20)),
    )
    step, pad = choices.pick((1, 1, 2)), choices.integer(0, 9)
    place = f"m + {step}*w - {pad}"
    if choices.integer(0, 1):
        return (
            f"def f(A: {kind}[{rows}, {width}], V: {kind}[{rows}, 3]) -> Y: {kind}[{rows}, 3]:\n"
            f"    Y[m, n] = sum[w](A[m, w] * (V[{place}, n] else 0.0))\n"
        )
    return (
        f"def f(A: {kind}[{rows}, 3], B: {kind}[{rows}, 3]) -> Y: {kind}[{rows}, {width}]:\n"
        f"    Y[m, w] = sum[k](A[m, k] * (B[{place}, k] else 0.0))\n"
    )


def _backwards(choices: Choices) -> str:
    """Filters that slide backwards, and rows from the last one on."""
    kind, n, taps = (
        choices.pick(("f32", "f64", "i32")),
        choices.pick((8, 9, 12)),
        choices.pick((3, 2)),
    )
    c, o = choices.pick((4, 5, 2)), choices.pick((4, 3))
    form = choices.integer(0, 2)
    if form == 0:  # of one element: a transposed convolution of a pixel
        return (
            f"def f(I: {kind}[{c}, 1], F: {kind}[{c}, {o}, {taps}]) -> Y: {kind}[{o}, {taps}]:\n"
            f"    Y[o, x] = sum[c, r]((I[c, x - r] else 0) * F[c, o, r])\n"
        )
    if form == 1:
        return (
            f"def f(I: {kind}[{c}, {n}], F: {kind}[{o}, {c}, {taps}]) -> Y: {kind}[{o}, {n}]:\n"
            f"    Y[o, x] = sum[c, r]((I[c, x - r + {choices.integer(0, 2)}] else 0) * F[o, c, r])\n"
        )
    return (
        f"def f(A: {kind}[{n}, {c}], B: {kind}[{c}, {o}]) -> Y: {kind}[{n}, {o}]:\n"
        f"    Y[i, j] = sum[k](A[{n} - 1 - i, k] * B[{c} - 1 - k, j])\n"
    )


def _flattened(choices: Choices) -> str:
    """Sums over quotient and remainder of one position."""
    kind, inner, outer = _kind(choices), choices.pick((2, 3, 4)), choices.pick((2, 3, 5))
    n, low = inner * outer, choices.integer(0, 1)
    place = f"{inner}*q + p"
    return (
        f"def f(A: {kind}[{n}, 4], B: {kind}[{n}]) -> Y: {kind}[4]:\n"
        f"    Y[i] = sum[q in {low}:{outer}, p in 0:{inner}](A[{place}, i] * B[{place}])\n"
    )


def _stretch(choices: Choices) -> str:
    """Prefixes, long windows, and windows in two directions, of sums and maxima."""
    op, nothing = choices.pick((("sum", "0.0"), ("max", "-inf"), ("min", "inf")))
    n, m, form = choices.pick((11, 16, 20)), choices.pick((1, 2, 3)), choices.integer(0, 3)
    head = f"def f(X: f32[{m}, {n}]) -> Y: f32[{m}, {n}]:\n"
    if form == 0:
        return head + f"    Y[m, i] = {op}[j in 0:{n}](where(j <= i, X[m, j], {nothing}))\n"
    if form == 1:
        taps = choices.pick((8, 9, 11, 12))
        return (
            head + f"    Y[m, i] = {op}[r in 0:{taps}](X[m, i + r - {taps // 2}] else {nothing})\n"
        )
    if form == 2:
        return (
            f"def f(X: f32[{n}, {n}], u: f32[3], v: f32[2]) -> Y: f32[{n}, {n}]:\n"
            f"    Y[y, x] = sum[r, s](u[r] * v[s] * (X[y + r - 1, x + s - 1] else 0.0))\n"
        )
    a, b = choices.pick((2, 3)), choices.pick((1, 2, 5))
    return (
        f"def f(X: f32[{n}, {n}]) -> Y: f32[{n}, {n}]:\n"
        f"    Y[y, x] = (X[y, x] else 0.0) + {a}*(X[y, x + 1] else 0.0) "
        f"+ {b}*((X[y + 1, x] else 0.0) + {a}*(X[y + 1, x + 1] else 0.0))\n"
    )


def _squares(choices: Choices) -> str:
    """Distances, scales with shifts, and exponentials that meet."""
    a, b, c = (choices.pick((2, 3, 5, 7)) for _ in range(3))
    head = f"def f(X: f32[{a}, {c}], Z: f32[{b}, {c}], s: f32[{b}], t: f32[{b}]) -> Y: f32[{a}, {b}]:\n"
    body = choices.pick(
        (
            "sum[k]((X[i, k] - Z[j, k]) * (X[i, k] - Z[j, k]))",
            "(sum[k](X[i, k] * Z[j, k]) - t[j]) * s[j] + t[j]",
            "sum[k](X[i, k] * Z[j, k]) + s[j] - t[j]",
            "exp(sum[k](X[i, k])) * exp(s[j])",
            "log(exp(s[j]) / sum[k](exp(X[i, k])))",
            "maximum(s[j], t[j]) + max[k](X[i, k] + Z[j, k])",
        )
    )
    return head + f"    Y[i, j] = {body}\n"


def _projected(choices: Choices) -> str:
    """Products that share an operand."""
    n, m, p, q = (choices.pick((2, 3, 4, 8, 8)) for _ in range(4))
    kind = choices.pick(("f32", "f64"))
    return (
        f"def f(X: {kind}[{n}, {m}], V: {kind}[{m}, {p}], W: {kind}[{m}, {q}])"
        f" -> (P: {kind}[{n}, {p}], Q: {kind}[{n}, {q}]):\n"
        f"    P[i, j] = sum[k](X[i, k] * V[k, j])\n    Q[i, j] = sum[k](X[i, k] * W[k, j])\n"
    )


FAMILIES: tuple[Callable[[Choices], str], ...] = (
    _sum_of_products, _sum_of_products, _chain, _joined, _convolution, _zero_insertion, _quotients,
    _joint_by_where, _deltas, _rows, _skewed, _band, _backwards, _flattened, _stretch, _squares, _projected,
)  # fmt: skip
