"""The published derivations of convolutions and bands, and harder ones: found, equal, and judged by their cost.

`form` recognises the published form among all programs that the search has seen. Whether it is chosen is the
judge's decision: "yes", "no" (another form, or the program as written), or "either".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import pytest

from tcomp.ir.tensor.nodes import Definition, Program, Reduce, postorder
from tcomp.passes.derivation import chosen
from tcomp.passes.derivation.estimate import extent, occurrence
from tcomp.passes.derivation.proof import replay, to_log
from tcomp.passes.verification import verify_equal
from tests.derivation.forms import (
    Form,
    product,
    reached,
    residues_as_batch,
    rules_of,
    searched,
    sum_of_products,
    windows,
)

CONVOLUTION = (
    "def f(I: f32[{n}, {c}, {h}, {w}], F: f32[{o}, {c}, {r}, {s}]) -> Y: f32[{n}, {o}, {h}, {w}]:\n"
    "    Y[n, o, y, x] = sum[c, r, s]((I[n, c, y + {d}*r - {p}, x + {d}*s - {q}] else 0.0) * F[o, c, r, s])\n"
)
NHWC = (
    "def f(A: f32[{n}, {h}, {h}, {c}], K: f32[3, 3, {o}, {c}]) -> Y: f32[{n}, {h}, {h}, {o}]:\n"
    "    Y[n, y, x, o] = sum[c, r, s]((A[n, y + r - 1, x + s - 1, c] else 0.0) * K[r, s, o, c])\n"
)
TRANSPOSED = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{c}, {o}, {k}, {k}])"
    " -> Y: f32[{n}, {o}, ({h} - 1)*{s} - 2*{p} + {k}, ({h} - 1)*{s} - 2*{p} + {k}]:\n"
    "    Y = conv_transpose2d[stride={s}, pad={p}](I, F)\n"
)
CHAIN = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{c}, {c}, 3, 3], G: f32[{c}, {c}, 3, 3]) -> Y: f32[{n}, {c}, {h}, {h}]:\n"
    "    H[n in 0:{n}, o in 0:{c}, y in 0:{h}, x in 0:{h}] = relu(sum[c in 0:{c}, r in 0:3, s in 0:3]("
    "(I[n, c, y + {d}*r - {d}, x + {d}*s - {d}] else 0.0) * F[o, c, r, s]))\n"
    "    Y[n, o, y, x] = sum[c, r, s]((H[n, c, y + {d}*r - {d}, x + {d}*s - {d}] else 0.0) * G[o, c, r, s])\n"
)
BAND = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {m}, {k}]) -> Y: f32[{b}, {m}, {w}]:\n"
    "    Y[b, m, w] = sum[k](A[b, m, k] * (B[b, m + {d}*w - {d}*({w}//2), k] else 0.0))\n"
)


def conv(n: int, c: int, h: int, o: int, r: int, s: int, d: int = 1, w: int | None = None) -> str:
    return CONVOLUTION.format(
        n=n, c=c, h=h, w=w or h, o=o, r=r, s=s, d=d, p=d * (r // 2), q=d * (s // 2)
    )


def nhwc(n: int, c: int, h: int, o: int) -> str:
    return NHWC.format(n=n, c=c, h=h, o=o)


def transposed(n: int, c: int, h: int, o: int, k: int, s: int, p: int) -> str:
    return TRANSPOSED.format(n=n, c=c, h=h, o=o, k=k, s=s, p=p)


def chain(n: int, c: int, h: int, d: int) -> str:
    return CHAIN.format(n=n, c=c, h=h, d=d)


def band(b: int, m: int, k: int, w: int, d: int) -> str:
    return BAND.format(b=b, m=m, k=k, w=w, d=d)


def all_of(*forms: Callable[[Program], object]) -> Form:
    return lambda program: all(form(program) for form in forms)


def at_least(count: int, of: Callable[[Program], int]) -> Form:
    return lambda program: of(program) >= count


@dataclass(frozen=True)
class Case:
    """A program, the form to find among the first `within` programs, and whether it is chosen."""

    text: str
    form: Form
    chosen: str
    within: int = 60
    constants: str = ""


CASES = {
    # 1x1: a product as it stands, nothing moved
    "conv1x1 7x7": Case(conv(1, 512, 7, 512, 1, 1), sum_of_products(512 * 49, 512), "either"),
    "conv1x1 batch 16": Case(
        conv(16, 256, 14, 64, 1, 1), sum_of_products(16 * 64 * 196, 256), "either"
    ),
    "conv1x1 prime, batch 3": Case(
        conv(3, 37, 11, 29, 1, 1), sum_of_products(3 * 29 * 121, 37), "either"
    ),
    # a transposed convolution of one pixel is one product
    "DCGAN layer 1": Case(
        transposed(1, 100, 1, 512, 4, 1, 0), sum_of_products(8192, 100), "yes", 5
    ),
    "one pixel, batch 16": Case(
        transposed(16, 100, 1, 512, 4, 1, 0), product(16, 8192, 100), "yes", 5
    ),
    "one pixel, odd sizes, batch 3": Case(
        transposed(3, 37, 1, 29, 5, 1, 0), product(3, 725, 37), "yes", 5
    ),
    "one pixel, padded, stride 2": Case(
        transposed(1, 100, 1, 512, 4, 2, 1), sum_of_products(2048, 100), "yes", 5
    ),
    # 1xk: a product and shifted sums
    "conv1x7": Case(conv(1, 2048, 7, 128, 1, 7), product(896, 49, 2048), "either"),
    "conv1x7, weights bound": Case(
        conv(1, 2048, 7, 128, 1, 7), product(896, 49, 2048), "either", constants="F"
    ),
    "conv7x1 at a prime size": Case(conv(1, 64, 13, 31, 7, 1), product(217, 169, 64), "either"),
    "conv1x7, batch 5, 7x11": Case(conv(5, 13, 7, 31, 1, 7, w=11), product(217, 385, 13), "either"),
    # 3x3: form (A), a product and shifted sums
    "conv3x3": Case(conv(1, 512, 7, 512, 3, 3), product(4608, 49, 512), "either"),
    "conv3x3, batch 3, odd channels": Case(
        conv(3, 33, 7, 17, 3, 3), product(153, 147, 33), "either"
    ),
    "conv3x3, channels last": Case(nhwc(1, 512, 7, 512), product(4608, 49, 512), "either"),
    "conv3x3, channels last, batch 3, prime": Case(
        nhwc(3, 37, 11, 29), product(261, 363, 37), "either"
    ),
    # transposed convolutions: form (C), one product and sums of the taps that count
    "convT4x4 stride 2": Case(transposed(16, 448, 2, 256, 4, 2, 1), product(64, 4096, 448), "yes"),
    "last layer of DCGAN": Case(transposed(1, 64, 32, 3, 4, 2, 1), product(1024, 48, 64), "yes"),
    "a stride that does not divide the taps": Case(
        transposed(2, 32, 5, 24, 3, 2, 1), product(50, 216, 32), "yes"
    ),
    "a stride of three": Case(transposed(1, 32, 6, 24, 5, 3, 1), product(36, 600, 32), "yes"),
    # dilation: residues as a batch, which alone does not pay
    "dilated 512": Case(
        conv(1, 512, 14, 512, 3, 3, d=2), at_least(1, residues_as_batch(2, 2)), "no"
    ),
    "dilated at an odd size": Case(
        conv(1, 64, 15, 64, 3, 3, d=2), at_least(1, residues_as_batch(2, 2)), "no"
    ),
    "dilated by three, prime, batch 2": Case(
        conv(2, 7, 13, 5, 3, 3, d=3), at_least(1, residues_as_batch(3, 2)), "no"
    ),
    "two dilated layers": Case(
        chain(1, 512, 14, 2), at_least(2, residues_as_batch(2, 2)), "either"
    ),
    "two dilated layers, prime channels, batch 3": Case(
        chain(3, 7, 12, 3), at_least(2, residues_as_batch(3, 2)), "either"
    ),
    # large windows: 3x3 windows of several filters, whose results are added with shifts
    "conv6x6": Case(conv(1, 16, 224, 64, 6, 6), windows(256, 144), "no"),
    "conv9x9": Case(conv(8, 16, 224, 32, 9, 9), windows(288, 144), "no"),
    "conv5x5": Case(conv(16, 32, 224, 1, 5, 5), windows(4, 288), "no"),
    "conv5x5 at a prime size": Case(conv(3, 7, 13, 5, 5, 5), windows(20, 63), "either"),
    "conv7x5": Case(conv(1, 5, 23, 3, 7, 5), windows(3 * 3 * 2, 45), "either"),
    # bands: dilation in residues, which are a batch and not a part of the sequence
    "band, dilation 4": Case(
        band(8, 10000, 512, 65, 4), at_least(1, residues_as_batch(4, 1)), "yes"
    ),
    "band, dilation 3, primes": Case(
        band(3, 1009, 37, 41, 3), at_least(1, residues_as_batch(3, 1)), "either"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_form_is_found_and_judged(name: str) -> None:
    case = CASES[name]
    found = searched(case.text, case.within, constants=case.constants)
    assert reached(found, case.form) is not None
    found = chosen(found, "standard")
    if case.chosen == "yes":
        assert found.steps and case.form(found.program)
    if case.chosen == "no":
        assert not case.form(found.program)
    if found.steps:
        assert verify_equal(found.source, found.program).equal
        assert replay(found.source, to_log(found)) == found.program


@pytest.mark.parametrize(
    ("b", "m", "k", "w", "d"), [(8, 2048, 64, 65, 4), (2, 509, 17, 33, 1), (3, 1009, 37, 41, 3)]
)
def test_bands_become_blocks_of_dense_products(b: int, m: int, k: int, w: int, d: int) -> None:
    """Blocks of n rows, each with the w + n - 1 columns that it touches: operands are reused, borders guarded."""
    rows = 1 << (w // 2).bit_length() - 1
    blocks = ceil(ceil(m / d) / rows)

    def form(program: Program) -> bool:
        points = [p for p in map(_matrix, program.definitions()) if p is not None]
        return any((p[1], p[2]) == (rows, rows + w - 1) and p[0] >= b * blocks for p in points)

    assert reached(searched(band(b, m, k, w, d), 60), form) is not None


def _matrix(definition: Definition) -> tuple[float, float, float] | None:
    found = occurrence(definition)
    return found and (extent(found.batch), extent(found.rows), extent(found.columns))


def test_the_published_band_is_not_derived() -> None:
    """It runs the residues one after the other as one sequence, and reads the neighbouring one at their borders."""
    found = searched(band(2, 96, 8, 9, 4), 60)
    for state in found.explored:
        assert verify_equal(found.source, state.program).equal


@pytest.mark.parametrize("c", [512, 61])
def test_channels_last_is_one_kernel_over_taps_and_channels(c: int) -> None:
    """With weights that are bound only Winograd is cheaper than to sum over taps inside the kernel, without im2col."""
    found = searched(nhwc(1, c, 7, c), 60, constants="K")
    assert not any(rule.startswith("summation splitting") for rule in rules_of(found))
    (definition,) = found.explored[0].program.definitions()
    (total,) = (n for n in postorder(definition.body) if isinstance(n, Reduce))
    assert len(total.iters) == 3
