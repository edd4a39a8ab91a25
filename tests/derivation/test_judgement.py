"""What the list of cases does not say: measured rounding, kernels that stay whole, parts of whole programs."""

from __future__ import annotations

import pytest

from tcomp.ir.tensor.nodes import Reduce, postorder
from tcomp.passes import plan
from tcomp.passes.accuracy import measure
from tcomp.passes.verification import verify_equal
from tests.derivation.catalogue.bands import band
from tests.derivation.catalogue.convolutions import conv, nhwc
from tests.derivation.catalogue.pointwise import DISTANCES, RESIDUAL, sums_of
from tests.derivation.forms import (
    concluded,
    functions,
    reached,
    rules_of,
    searched,
    work,
)
from tests.unit.programs import written

MODEL_NORM = """
def bn(X: f32[1, 64, 56, 56], F: f32[64, 64, 3, 3], g: f32[64], b: f32[64], m: f32[64], v: f32[64])
        -> Y: f32[1, 64, 56, 56]:
    C = conv2d[pad=1](X, F)
    Y[n, c, y, x] = (C[n, c, y, x] - m[c]) * rsqrt(v[c] + 1e-5) * g[c] + b[c]
"""


@pytest.mark.parametrize(("m", "n"), [(4096, 1024), (509, 257)])
def test_a_residual_that_is_expanded_is_measured(m: int, n: int) -> None:
    """Norms of u and v apart, no product of them; dense X has to be read in any case, so it does not pay."""
    found = searched(RESIDUAL.format(b=1, m=m, n=n), 100)
    expanded = sums_of("u", "v")
    program = reached(found, expanded)
    assert program is not None and not expanded(found.program)
    assert measure(found.source, program) is not None  # where it is chosen, its rounding decides


def test_cancellation_is_flagged() -> None:
    """Where points lie far from 0, small differences of large norms have lost their digits."""
    text = DISTANCES.format(b=1, m=300, k=64, d=16)
    fast = concluded(text, accuracy="fast")
    assert sums_of("X", "Y")(fast.program) and fast.accuracy is not None
    assert fast.accuracy.bound == "fast" and fast.accuracy.ratio > 100
    for accuracy in ("standard", "strict"):
        assert not sums_of("X", "Y")(concluded(text, accuracy=accuracy).program)


@pytest.mark.parametrize(("n", "c", "h"), [(1, 64, 56), (2, 61, 29)])
def test_winograd_keeps_standard_accuracy_and_strict_goes_without(n: int, c: int, h: int) -> None:
    text = conv(n, c, h, c, 3, 3)
    found = concluded(text, 30, constants="F")
    assert any(rule.startswith("Winograd") for rule in rules_of(found))
    assert found.accuracy is not None and found.accuracy.allows("standard")
    assert not rules_of(concluded(text, 30, constants="F", accuracy="strict"))


def test_batch_norm_of_a_model_folds_before_an_accurate_lemma() -> None:
    """With mean, variance and epsilon, as models have it. Many candidates end in F(4, 3), which `standard`
    refuses: they must not use up what is examined."""
    found = concluded(MODEL_NORM, 400, constants="F g b m v")
    assert {"scale folding", "Winograd F(2, 3)"} <= set(rules_of(found))


@pytest.mark.parametrize("c", [512, 61])
def test_channels_last_is_one_kernel_over_taps_and_channels(c: int) -> None:
    """With weights that are bound only Winograd is cheaper than to sum over taps inside the kernel, without im2col."""
    found = searched(nhwc(1, c, 7, c), 60, constants="K")
    assert not any(rule.startswith("summation splitting") for rule in rules_of(found))
    (definition,) = found.explored[0].program.definitions()
    (total,) = (n for n in postorder(definition.body) if isinstance(n, Reduce))
    assert len(total.iters) == 3


def test_the_published_band_is_not_derived() -> None:
    """It runs the residues one after the other as one sequence, and reads the neighbouring one at their borders."""
    found = searched(band(2, 96, 8, 9, 4), 60)
    for state in found.explored:
        assert verify_equal(found.source, state.program).equal


def test_equal_parts_are_computed_once() -> None:
    text = (
        "def f(X: f32[64, 32], W: f32[32, 16], V: f32[32, 16]) -> Y: f32[64, 16]:\n"
        "    A[i, j] = sum[k](X[i, k] * W[k, j])\n    B[p, q] = sum[r](X[p, r] * W[r, q])\n"
        "    Y[i, j] = relu(A[i, j]) + tanh(B[i, j])\n"
    )
    program = plan(written(text)).derived()
    assert work(program) < 1.6 * 2 * 64 * 32 * 16
    assert functions(program).count("tanh") == 1


@pytest.mark.parametrize("count", [2, 4])
def test_every_part_of_a_whole_program_is_improved(count: int) -> None:
    """Functions between them keep parts apart; each is derived as it would be alone."""
    n = 256
    inputs = ", ".join(f"A{k}: f32[{n}, {n}], B{k}: f32[{n}, {n}]" for k in range(count))
    text = f"def f(v0: f32[{n}], {inputs}) -> v{count}: f32[{n}]:\n"
    for k in range(count):
        text += (
            f"    C{k}[i, j] = sum[k](A{k}[i, k] * B{k}[k, j])\n"
            f"    v{k + 1}[i] = relu(sum[j](C{k}[i, j] * v{k}[j]))\n"
        )
    found = searched(text, 400)
    assert work(found.program) <= count * (4 * n * n + 20 * n)
    assert functions(found.program).count("relu") == count
