"""Products whose results interleave: phases of transposed convolutions, stored as whole vectors."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from tcomp import schedule
from tcomp.ir.dtypes import f32
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Store
from tcomp.ir.loop.rewriting import statements
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor.nodes import Definition, Program
from tcomp.passes import plan
from tcomp.passes.derivation.index import INDEX_RULES
from tcomp.passes.derivation.normal import normal_form
from tcomp.schedule.contraction import match
from tcomp.schedule.contraction.tasks import RowPanels
from tests.numerics.test_contractions import NEON, WIDE, check
from tests.unit.programs import (
    apply,
    iterator,
    program,
    random_inputs,
    read,
    tensor,
    total,
    written,
)
from tests.unit.schedule_harness import agree


def phases(channels: int, rows: int, columns: int, factor: int, terms: int) -> Program:
    """Y[o, y, p, x, q] = sum[c](I[c, y, x] * F[c, o, p, q]): an image enlarged by `factor`."""
    image, filters = (
        tensor(name, *shape, dtype=f32)
        for name, shape in (("I", (terms, rows, columns)), ("F", (terms, channels, factor, factor)))
    )
    out = tensor("Y", channels, rows, factor, columns, factor, dtype=f32)
    o, y, p, x, q, c = (
        iterator(name, extent)
        for name, extent in zip(
            "oypxqc", (channels, rows, factor, columns, factor, terms), strict=True
        )
    )
    body = total(apply("mul", read(image, c, y, x), read(filters, c, o, p, q)), c)
    return program([image, filters], [out], Definition(out, (o, y, p, x, q), body))


@pytest.mark.parametrize(
    "channels, rows, columns, factor, terms",
    [(3, 4, 32, 2, 5), (5, 2, 19, 2, 7), (2, 3, 16, 4, 6), (3, 2, 33, 3, 4), (7, 1, 5, 2, 9), (1, 3, 8, 4, 3)],
)  # fmt: skip
def test_phases(channels: int, rows: int, columns: int, factor: int, terms: int) -> None:
    source = phases(channels, rows, columns, factor, terms)
    inputs = random_inputs(source)
    expected = np.einsum("cyx,copq->oypxq", inputs["I"].astype(float), inputs["F"].astype(float))
    for target in (NEON, WIDE):
        check(source, expected, inputs, target=target)
    found = match(next(iter(source.definitions())))
    assert found is not None
    assert found.columns[-1].name == "x"


def test_complete_tiles_store_whole_vectors() -> None:
    source = phases(8, 2, 32, 2, 16)
    planned = Plan(source, tuple(Group((d,)) for d in source.definitions()))
    module = schedule.lower(planned, schedule.analytical(planned, WIDE, 1), WIDE, 1)
    stores = [s for k in module.kernels for s in statements(k.body) if isinstance(s, Store)]
    assert stores
    assert all(s.stride == 1 and s.value.lanes == 16 for s in stores)


@pytest.mark.parametrize(
    "rows, tallest, unit", list(product((12, 36, 144), (1, 5, 6, 14), (1, 2, 3, 4)))
)
def test_panels_are_whole_units(rows: int, tallest: int, unit: int) -> None:
    panels = RowPanels.of(rows, tallest, unit)
    heights = [panels.rows + (unit if p < panels.larger else 0) for p in range(panels.count)]
    firsts = [int(panels.first_row(Int.of(p))) for p in range(panels.count + 1)]
    assert sum(heights) == rows
    assert [b - a for a, b in pairwise(firsts)] == heights
    assert all(h % unit == 0 and h <= max(tallest, unit) for h in heights)


@pytest.mark.parametrize("stride, taps, pad, size", [(2, 4, 1, 5), (2, 2, 0, 7), (3, 5, 1, 4)])
def test_transposed_convolutions(stride: int, taps: int, pad: int, size: int) -> None:
    """Split by residues and planned, the phases are made where they belong."""
    out = (size - 1) * stride + taps - 2 * pad
    moved = [f"{x} + {pad} - {r}" for x, r in ("yr", "xs")]
    hit = " and ".join(f"({m}) % {stride} == 0" for m in moved)
    at = ", ".join(f"({m})//{stride}" for m in moved)
    source = written(
        f"def f(I: f32[1, 6, {size}, {size}], F: f32[6, 5, {taps}, {taps}]) -> Y: f32[1, 5, {out}, {out}]:\n"
        f"    Y[n, o, y, x] = sum[c, r, s](where({hit}, (I[n, c, {at}] else 0), 0) * F[c, o, r, s])\n"
    )
    by_name = {rule.name: rule for rule in INDEX_RULES}
    ((_, solved),) = by_name["congruence"].apply(normal_form(source))
    derived = [r for _, r in by_name["variable splitting"].apply(normal_form(solved))]
    assert derived
    for each in map(normal_form, derived):
        agree(each, random_inputs(source))
        assert len(plan(each).views) == 1
