"""Programs that are contractions, with references in NumPy that are computed in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType, f32
from tcomp.ir.integer import Int
from tcomp.ir.tensor.nodes import Apply, Const, Definition, Expr, Program, Read, Tensor
from tests.unit.programs import apply, iterator, program, read, tensor, total


def cast(value: Expr, dtype: DType) -> Expr:
    return value if value.dtype is dtype else Apply("cast", (value,), dtype)


def matmul(
    m: int, n: int, k: int, ta: bool = False, tb: bool = False, dtype: DType = f32,
    sums: DType = f32,
) -> Program:  # fmt: skip
    a = tensor("A", *((k, m) if ta else (m, k)), dtype=dtype)
    b = tensor("B", *((n, k) if tb else (k, n)), dtype=dtype)
    c = tensor("C", m, n, dtype=sums)
    i, j, x = iterator("i", m), iterator("j", n), iterator("k", k)
    left = cast(read(a, *((x, i) if ta else (i, x))), sums)
    right = cast(read(b, *((j, x) if tb else (x, j))), sums)
    return program([a, b], [c], Definition(c, (i, j), total(apply("mul", left, right), x)))


def activated(m: int, n: int, k: int, stored: DType = f32) -> Program:
    """erf of a product and a bias: an epilogue that is long."""
    a, b, v = (
        tensor(name, *shape, dtype=f32)
        for name, shape in zip("Abv", ((m, k), (k, n), (n,)), strict=True)
    )
    c = tensor("C", m, n, dtype=stored)
    i, j, x = iterator("i", m), iterator("j", n), iterator("k", k)
    product = total(apply("mul", read(a, i, x), read(b, x, j)), x)
    value = apply("tanh", apply("erf", apply("add", product, read(v, j))))
    return program([a, b, v], [c], Definition(c, (i, j), cast(value, stored)))


def activated_reference(inputs: dict[str, Any]) -> Any:
    a, b, v = (inputs[name].astype(np.float64) for name in "Abv")
    return np.tanh(np.vectorize(math.erf)(a @ b + v))


def matmul_reference(inputs: dict[str, Any], ta: bool, tb: bool, dtype: Any = np.float64) -> Any:
    a, b = inputs["A"].astype(dtype), inputs["B"].astype(dtype)
    return (a.T if ta else a) @ (b.T if tb else b)


def convolution(
    shape: tuple[int, int, int, int], filters: tuple[int, int, int],
    stride: int, pad: int, dilation: int,
) -> Program:  # fmt: skip
    n, c, h, w = shape
    o, r, s = filters
    oh, ow = (
        (size + 2 * pad - dilation * (taps - 1) - 1) // stride + 1
        for size, taps in ((h, r), (w, s))
    )
    image, weights = tensor("I", n, c, h, w, dtype=f32), tensor("F", o, c, r, s, dtype=f32)
    out = tensor("Y", n, o, oh, ow, dtype=f32)
    at = [iterator(name, e) for name, e in (("n", n), ("o", o), ("y", oh), ("x", ow))]
    inner = [iterator(name, e) for name, e in (("c", c), ("r", r), ("s", s))]
    y, x = (Int.of(at[2 + d]) * stride + Int.of(inner[1 + d]) * dilation - pad for d in range(2))
    guard = Const(0.0, f32) if pad else None
    pixel = Read(image, (Int.of(at[0]), Int.of(inner[0]), y, x), guard)
    body = total(apply("mul", pixel, read(weights, at[1], *inner)), *inner)
    return program([image, weights], [out], Definition(out, tuple(at), body))


def convolution_reference(inputs: dict[str, Any], stride: int, pad: int, dilation: int) -> Any:
    image = np.pad(inputs["I"].astype(float), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    weights = inputs["F"].astype(float)
    taps = [(weights.shape[2] - 1) * dilation + 1, (weights.shape[3] - 1) * dilation + 1]
    windows = np.lib.stride_tricks.sliding_window_view(image, taps, axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride, ::dilation, ::dilation]
    return np.einsum("ncyxrs,ocrs->noyx", windows, weights)


CONVOLUTIONS = [
    ((1, 3, 9, 11), (5, 3, 3), 1, 1, 1),
    ((2, 4, 8, 8), (6, 3, 3), 2, 1, 1),
    ((1, 2, 12, 7), (4, 5, 3), 1, 2, 2),
    ((2, 5, 6, 6), (7, 1, 1), 1, 0, 1),
    ((1, 4, 7, 7), (4, 1, 1), 2, 0, 1),
    ((1, 1, 13, 10), (3, 7, 7), 2, 3, 1),
    ((1, 6, 5, 17), (2, 3, 3), 1, 0, 1),
]


EINSUMS = [
    ("abcd", "aebf", "dfce"), ("abc", "acd", "db"), ("ab", "cad", "dcb"), ("abcd", "dbea", "ec"),
    ("abcde", "efbad", "cf"), ("bqhd", "bhqk", "bkhd"), ("acbd", "abe", "ced"), ("dba", "dck", "kbca"),
    ("abcd", "ea", "bced"), ("abcd", "eb", "aecd"), ("ab", "akc", "ckb"),
    ("abcdef", "dega", "gfbc"), ("abc", "bda", "dc"), ("abcd", "deca", "be"), ("abcd", "eafd", "fbec"),
    ("abc", "dca", "bd"), ("abcde", "efcad", "bf"), ("abcde", "ecbfa", "fd"),
]  # fmt: skip
EXTENTS = {"a": 3, "b": 5, "c": 4, "d": 6, "e": 2, "f": 7, "g": 5, "h": 3, "k": 5, "q": 4}


def contraction(out: str, left: str, right: str, extents: Mapping[str, int] = EXTENTS) -> Program:
    """A product of two tensors in einsum's letters."""
    iters = {c: iterator(c, extents[c]) for c in {*out, *left, *right}}

    def made(name: str, letters: str) -> Tensor:
        return tensor(name, *(extents[c] for c in letters), dtype=f32)

    a, b, c = made("A", left), made("B", right), made("C", out)
    factors = read(a, *(iters[x] for x in left)), read(b, *(iters[x] for x in right))
    summed = sorted((set(left) | set(right)) - set(out))
    body = total(apply("mul", *factors), *(iters[x] for x in summed))
    return program([a, b], [c], Definition(c, tuple(iters[x] for x in out), body))


def contraction_reference(inputs: dict[str, Any], out: str, left: str, right: str) -> Any:
    return np.einsum(f"{left},{right}->{out}", inputs["A"].astype(float), inputs["B"].astype(float))


def convolution_3d(shape: tuple[int, int, int, int, int], outputs: int) -> Program:
    """A 3 x 3 x 3 convolution of zero-padded volumes."""
    n, c, d, h, w = shape
    image, filters = tensor("A", *shape), tensor("B", outputs, c, 3, 3, 3)
    out = tensor("C", n, outputs, d, h, w)
    b, o, z, y, x = (
        iterator(name, int(extent))
        for name, extent in zip("bozyx", (n, outputs, d, h, w), strict=True)
    )
    k, q, r, s = (iterator(name, extent) for name, extent in zip("kqrs", (c, 3, 3, 3), strict=True))
    at = tuple(Int.of(i) + Int.of(tap) - 1 for i, tap in ((z, q), (y, r), (x, s)))
    value = Read(image, (Int.of(b), Int.of(k), *at), Const(0.0, f32))
    body = total(apply("mul", value, read(filters, o, k, q, r, s)), k, q, r, s)
    return program([image, filters], [out], Definition(out, (b, o, z, y, x), body))


def convolution_3d_reference(inputs: dict[str, Any]) -> Any:
    a, b = inputs["A"].astype(np.float64), inputs["B"].astype(np.float64)
    padded = np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), axis=(2, 3, 4))
    return np.einsum("bkzyxqrs,okqrs->bozyx", windows, b, optimize=True)
