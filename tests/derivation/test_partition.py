"""Where programs are cut: at what no rule passes, and nowhere else."""

from __future__ import annotations

import pytest

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.derivation.carry import together
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.partition import partition
from tcomp.passes.verification import verify_equal
from tests.unit.programs import written

HEAD = "def f(X: f64[8, 6], V: f64[6, 6], W: f64[6, 6], U: f64[6, 6], b: f64[6]) -> Y: f64[8, 6]:\n"
H = "    H[i, j] = sum[k](X[i, k] * V[k, j])\n"
Y = "    Y[i, j] = sum[k](R[i, k] * W[k, j])\n"

# The body after HEAD, and the results of each part.
CUTS = {
    "nothing between": (H + "    Y[i, j] = sum[k](H[i, k] * W[k, j])\n", "Y"),
    "a bias": (H + "    R[i, j] = H[i, j] + b[j]\n" + Y, "Y"),
    "relu": (H + "    R[i, j] = relu(H[i, j] + b[j])\n" + Y, "R; Y"),
    "a function inside the sum": (H + "    Y[i, j] = sum[k](tanh(H[i, k]) * W[k, j])\n", "H; Y"),
    "a choice by data": (
        H + "    R[i, j] = where(H[i, j] > 0, H[i, j], 0.1 * H[i, j])\n" + Y,
        "R; Y",
    ),
    "a function in several definitions": (
        H + "    u[i, j] = H[i, j] * 0.7\n    e[i, j] = erf(u[i, j])\n"
        "    R[i, j] = 0.5 * H[i, j] * (1 + e[i, j])\n" + Y,
        "R; Y",
    ),
    "a function of inputs alone": ("    R[i, j] = tanh(X[i, j])\n" + Y, "Y"),
    "two branches with an operand in common": (
        H + "    G[i, j] = sum[k](X[i, k] * U[k, j])\n"
        "    R[i, j] = H[i, j] * sigmoid(G[i, j])\n" + Y,
        "R; Y",
    ),
    "products of one operand": (
        H + "    G[i, j] = sum[k](X[i, k] * U[k, j])\n"
        "    Y[i, j] = sum[k](relu(G[i, k]) * W[k, j]) + relu(H[i, j])\n",
        "H G; Y",
    ),
    "sums with one factor": (
        H + "    G[i, j] = sum[k](relu(X[i, k]) * V[k, j])\n    Y[i, j] = H[i, j] + G[i, j]\n",
        "Y",
    ),
    "sums that have nothing in common": (
        "    H[i in 0:8, j in 0:6] = sum[k](X[i, k] * V[k, j])\n    R[i, j] = relu(H[i, j])\n"
        "    G[i, j] = sum[k](X[i, k] * W[k, j]) * b[j]\n"
        "    Y[i, j] = relu(sum[k](R[i, k] * U[k, j]) + G[i, j])\n",
        "R; G; Y",
    ),
    "a residual connection": (
        H + "    R[i, j] = relu(sum[k](H[i, k] * W[k, j]))\n"
        "    Y[i, j] = sum[k](R[i, k] * U[k, j]) + H[i, j]\n",
        "H; R; Y",
    ),
    "a norm": (
        H
        + "    v[i] = sum[j](H[i, j] * H[i, j])\n    R[i, j] = H[i, j] / sqrt(v[i] + 1) * b[j]\n"
        + Y,
        "H; Y",
    ),
    "softmax": (
        H
        + "    m[i] = max[j](H[i, j])\n    e[i, j] = exp(H[i, j] - m[i])\n    z[i] = sum[j](e[i, j])\n"
        "    R[i, j] = e[i, j] / z[i]\n" + Y,
        "Y",
    ),
    "a function of exponentials": (
        H + "    R[i, j] = 1 / (1 + exp(-H[i, j]))\n" + Y,
        "R; Y",
    ),
    "products of another semiring": (
        "    H[i, j] = max[k](X[i, k] + V[k, j])\n    Y[i, j] = max[k](H[i, k] + W[k, j])\n",
        "Y",
    ),
    "an addition of that semiring": (
        "    H[i, j] = max[k](X[i, k] + V[k, j])\n    R[i, j] = maximum(H[i, j], X[i, j])\n"
        "    Y[i, j] = max[k](R[i, k] + W[k, j])\n",
        "Y",
    ),
    "an addition of another semiring": (
        H + "    R[i, j] = maximum(H[i, j], X[i, j])\n" + Y,
        "R; Y",
    ),
    "a largest value": (H + "    R[i, j] = max[k](H[i, k] * V[k, j])\n" + Y, "R; Y"),
}


def ends(program: Program, constants: str = "") -> str:
    parts = partition(program, constants.split())
    return "; ".join(" ".join(t.name for t in part.program.results) for part in parts)


@pytest.mark.parametrize("name", CUTS)
def test_programs_are_cut_where_no_rule_passes(name: str) -> None:
    body, expected = CUTS[name]
    program = written(HEAD + body)
    assert ends(program) == expected
    whole = together(program, [part.program for part in partition(program)])
    assert verify_equal(program, whole).equal
    assert (
        normal_form(whole) == normal_form(program)
        or verify_equal(program, normal_form(whole)).equal
    )


def test_results_are_ends_of_parts() -> None:
    text = (HEAD + H).replace("-> Y: f64[8, 6]", "-> (Y: f64[8, 6], H: f64[8, 6])")
    text += "    Y[i, j] = sum[k](H[i, k] * W[k, j])\n"
    assert ends(written(text)) == "H; Y"


def test_what_is_computed_once_joins_no_layers() -> None:
    """A table of bound inputs that two layers read is a part of its own, and known to both."""
    text = (
        "def f(X: f64[8, 6], V: f64[6, 6], W: f64[6, 6], p: f64[8, 2], q: f64[2, 6]) -> Y: f64[8, 6]:\n"
        "    T[i in 0:8, j in 0:6] = sum[r](p[i, r] * q[r, j])\n"
        "    R[i, j] = relu(sum[k]((X[i, k] + T[i, k]) * V[k, j]))\n"
        "    Y[i, j] = sum[k]((R[i, k] + T[i, k]) * W[k, j])\n"
    )
    parts = partition(written(text), ("V", "W", "p", "q"))
    assert [sorted(part.constants) for part in parts] == [["p", "q"], ["T", "V"], ["T", "W"]]


def test_recurrences_are_parts_and_their_inputs_others() -> None:
    text = (
        "def f(X: f64[9, 6], V: f64[6, 6], U: f64[6, 6], W: f64[6, 6]) -> Y: f64[9, 6]:\n"
        "    A[t, j] = sum[k](X[t, k] * V[k, j])\n"
        "    scan[t] h[t, j] = tanh(A[t, j] + sum[k]((h[t - 1, k] else 0) * U[k, j]))\n"
        "    Y[t, j] = sum[k](h[t, k] * W[k, j])\n"
    )
    assert ends(written(text)) == "A; h; Y"


def test_a_part_is_no_larger_than_a_search_can_see() -> None:
    layers = 40
    weights = ", ".join(f"W{n}: f64[6, 6]" for n in range(layers))
    text = f"def f(T: f64[8, 6], {weights}) -> T{layers}: f64[8, 6]:\n"
    for n in range(layers):
        text += f"    T{n + 1}[i, j] = sum[k](T{n or ''}[i, k] * W{n}[k, j])\n"
    program = written(text)
    parts = partition(program)
    assert len(parts) > 1 and max(len(p.program.body) for p in parts) <= 16
    assert verify_equal(program, together(program, [p.program for p in parts])).equal
