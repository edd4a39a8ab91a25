"""What the search shares and when it ends: marks say what canonical programs say, and patience cuts a prefix."""

from __future__ import annotations

import pytest

from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.canonical import result_digests
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.verifier import verify
from tcomp.lang import lower, parse
from tcomp.passes.derivation import RULES, derive
from tcomp.passes.derivation.mark import mark
from tcomp.passes.derivation.normal import normal_form

TEXTS = {
    "chain": (
        "def f(A: f32[6, 5], B: f32[5, 7], C: f32[7, 5], D: f32[5, 4]) -> Y: f32[6, 4]:\n"
        "    Y = matmul(matmul(matmul(A, B), C), D)\n"
    ),
    "attention": (
        "def f(Q: f32[2, 8, 4], K: f32[2, 8, 4], V: f32[2, 8, 4]) -> O: f32[2, 8, 4]:\n"
        "    O = attention(Q, K, V)\n"
    ),
    "window": (
        "def f(I: f32[3, 9, 9], F: f32[4, 3, 5, 5]) -> Y: f32[4, 9, 9]:\n"
        "    Y[o, y, x] = sum[c, r, s]((I[c, y + r - 2, x + s - 2] else 0) * F[o, c, r, s])\n"
    ),
    "residues": (
        "def f(X: f32[3, 8], W: f32[3, 3, 3]) -> Y: f32[3, 8]:\n"
        "    T[b in 0:3, r in 0:3, i in 0:3, a in 1:4] = sum[k in 0:3]((X[k, 3*a + b - 3] else 0) * W[i, k, r])\n"
        "    Y[i, x] = sum[r in 0:3](T[x % 3, r, i, x // 3 + r] else 0.0)\n"
    ),
    "symmetric": (
        "def f(A: f32[5, 5], B: f32[5, 5], x: f32[5]) -> Y: f32[5, 5]:\n"
        "    Y[i, j] = sum[k, l, m](A[k, l] * A[l, m] * B[m, k] * x[i]) + sum[k](B[i, k] * A[k, j])\n"
    ),
    "prefix": (
        "def f(X: f32[6, 12]) -> Y: f32[6, 12]:\n"
        "    Y[i, j] = sum[k in 0:12](where(k <= j, X[i, k] * 2.0, 0.0))\n"
    ),
}


def written(name: str) -> Program:
    return bind(lower(parse(TEXTS[name])), {})


def reached(source: Program, states: int) -> list[Program]:
    """Programs of a search, and all that one application makes of them."""
    found = derive(source, seconds=60.0, patience=states).explored
    programs = [s.program for s in found]
    for state in found[:12]:
        programs += [normal_form(p) for rule in RULES for _, p in rule.apply(state.program)]
    return programs


@pytest.mark.parametrize("name", TEXTS)
def test_marks_tell_apart_what_canonical_forms_tell_apart(name: str) -> None:
    pairs = {(mark(p), result_digests(p)) for p in reached(written(name), 40)}
    assert len({m for m, _ in pairs}) == len({d for _, d in pairs}) == len(pairs)


@pytest.mark.parametrize("name", TEXTS)
def test_remembered_results_take_no_names_that_a_program_has(name: str) -> None:
    for program in reached(written(name), 40):
        verify(program)


@pytest.mark.parametrize("name", TEXTS)
def test_a_normal_form_is_its_own(name: str) -> None:
    for program in reached(written(name), 40):
        assert normal_form(program).body == program.body


@pytest.mark.parametrize("name", ["attention", "window"])
def test_less_patience_sees_the_first_states_of_more(name: str) -> None:
    source = written(name)
    few, many = (derive(source, seconds=60.0, patience=n).explored for n in (10, 30))
    assert 10 <= len(few) <= len(many)
    assert [mark(s.program) for s in few] == [mark(s.program) for s in many[: len(few)]]
