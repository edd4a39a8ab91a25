"""Weights that are bound as constants are packed before any call: the same results, and nothing left to pack."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import tcomp
from tcomp.ir.loop.nodes import Space

CONV = """
def conv(I: f32[N, C, H, W], F: f32[O, C, R, S], b: f32[O]) -> Y: f32[N, O, H, W]:
    Y[n, o, y, x] = relu(sum[c, r, s]((I[n, c, y + r - 1, x + s - 1] else 0) * (F[o, c, r, s] * 0.5)) + b[o])
"""
PRODUCT = """
def product(X: f32[M, K], W: f32[N, K]) -> Y: f32[M, N]:
    Y[i, j] = sum[k](X[i, k] * W[j, k])
"""


def drawn(*shape: int) -> Any:
    return np.random.default_rng(3).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("size", [7, 13, 30])
def test_filters(size: int) -> None:
    image, filters, bias = drawn(2, 19, size, size), drawn(37, 19, 3, 3), drawn(37)
    f = tcomp.compile(CONV, constants={"F": filters, "b": bias}, threads=2, accuracy="strict")
    padded = np.pad(image.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    sums = np.einsum("ncyxrs,ocrs->noyx", windows, 0.5 * filters.astype(float))
    expected = np.maximum(sums + bias[:, None, None], 0)
    got = f(image)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * expected.max())
    np.testing.assert_array_equal(f(image), got)


def test_weights_of_a_product() -> None:
    x, w = drawn(96, 300), drawn(515, 300)
    f = tcomp.compile(PRODUCT, constants={"W": w}, threads=2, accuracy="strict")
    expected = x.astype(float) @ w.astype(float).T
    np.testing.assert_allclose(f(x), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_what_is_packed_is_not_packed_again() -> None:
    f = tcomp.compile(
        CONV,
        constants={"F": drawn(37, 19, 3, 3), "b": drawn(37)},
        threads=2,
        accuracy="strict",
        sizes={"N": 1, "H": 14, "W": 14},
    )
    f(drawn(1, 19, 14, 14))
    stages = f.stages()
    assert stages.packing is not None
    (kernel,) = stages.loops.kernels
    read = {t.name for t in stages.once.results} & {b.name for b in kernel.buffers}
    assert not read  # the folded filters are read in their packed form only
    assert all(b.space is not Space.WORKSPACE for b in kernel.buffers)


@pytest.mark.parametrize("depth", [64, 65, 66, 67])
@pytest.mark.parametrize("types", ["i8 i8", "u8 i8", "i8 u8"])
@pytest.mark.parametrize("shape", [(1, 300), (8, 129), (67, 81)])
def test_weights_of_bytes(shape: tuple[int, int], types: str, depth: int) -> None:
    """What an offset of the left side adds is packed with the weights; ends of ranges are most of the values."""
    rng = np.random.default_rng(depth)
    (m, n), names = shape, types.split()
    kinds = [np.iinfo(np.int8 if name == "i8" else np.uint8) for name in names]
    x, w = (
        rng.choice([k.min, k.max, 1, k.max // 2], size).astype(k.dtype)
        for k, size in zip(kinds, ((m, depth), (n, depth)), strict=True)
    )
    source = (
        f"def product(X: {names[0]}[{m}, {depth}], W: {names[1]}[{n}, {depth}]) -> Y: i32[{m}, {n}]:\n"
        "    Y[i, j] = sum[k](X[i, k] * W[j, k])\n"
    )
    f = tcomp.compile(source, constants={"W": w}, threads=2)
    np.testing.assert_array_equal(f(x), x.astype(np.int32) @ w.astype(np.int32).T)


def test_a_constant_of_which_each_block_reads_another_part() -> None:
    """What is packed before any call is the same for all blocks; the columns of this product are not."""
    n, c, o = 16, 448, 256
    moved = [(f"({x} + 1 - {r})", f"({x} + 1 - {r})//2") for x, r in ("yr", "xs")]
    hit = " and ".join(f"{m} % 2 == 0" for m, _ in moved)
    at = ", ".join(a for _, a in moved)
    function = tcomp.compile(
        f"def f(I: f32[{n}, {c}, 2, 2], F: f32[{c}, {o}, 4, 4]) -> Y: f32[{n}, {o}, 4, 4]:\n"
        f"    Y[n, o, y, x] = sum[c, r, s](where({hit}, (I[n, c, {at}] else 0), 0) * F[c, o, r, s])\n",
        constants={"F": (weights := np.random.default_rng(3).standard_normal((c, o, 4, 4), "f4"))},
        threads=2,
    )
    image = np.random.default_rng(4).standard_normal((n, c, 2, 2), "f4")
    wanted = np.zeros((n, o, 6, 6))
    for i, j, r, s in product(range(2), range(2), range(4), range(4)):
        wanted[:, :, 2 * i + r, 2 * j + s] += image[:, :, i, j].astype(float) @ weights[:, :, r, s]
    np.testing.assert_allclose(function(image), wanted[:, :, 1:5, 1:5], rtol=1e-4, atol=1e-3)
