"""Banded products: residues of a dilation as a batch, and blocks of dense products."""

from __future__ import annotations

from math import ceil

from tcomp.ir.tensor.nodes import Definition
from tcomp.passes.derivation.estimate import extent, occurrence
from tests.derivation.catalogue.case import Case
from tests.derivation.catalogue.convolutions import at_least
from tests.derivation.forms import Form, residues_as_batch, some

BAND = (
    "def f(A: f32[{b}, {m}, {k}], B: f32[{b}, {m}, {k}]) -> Y: f32[{b}, {m}, {w}]:\n"
    "    Y[b, m, w] = sum[k](A[b, m, k] * (B[b, m + {d}*w - {d}*({w}//2), k] else 0.0))\n"
)


WEIGHTED = (
    "def f(A: f32[{b}, {m}, {w}], V: f32[{b}, {m}, {n}]) -> Y: f32[{b}, {m}, {n}]:\n"
    "    Y[b, m, n] = sum[w](A[b, m, w] * (V[b, m + {d}*w - {d}*({w}//2), n] else 0.0))\n"
)


def weighted(b: int, m: int, n: int, w: int, d: int) -> str:
    """Weights of a band times values."""
    return WEIGHTED.format(b=b, m=m, n=n, w=w, d=d)


def band(b: int, m: int, k: int, w: int, d: int) -> str:
    return BAND.format(b=b, m=m, k=k, w=w, d=d)


def blocks(b: int, m: int, w: int, d: int) -> Form:
    """Blocks of n rows, each with the w + n - 1 columns that it touches: operands are reused, borders guarded."""
    rows = 1 << (w // 2).bit_length() - 1
    least = b * ceil(ceil(m / d) / rows)

    def is_it(definition: Definition) -> bool:
        found = occurrence(definition)
        if found is None or extent(found.batch) < least:
            return False
        return (extent(found.rows), extent(found.columns)) == (rows, rows + w - 1)

    return some(is_it)


def weighted_blocks(b: int, m: int, n: int, w: int, d: int) -> Form:
    """Blocks of rows that share the w + rows - 1 values that one of them meets."""
    rows = 1 << (w // 2).bit_length() - 1
    least = b * ceil(ceil(m / d) / rows)

    def is_it(definition: Definition) -> bool:
        found = occurrence(definition)
        if found is None or extent(found.batch) < least:
            return False
        sides = {extent(found.rows), extent(found.columns)}
        return sides == {rows, n} and extent(found.inner) == rows + w - 1

    return some(is_it)


def _weighted(variant: str, verdict: str, b: int, m: int, n: int, w: int, d: int) -> Case:
    text, form = weighted(b, m, n, w, d), weighted_blocks(b, m, n, w, d)
    title = "GBMM in blocks" if d == 1 else f"GBMM in blocks, dilation {d}"
    return Case(0, title, variant, text, form, verdict, 60.0)


CASES = (
    _weighted("stated", "chosen", 8, 2048, 64, 65, 1),
    _weighted("odd, prime, batched", "either", 2, 509, 17, 33, 1),
    _weighted("stated", "chosen", 8, 10000, 64, 65, 4),
    _weighted("odd, prime, batched", "either", 3, 1009, 37, 41, 3),
    _weighted("batched", "chosen", 8, 4096, 64, 129, 4),
    Case(
        0, "G2BMM, dilation 4", "stated", band(8, 10000, 512, 65, 4),
        at_least(1, residues_as_batch(4, 1)), "chosen", 60.0,
    ),
    Case(
        0, "G2BMM, dilation 3", "prime, batched", band(2, 1009, 37, 41, 3),
        at_least(1, residues_as_batch(3, 1)), "either", 60.0,
    ),
    Case(0, "G2BMM in blocks", "stated", band(8, 2048, 64, 65, 4), blocks(8, 2048, 65, 4), "either", 60.0),
    Case(0, "G2BMM in blocks", "prime, batched", band(2, 509, 17, 33, 1), blocks(2, 509, 33, 1), "either", 60.0),
    Case(
        0, "G2BMM in blocks, dilation 3", "odd, prime, batched", band(3, 1009, 37, 41, 3),
        blocks(3, 1009, 41, 3), "either", 60.0,
    ),
)  # fmt: skip
