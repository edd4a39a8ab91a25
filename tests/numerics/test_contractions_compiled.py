"""Contractions as machine code, between guard pages, against NumPy in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tcomp import schedule
from tcomp.codegen.host import host_target
from tcomp.codegen.named import target_named
from tcomp.ir.dtypes import DType, bf16, f16, f32, f64, i8, i32
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor.nodes import Program
from tcomp.target import Target
from tests.compiled import Compiled
from tests.guarded import guarded, requires_guards
from tests.numerics.contractions import (
    CONVOLUTIONS,
    activated,
    activated_reference,
    contraction,
    contraction_reference,
    convolution,
    convolution_reference,
    matmul,
    matmul_reference,
)
from tests.unit.programs import random_inputs

pytestmark = requires_guards


def targets() -> list[Target]:
    """This machine, and one without masks, with half its vectors and registers."""
    host = host_target()
    return [host, target_named("x86-64-v3")] if host.vector_bits >= 512 else [host]


def check(
    source: Program,
    expected: Any,
    inputs: dict[str, Any],
    tolerance: float = 1e-5,
    machines: Sequence[Target] = (),
) -> None:
    for target in machines or targets():
        plan = Plan(source, tuple(Group((d,)) for d in source.definitions()))
        module = schedule.lower(plan, schedule.analytical(plan, target, 2), target, 2)
        kernel = Compiled(module, target, threads=2)
        for edge in ("start", "end"):
            result = source.results[0]
            shape = tuple(int(n) for n in result.shape)
            arrays = [guarded(inputs[t.name], edge, read_only=True) for t in source.inputs]
            out = guarded(np.full(shape, 99, result.dtype.numpy), edge)
            assert kernel(*arrays, out) == 0
            if out.dtype.kind in "iu":
                np.testing.assert_array_equal(out, expected)
            else:
                scale = float(np.max(np.abs(expected), initial=1.0))
                got = out.astype(np.float64)
                np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


SHAPES = [
    (2, 4, 64), (13, 17, 11), (61, 67, 71), (64, 64, 64), (97, 33, 200), (15, 300, 5), (5, 7, 1031),
    (130, 40, 128), (200, 257, 1024),
    (3, 50, 129), (8, 33, 64), (1, 130, 70), (2, 700, 513),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["nn", "tn", "nt", "tt"])
def test_matmul(shape: tuple[int, int, int], layout: str) -> None:
    ta, tb = layout[0] == "t", layout[1] == "t"
    source = matmul(*shape, ta, tb)
    inputs = random_inputs(source)
    check(source, matmul_reference(inputs, ta, tb), inputs)


@pytest.mark.parametrize(
    "dtype, sums", [(f64, f64), (bf16, f32), (f16, f32), (i8, i32), (i32, i32)]
)
def test_element_types(dtype: DType, sums: DType) -> None:
    source = matmul(37, 53, 41, dtype=dtype, sums=sums)
    inputs = random_inputs(source)
    exact = np.int64 if sums is i32 else np.float64
    expected = matmul_reference(inputs, False, False, exact)
    check(source, expected, inputs, 1e-13 if sums is f64 else 1e-5)


@pytest.mark.parametrize("shape", [(13, 37, 11), (1, 130, 40), (8, 5, 64), (61, 67, 300)])
@pytest.mark.parametrize("stored", [f32, bf16])
def test_long_epilogues(shape: tuple[int, int, int], stored: DType) -> None:
    source = activated(*shape, stored)
    inputs = random_inputs(source)
    check(source, activated_reference(inputs), inputs, 1e-5 if stored is f32 else 1e-2)


@pytest.mark.parametrize(
    "shape", [(17, 1100, 257), (1, 1300, 521), (3, 521, 1300), (100, 530, 1021), (33, 48, 12007)]
)
@pytest.mark.parametrize("layout", ["nn", "tn", "tt"])
def test_products_from_afar(shape: tuple[int, int, int], layout: str) -> None:
    """With an L2 so small that right comes from beyond it: blocks of inner, prefetches, streams."""
    ta, tb = layout[0] == "t", layout[1] == "t"
    source = matmul(*shape, ta, tb)
    inputs = random_inputs(source)
    small = [replace(t, l1=1 << 14, l2=1 << 17) for t in targets()]
    check(source, matmul_reference(inputs, ta, tb), inputs, machines=small)


@pytest.mark.parametrize("shape, filters, stride, pad, dilation", CONVOLUTIONS)
def test_convolutions(
    shape: tuple[int, int, int, int], filters: tuple[int, int, int],
    stride: int, pad: int, dilation: int,
) -> None:  # fmt: skip
    source = convolution(shape, filters, stride, pad, dilation)
    inputs = random_inputs(source)
    check(source, convolution_reference(inputs, stride, pad, dilation), inputs)


@pytest.mark.parametrize(
    "out, left, right",
    [("abcd", "aebf", "dfce"), ("abcde", "efbad", "cf"), ("bqhd", "bhqk", "bkhd")],
)
def test_tensor_contractions(out: str, left: str, right: str) -> None:
    source = contraction(out, left, right)
    inputs = random_inputs(source)
    check(source, contraction_reference(inputs, out, left, right), inputs)
