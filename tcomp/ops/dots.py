"""Short dot products inside 32-bit words: what they mean, and which processors have an instruction for them.

    dot_u8_i8(sums, a, b)[lane] = sums[lane] + sum[j in 0:4](u8(a[lane], j) * i8(b[lane], j))

The operands are vectors of words, the first element of a group in a word's low bits. Integer sums wrap in
i32, so that a result does not depend on how a product is cut into words. In `dot_u7_i8` the left elements are
below 128: no pair of products leaves i16, where `vpmaddubsw` saturates.

    half h of pairs_u4_i8(sums, a, b)[lane]
        = half h of sums[lane] + sum[j in 0:2](u8(a[lane], 2*h + j) * i8(b[lane], 2*h + j))

is one instruction less than a dot product where processors have `vpmaddubsw` alone. The halves are signed numbers of
16 bits, which eight sums of products of elements below 16 do not leave; `dot_i16_i16` with ones adds them up.

Products of bf16 are exact in f32. Their sums are rounded to nearest even, after each product or after each
word, and denormal numbers, as operands or sums, may count as zeros: a difference below 2^-126 for each
product. So "strict" has no part in them (`Options.target`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tcomp.ir.dtypes import DType, bf16, f32, i8, i16, i32, u8

Array: TypeAlias = Any  # np.ndarray
PAIRS = "pairs_u4_i8"
MOST_PAIRS = 8  # that are added up in 16 bits: 8 * 2 * 15 * 128 < 2**15
WORD = i32  # what holds a group of elements


@dataclass(frozen=True, slots=True)
class Dot:
    """An operation on words of `group` elements each."""

    op: str
    left: DType
    right: DType
    sums: DType

    @property
    def group(self) -> int:
        """Elements of a word."""
        return WORD.bits // self.left.bits


DOTS: dict[str, Dot] = {
    d.op: d
    for d in (
        Dot("dot_u8_i8", u8, i8, i32),
        Dot("dot_u7_i8", u8, i8, i32),
        Dot(PAIRS, u8, i8, i32),
        Dot("dot_i8_i8", i8, i8, i32),
        Dot("dot_i16_i16", i16, i16, i32),
        Dot("dot_bf16_bf16", bf16, bf16, f32),
    )
}


@dataclass(frozen=True, slots=True)
class DotInstruction:
    """An LLVM intrinsic for vectors of `lanes` words, there where all of `features` are.

    `accumulates` tells whether it adds to its first operand; else it has none, and an addition follows. One
    with `pairs` gives sums of two products in i16, which that intrinsic adds in pairs when it multiplies by 1.
    """

    op: str
    lanes: int
    features: tuple[str, ...]
    intrinsic: str
    accumulates: bool = True
    pairs: str = ""


_BF16_VL = ("avx512bf16", "avx512vl")

_VNNI: tuple[tuple[int, tuple[str, ...], str], ...] = (
    (16, ("avx512vnni",), "llvm.x86.avx512.vpdpbusd.512"),
    (8, ("avx512vnni", "avx512vl"), "llvm.x86.avx512.vpdpbusd.256"),
    (4, ("avx512vnni", "avx512vl"), "llvm.x86.avx512.vpdpbusd.128"),
    (8, ("avxvnni",), "llvm.x86.avx512.vpdpbusd.256"),
    (4, ("avxvnni",), "llvm.x86.avx512.vpdpbusd.128"),
)
_MADD = {
    16: ("avx512bw", "llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512"),
    8: ("avx2", "llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"),
    4: ("ssse3", "llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.sse2.pmadd.wd"),
}

INSTRUCTIONS: tuple[DotInstruction, ...] = (
    *(DotInstruction(op, *row) for op in ("dot_u8_i8", "dot_u7_i8") for row in _VNNI),
    DotInstruction("dot_i8_i8", 8, ("avxvnniint8",), "llvm.x86.avx2.vpdpbssd.256"),
    DotInstruction("dot_i8_i8", 4, ("avxvnniint8",), "llvm.x86.avx2.vpdpbssd.128"),
    DotInstruction("dot_i16_i16", 16, ("avx512vnni",), "llvm.x86.avx512.vpdpwssd.512"),
    DotInstruction("dot_i16_i16", 8, ("avx512vnni", "avx512vl"), "llvm.x86.avx512.vpdpwssd.256"),
    DotInstruction("dot_i16_i16", 8, ("avxvnni",), "llvm.x86.avx512.vpdpwssd.256"),
    DotInstruction("dot_i16_i16", 16, ("avx512bw",), "llvm.x86.avx512.pmaddw.d.512", False),
    DotInstruction("dot_i16_i16", 8, ("avx2",), "llvm.x86.avx2.pmadd.wd", False),
    DotInstruction("dot_bf16_bf16", 16, ("avx512bf16",), "llvm.x86.avx512bf16.dpbf16ps.512"),
    DotInstruction("dot_bf16_bf16", 8, _BF16_VL, "llvm.x86.avx512bf16.dpbf16ps.256"),
    DotInstruction("dot_bf16_bf16", 4, _BF16_VL, "llvm.x86.avx512bf16.dpbf16ps.128"),
    DotInstruction("dot_bf16_bf16", 4, ("bf16",), "llvm.aarch64.neon.bfdot.v4f32.v8bf16"),
    DotInstruction("dot_i8_i8", 4, ("dotprod",), "llvm.aarch64.neon.sdot.v4i32.v16i8"),
    DotInstruction("dot_u7_i8", 4, ("dotprod",), "llvm.aarch64.neon.sdot.v4i32.v16i8"),
    DotInstruction("dot_u8_i8", 4, ("i8mm",), "llvm.aarch64.neon.usdot.v4i32.v16i8"),
    *(
        DotInstruction("dot_u7_i8", lanes, (feature,), first, False, second)
        for lanes, (feature, first, second) in _MADD.items()
    ),
    *(
        DotInstruction(PAIRS, lanes, (feature,), first, False)
        for lanes, (feature, first, _) in _MADD.items()
    ),
)


def instruction(op: str, lanes: int, has: Callable[[str], bool]) -> DotInstruction | None:
    """The instruction of a processor that has the features `has` tells, or None."""
    for row in INSTRUCTIONS:
        if row.op == op and row.lanes == lanes and all(map(has, row.features)):
            return row
    return None


def _integers(left: type[np.integer[Any]], right: type[np.integer[Any]]) -> Callable[..., Array]:
    def meaning(sums: Array, a: Array, b: Array) -> Array:
        products = _elements(a, left).astype(np.int64) * _elements(b, right).astype(np.int64)
        return (sums.astype(np.int64) + products.sum(axis=-1)).astype(sums.dtype)

    return meaning


def _elements(words: Array, type_: type[np.generic]) -> Array:
    """The elements of each word, along a new last axis."""
    words = np.ascontiguousarray(words)
    return words.view(np.dtype(type_)).reshape(*words.shape, -1)


def dot_bf16_bf16(sums: Array, a: Array, b: Array) -> Array:
    """A product after the other."""
    kind = bf16.numpy.type
    products = (_elements(a, kind).astype(np.float32) * _elements(b, kind).astype(np.float32)).T
    return sums + products[0] + products[1]


def pairs_u4_i8(sums: Array, a: Array, b: Array) -> Array:
    """Two products at a time, in halves that wrap."""
    products = _elements(a, np.uint8).astype(np.int64) * _elements(b, np.int8).astype(np.int64)
    halves = products.reshape(*products.shape[:-1], 2, 2).sum(axis=-1)
    found = (_elements(sums, np.int16) + halves).astype(np.int16)
    return np.ascontiguousarray(found).view(sums.dtype).reshape(sums.shape)


dot_u8_i8 = _integers(np.uint8, np.int8)
dot_u7_i8 = dot_u8_i8
dot_i8_i8 = _integers(np.int8, np.int8)
dot_i16_i16 = _integers(np.int16, np.int16)
