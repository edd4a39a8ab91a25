"""Index arithmetic, and programs that only names and orders tell apart: both before any search."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.canonical import equivalent, fingerprint
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.passes.derivation.mark import mark
from tcomp.passes.simplify import simplify
from tests.unit.programs import random_inputs, written

I, J, A, B, C = (Int.of(Iter(n, Int.of(0), Int.of(10_000))) for n in "ijabc")


@pytest.mark.parametrize(
    ("given", "simple"),
    [
        ((I - I) + J, J),
        (2500 * (I // 2500) + I % 2500, I),
        (5000 * (I // 2500) + 2 * (I % 2500), 2 * I),
        ((2 * A - 3 * B) + 9 * (B // 3) + 3 * (B % 3) + C, 2 * A + C),
        (I % -2 - 2 * (I // -2), I),
        ((7 * I + 3) // 7, I),
        ((7 * I + 3) % 7, Int.of(3)),
        ((6 * I + 4 * J) // 2, 3 * I + 2 * J),
        ((I // 5) // 7, I // 35),
        ((I * 35 + J) % 5, J % 5),
        (I % 10_000, I),
        (I // 10_000, Int.of(0)),
    ],
    ids=str,
)
def test_positions_are_reduced(given: Int, simple: Int) -> None:
    assert given is simple


# A condition on a position, and one that does not multiply it.
CONDITIONS = {
    "2*i < 5": "i < 3",
    "3*i + 1 <= 12": "i <= 3",
    "4*i - 2 > 7": "i > 2",
    "6*i >= 13": "i >= 3",
    "6*i + 4*j < 15": "3*i + 2*j < 8",
    "5*i == 15": "i == 3",
    "5*i != 16": "i != 20",
}
CHOICE = "def f(X: f32[4, 9]) -> Y: f32[11, 9]:\n    Y[i, j] = where({condition}, (X[i//3, j] else 0.0), 0.0)\n"


@pytest.mark.parametrize("condition", CONDITIONS)
def test_comparisons_lose_common_factors(condition: str) -> None:
    given, simple = (
        written(CHOICE.format(condition=c)) for c in (condition, CONDITIONS[condition])
    )
    assert simplify(given) == simplify(simple)
    arrays = random_inputs(given)
    for want, got in zip(interpret(given, arrays), interpret(simplify(given), arrays), strict=True):
        np.testing.assert_array_equal(want, got)


def test_a_remainder_makes_a_guard_needless() -> None:
    """Of zeros between elements: that u is below 3*6 + 1 follows from its being a multiple of 3 in 0:21."""
    inserted = (
        "def f(X: f32[7]) -> Y: f32[30]:\n"
        "    Y[u] = where(u % 3 == {r} and u < {n} and u >= 0, (X[u//3] else 0.0), 0.0)\n"
    )

    def guards(r: int, n: int) -> str:
        return str(simplify(written(inserted.format(r=r, n=n))).body)

    free = guards(0, 30)
    assert guards(0, 19) == guards(0, 20) == guards(0, 21) == free
    assert guards(0, 18) != free and guards(1, 19) != guards(1, 30)
    assert guards(1, 20) == guards(1, 30)


SLIDING = (
    "def f(A: f32[8, 8], K: f32[3, 3], L: f32[3, 3]) -> Y: f32[8, 8]:\n"
    "    Y[{h}, {w}] = sum[{r} in 0:3, {s} in 0:3]({body})\n"
)


def sliding(body: str, h: str = "h", w: str = "w", r: str = "r", s: str = "s") -> Program:
    return written(SLIDING.format(h=h, w=w, r=r, s=s, body=body))


PLAIN = "(A[h + r - 1, w + s - 1] else 0) * K[r, s]"
EQUAL = {
    "plain": sliding(PLAIN),
    "sum iterators change names": sliding("(A[h + s - 1, w + r - 1] else 0) * K[s, r]"),
    "in another order": sliding(PLAIN, r="s", s="r"),
    "output iterators change names": sliding(
        "(A[w + r - 1, h + s - 1] else 0) * K[r, s]", "w", "h"
    ),
    "terms of positions": sliding("(A[r - 1 + h, s + w - 1] else 0) * K[r, s]"),
    "factors": sliding("K[r, s] * (A[h + r - 1, w + s - 1] else 0)"),
}
DIFFERENT = {
    "plain": EQUAL["plain"],
    "the kernel turned": sliding("(A[h + r - 1, w + s - 1] else 0) * K[s, r]"),
    "r missing from one position": sliding("(A[h - 1, w + s - 1] else 0) * K[r, s]"),
    "padding of 2": sliding("(A[h + r - 2, w + s - 2] else 0) * K[r, s]"),
    "padding of 2 along one axis": sliding("(A[h + r - 1, w + s - 2] else 0) * K[r, s]"),
    "another value outside": sliding("(A[h + r - 1, w + s - 1] else 1) * K[r, s]"),
    "another tensor": sliding("(A[h + r - 1, w + s - 1] else 0) * L[r, s]"),
    "a step of two": sliding("(A[h + 2*r - 1, w + s - 1] else 0) * K[r, s]"),
    "backwards": sliding("(A[h - r + 1, w + s - 1] else 0) * K[r, s]"),
    "a sum instead of a product": sliding("(A[h + r - 1, w + s - 1] else 0) + K[r, s]"),
    "two taps": written(
        SLIDING.format(h="h", w="w", r="r", s="s", body=PLAIN).replace("r in 0:3", "r in 0:2")
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_names_and_orders_do_not_count(name: str) -> None:
    plain, other = EQUAL["plain"], EQUAL[name]
    assert equivalent(plain, other) and fingerprint(plain) == fingerprint(other)
    assert mark(plain) == mark(other)


@pytest.mark.parametrize(("first", "second"), list(combinations(DIFFERENT, 2)))
def test_what_differs_counts(first: str, second: str) -> None:
    one, other = DIFFERENT[first], DIFFERENT[second]
    assert fingerprint(one) != fingerprint(other) and mark(one) != mark(other)
