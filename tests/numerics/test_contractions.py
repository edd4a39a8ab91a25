"""Contractions in every form, scheduled as register tiles, against NumPy in float64."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from tcomp import schedule
from tcomp.ir.dtypes import DType, bf16, f16, f32, f64, i8, i32
from tcomp.ir.loop.interpreter import interpret as run_loops
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor.nodes import Const, Definition, Program
from tcomp.schedule.contraction import KIND, match
from tcomp.schedule.contraction.blocking import DIRECT, OUTER, PRIVATE, SHARED, Blocking, choose
from tcomp.schedule.contraction.cost import register_tile
from tcomp.schedule.contraction.group import survey_dense, to_trace
from tcomp.schedule.contraction.joined_blocking import joined
from tcomp.schedule.contraction.space import is_legal
from tcomp.schedule.contraction.spread import legal_sizes
from tcomp.schedule.trace import Trace, trace
from tcomp.target import Target
from tests.numerics.contractions import (
    CONVOLUTIONS,
    EINSUMS,
    cast,
    contraction,
    contraction_reference,
    convolution,
    convolution_reference,
    matmul,
    matmul_reference,
)
from tests.unit.programs import apply, iterator, program, random_inputs, read, tensor, total

NEON = Target("aarch64-unknown-linux-gnu", "", "", 128, 32, True, 65536, 1 << 20, 1 << 25, 2)
WIDE = Target("x86_64-unknown-linux-gnu", "", "", 512, 32, True, 32768, 1 << 20, 1 << 25, 2)


def run(source: Program, inputs: dict[str, Any], target: Target, decided: Trace | None) -> Any:
    """The first result of the program, each definition a group, by the loop interpreter."""
    plan = Plan(source, tuple(Group((d,)) for d in source.definitions()))
    traces = (decided,) if decided is not None else schedule.analytical(plan, target, 2)
    assert traces[0].kind == KIND
    module = schedule.lower(plan, traces, target, 2)
    result = source.results[0]
    out = np.zeros(tuple(int(n) for n in result.shape), result.dtype.numpy)
    status = run_loops(
        module, [*(np.ascontiguousarray(inputs[t.name]) for t in source.inputs), out]
    )
    assert status == 0
    return out


def check(
    source: Program, expected: Any, inputs: dict[str, Any], *, target: Target = NEON,
    decided: Trace | None = None, tolerance: float = 1e-5,
) -> None:  # fmt: skip
    got = run(source, inputs, target, decided)
    assert got.shape == expected.shape
    if got.dtype.kind in "iu":
        np.testing.assert_array_equal(got, expected)
    else:
        scale = float(np.max(np.abs(expected), initial=1.0))
        np.testing.assert_allclose(
            got.astype(np.float64), expected, rtol=tolerance, atol=tolerance * scale
        )


SHAPES = [(5, 7, 9), (2, 4, 64), (13, 17, 11), (6, 16, 8), (7, 33, 5), (16, 8, 37)]
BLOCKINGS = [
    {"left": left, "right": right, "depth": depth, "by_rows": by_rows}
    for left, right, depth, by_rows in product(
        (DIRECT, PRIVATE), (DIRECT, PRIVATE, SHARED), (8, 1000), (0, 1)
    )
]


def blocking(source: Program, **changes: int) -> Trace:
    """Small tiles and tasks, so that small shapes have partial ones of every kind."""
    found = match(next(iter(source.definitions())))
    assert found is not None
    inner = int(np.prod([int(it.extent) for it in found.inner]))
    values = {
        "form": OUTER, "lanes": 4, "tile_rows": 3, "tile_vectors": 2, "unroll": 2, "depth": 8, "task_panels": 2,
        "task_columns": 8, "left": DIRECT, "right": DIRECT, "parallel": 1, "prefetch": 0, "staged": 0,
        "words": 0, "by_rows": 0, "task_spread": 1, "joined": 0,
    } | changes  # fmt: skip
    values["depth"] = min(values["depth"], inner)
    return trace(KIND, ((f.name, values[f.name]) for f in fields(Blocking)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ta, tb", list(product((False, True), repeat=2)))
def test_matmul_of_any_layout(shape: tuple[int, int, int], ta: bool, tb: bool) -> None:
    source = matmul(*shape, ta, tb)
    inputs = random_inputs(source)
    expected = matmul_reference(inputs, ta, tb)
    check(source, expected, inputs)
    check(source, expected, inputs, target=WIDE)


@pytest.mark.parametrize("decisions", BLOCKINGS, ids=lambda d: "-".join(map(str, d.values())))
@pytest.mark.parametrize("shape, ta, tb", [((13, 19, 21), 0, 0), ((8, 13, 18), 1, 1)])
def test_every_blocking_gives_the_same(
    decisions: dict[str, int], shape: tuple[int, int, int], ta: int, tb: int
) -> None:
    source = matmul(*shape, bool(ta), bool(tb))
    inputs = random_inputs(source)
    expected = matmul_reference(inputs, bool(ta), bool(tb))
    check(source, expected, inputs, decided=blocking(source, **decisions))


@pytest.mark.parametrize(
    "dtype, sums", [(f64, f64), (bf16, f32), (f16, f32), (i8, i32), (i32, i32)]
)
def test_element_types(dtype: DType, sums: DType) -> None:
    source = matmul(9, 21, 17, dtype=dtype, sums=sums)
    inputs = random_inputs(source)
    exact = np.int64 if sums is i32 else np.float64
    expected = matmul_reference(inputs, False, False, exact)
    check(source, expected, inputs, tolerance=1e-12 if sums is f64 else 1e-5)


def test_narrow_result_keeps_sums_wide() -> None:
    a, b, c = (
        tensor(n, *s, dtype=bf16) for n, s in (("A", (6, 40)), ("B", (40, 9)), ("C", (6, 9)))
    )
    i, j, k = iterator("i", 6), iterator("j", 9), iterator("k", 40)
    body = total(apply("mul", cast(read(a, i, k), f32), cast(read(b, k, j), f32)), k)
    source = program([a, b], [c], Definition(c, (i, j), cast(body, bf16)))
    inputs = random_inputs(source)
    check(source, matmul_reference(inputs, False, False), inputs, tolerance=1e-2)


def test_epilogue_reads_every_kind_of_tensor() -> None:
    m, n, k = 7, 19, 23
    a, b, c = (
        tensor("A", m, k, dtype=f32),
        tensor("B", k, n, dtype=f32),
        tensor("C", m, n, dtype=f32),
    )
    bias, gain, rest = (
        tensor("v", n, dtype=f32),
        tensor("g", m, dtype=f32),
        tensor("R", m, n, dtype=f32),
    )
    i, j, x = iterator("i", m), iterator("j", n), iterator("k", k)
    sums = total(apply("mul", read(a, i, x), read(b, x, j)), x)
    inner = apply("add", apply("mul", sums, read(gain, i)), read(bias, j))
    body = apply("add", apply("maximum", inner, Const(0.0, f32)), read(rest, i, j))
    source = program([a, b, bias, gain, rest], [c], Definition(c, (i, j), body))
    inputs = random_inputs(source)
    product_ = inputs["A"].astype(float) @ inputs["B"].astype(float)
    expected = np.maximum(product_ * inputs["g"][:, None] + inputs["v"], 0) + inputs["R"]
    check(source, expected, inputs)
    for left, right in product((DIRECT, PRIVATE), (DIRECT, SHARED)):
        check(source, expected, inputs, decided=blocking(source, left=left, right=right))


@pytest.mark.parametrize("right", [DIRECT, PRIVATE, SHARED])
def test_batches(right: int) -> None:
    a, b, c = (
        tensor("A", 3, 5, 6, dtype=f32),
        tensor("B", 3, 6, 7, dtype=f32),
        tensor("C", 3, 5, 7, dtype=f32),
    )
    n, i, j, k = iterator("n", 3), iterator("i", 5), iterator("j", 7), iterator("k", 6)
    body = total(apply("mul", read(a, n, i, k), read(b, n, k, j)), k)
    source = program([a, b], [c], Definition(c, (n, i, j), body))
    inputs = random_inputs(source)
    expected = np.einsum("nik,nkj->nij", inputs["A"].astype(float), inputs["B"].astype(float))
    check(source, expected, inputs)
    check(source, expected, inputs, decided=blocking(source, right=right, left=PRIVATE))


@pytest.mark.parametrize("out, left, right", EINSUMS)
def test_tensor_contractions(out: str, left: str, right: str) -> None:
    source = contraction(out, left, right)
    if match(next(source.definitions())) is None:
        pytest.skip("the contiguous iterator is in both factors: another class")
    inputs = random_inputs(source)
    expected = contraction_reference(inputs, out, left, right)
    check(source, expected, inputs)
    check(source, expected, inputs, target=WIDE)
    everything = int(np.prod(expected.shape))  # a whole number of every iterator's runs
    packed = blocking(source, right=PRIVATE, left=PRIVATE, depth=1000, task_columns=everything)
    check(source, expected, inputs, decided=packed)


@pytest.mark.parametrize("shape, filters, stride, pad, dilation", CONVOLUTIONS)
def test_convolutions(
    shape: tuple[int, int, int, int], filters: tuple[int, int, int],
    stride: int, pad: int, dilation: int,
) -> None:  # fmt: skip
    source = convolution(shape, filters, stride, pad, dilation)
    inputs = random_inputs(source)
    expected = convolution_reference(inputs, stride, pad, dilation)
    check(source, expected, inputs)
    check(source, expected, inputs, target=WIDE)


@pytest.mark.parametrize(
    "rows, columns, lanes, registers",
    list(product((1, 2, 5, 14, 64, 1000), (1, 7, 16, 100, 4096), (4, 8, 16), (16, 32))),
)
def test_register_tiles_fit(rows: int, columns: int, lanes: int, registers: int) -> None:
    height, vectors = register_tile(rows, columns, lanes, registers)
    assert 1 <= height <= rows
    assert height * vectors + vectors + 1 <= registers
    assert (vectors - 1) * lanes < columns


@pytest.mark.parametrize("depth", [(11, 5), (8, 9), (19, 4)])
@pytest.mark.parametrize("right", [PRIVATE, SHARED])
def test_operands_are_packed_along_the_dimension_in_which_they_lie(
    depth: tuple[int, int], right: int
) -> None:
    """B[d, f, c, e] is contiguous along e, which is not the last that is summed."""
    e, f = depth
    extents = {"a": 3, "b": 5, "c": 4, "d": 6, "e": e, "f": f}
    source = contraction("abcd", "aebf", "dfce", extents)
    inputs = random_inputs(source)
    expected = contraction_reference(inputs, "abcd", "aebf", "dfce")
    for target in (NEON, WIDE):
        check(source, expected, inputs, target=target)
    found = match(next(iter(source.definitions())))
    assert found is not None
    geometry = survey_dense(found, NEON)
    assert geometry.right.along == 0 and not geometry.right.by_lines
    start = replace(choose(geometry, 1), right=right, task_columns=8, tile_vectors=1, depth=4 * f)
    for decided in (start, replace(start, depth=geometry.inner)):
        assert is_legal(geometry, decided)
        check(source, expected, inputs, decided=to_trace(decided))


def test_many_terms_of_few_outputs_are_split() -> None:
    source = matmul(4, 8, 40_000)
    plan = schedule.completed(Plan(source, tuple(Group((d,)) for d in source.definitions())))
    assert len(plan.groups) == 2
    partial = match(plan.groups[0].members[0])
    assert partial is not None
    assert [int(it.extent) for it in partial.batch] == [
        19
    ]  # of 2048 terms each, and 1088 left over


@pytest.mark.parametrize("d, e", [(11, 6), (8, 17), (33, 4)])
def test_lines_are_packed_along_the_run_in_which_they_lie(d: int, e: int) -> None:
    """A[e, f, b, a, d] with columns d, e is contiguous along d; what is packed, along e."""
    extents = {"a": 2, "b": 3, "c": 5, "d": d, "e": e, "f": 7}
    source = contraction("abcde", "efbad", "cf", extents)
    inputs = random_inputs(source)
    expected = contraction_reference(inputs, "abcde", "efbad", "cf")
    for target in (NEON, WIDE):
        check(source, expected, inputs, target=target)
        found = match(next(iter(source.definitions())))
        assert found is not None
        geometry = survey_dense(found, target)
        assert geometry.right.by_lines and geometry.right.across == 0
        start = replace(choose(geometry, 1), right=PRIVATE, tile_vectors=1, depth=geometry.inner)
        for columns in (e, d * e):
            decided = replace(start, task_columns=columns)
            assert is_legal(geometry, decided)
            check(source, expected, inputs, target=target, decided=to_trace(decided))


@pytest.mark.parametrize("subscripts", ["ea-ebcd", "ebad-ce", "bea-bcde"])
def test_a_private_right_is_asked_for_a_task_ahead(subscripts: str) -> None:
    """Contiguous along its columns or along inner; the last task asks for what lies behind the tensor."""
    extents = {"a": 7, "b": 3, "c": 5, "d": 9, "e": 11}
    left, right = subscripts.split("-")
    source = contraction("abcd", left, right, extents)
    inputs = random_inputs(source)
    expected = contraction_reference(inputs, "abcd", left, right)
    found = match(next(iter(source.definitions())))
    assert found is not None
    for target in (NEON, WIDE):
        geometry = survey_dense(found, target)
        start = replace(choose(geometry, 1), right=PRIVATE, depth=geometry.inner, prefetch=1)
        for panels, by_rows in product((1, 2), (0, 1)):
            decided = replace(start, tile_rows=2, task_panels=panels, by_rows=by_rows)
            assert is_legal(geometry, decided)
            check(source, expected, inputs, target=target, decided=to_trace(decided))


@pytest.mark.parametrize("left", ["dbea", "efbad"])
@pytest.mark.parametrize("a, d", [(7, 9), (16, 11), (21, 19)])
def test_right_is_packed_for_blocks_of_spread(left: str, a: int, d: int) -> None:
    """Contiguous along a, or in runs of d that follow each other along a, which is outside the tiles."""
    extents = {"a": a, "b": 3, "c": 5, "d": d, "e": 6, "f": 7}
    out, right = ("abcd", "ec") if left == "dbea" else ("abcde", "cf")
    source = contraction(out, left, right, extents)
    inputs = random_inputs(source)
    expected = contraction_reference(inputs, out, left, right)
    found = match(next(iter(source.definitions())))
    assert found is not None
    for target in (NEON, WIDE):
        geometry = survey_dense(found, target)
        start = replace(choose(geometry, 1), right=PRIVATE, depth=geometry.inner)
        start = replace(start, tile_vectors=1, task_columns=geometry.columns.extent)
        sizes = legal_sizes(geometry)
        assert sizes[0] == a and sizes[-1] == 1
        for size, by_rows in product({*sizes[:2], sizes[-2]}, (0, 1)):
            decided = replace(start, task_spread=size, by_rows=by_rows)
            assert is_legal(geometry, decided)
            check(source, expected, inputs, target=target, decided=to_trace(decided))


@pytest.mark.parametrize("right", [DIRECT, SHARED])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_one_copy_of_left_serves_several_places_of_spread(size: int, right: int) -> None:
    """Right lies where it is, or is packed once for all; the last block of places is shorter."""
    extents = {"a": 5, "b": 3, "c": 7, "d": 6, "e": 4, "f": 3}
    source = contraction("abcd", "eafd", "fbec", extents)
    inputs = random_inputs(source)
    expected = contraction_reference(inputs, "abcd", "eafd", "fbec")
    found = match(next(iter(source.definitions())))
    assert found is not None
    for target in (NEON, WIDE):
        geometry = survey_dense(found, target)
        start = replace(choose(geometry, 1), left=PRIVATE, right=right, depth=geometry.inner)
        decided = replace(start, task_spread=size, tile_rows=4, task_panels=2)
        assert is_legal(geometry, decided)
        check(source, expected, inputs, target=target, decided=to_trace(decided))


def test_columns_that_only_squares_could_pack_are_divided() -> None:
    """A[d, e, c, a] for C[a, b, c, d]: lanes along d, and a, along which A is contiguous, next to the tiles."""
    extents = {"a": 9, "b": 4, "c": 7, "d": 16, "e": 5}
    found = match(next(iter(contraction("abcd", "deca", "be", extents).definitions())))
    assert found is not None
    geometry = survey_dense(found, WIDE)
    assert [int(it.extent) for it in geometry.columns.iters] == [16]
    assert [int(it.extent) for it in geometry.spread.iters] == [7, 9]
    assert legal_sizes(geometry)[0] == 9


@pytest.mark.parametrize("a, d", [(6, 6), (4, 9), (15, 5), (9, 20)])
@pytest.mark.parametrize("left", ["be", "eb"])
def test_tiles_across_places_of_spread(left: str, a: int, d: int) -> None:
    """C[a, b, d], whose columns are a, d: vectors over several runs of d, with what is added to them."""
    extents = {"a": a, "b": 11, "d": d, "e": 7}
    a_, b_, d_, e_ = (iterator(c, n) for c, n in extents.items())
    first = tensor("A", *(extents[c] for c in left), dtype=f32)
    second, more = tensor("B", 7, d, a, dtype=f32), tensor("R", a, 11, d, dtype=f32)
    out = tensor("C", a, 11, d, dtype=f32)
    letters = {"b": b_, "e": e_}
    factors = read(first, *(letters[c] for c in left)), read(second, e_, d_, a_)
    body = apply("add", total(apply("mul", *factors), e_), read(more, a_, b_, d_))
    source = program([first, second, more], [out], Definition(out, (a_, b_, d_), body))
    inputs = random_inputs(source)
    wide = {n: x.astype(float) for n, x in inputs.items()}
    expected = np.einsum(f"{left},eda->abd", wide["A"], wide["B"]) + wide["R"]
    found = match(next(iter(source.definitions())))
    assert found is not None
    count = 0
    for target in (NEON, WIDE):
        geometry = survey_dense(found, target)
        for chosen in joined(geometry, choose(geometry, 2), 2):
            for changes in ({}, {"tile_rows": 3, "task_panels": 2}, {"left": PRIVATE}):
                decided = replace(chosen, **changes)
                assert is_legal(geometry, decided)
                assert not is_legal(geometry, replace(decided, task_spread=a + 1))
                check(source, expected, inputs, target=target, decided=to_trace(decided))
                count += 1
    assert count


def test_constant_matrices_are_packed_before_any_call() -> None:
    source = matmul(100, 96, 200, tb=True)
    (definition,) = source.definitions()
    found = match(definition)
    assert found is not None
    target = replace(WIDE, l2=1 << 18)
    weights = frozenset({source.inputs[1]})
    assert choose(survey_dense(found, target), 2).right == PRIVATE
    assert choose(survey_dense(found, target, weights), 2).right == SHARED
