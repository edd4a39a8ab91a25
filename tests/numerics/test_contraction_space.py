"""Every schedule in a contraction's space gives the right result, on the loop interpreter."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tcomp import schedule
from tcomp.ir.dtypes import bf16, f64, i8, i32
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Program
from tcomp.schedule.contraction import KIND
from tcomp.schedule.contraction.blocking import PRIVATE, choose
from tcomp.schedule.contraction.group import survey_dense, to_trace
from tcomp.schedule.contraction.match import match
from tcomp.schedule.contraction.space import around, is_legal
from tcomp.target import Target
from tests.numerics.contractions import (
    activated,
    activated_reference,
    contraction,
    contraction_reference,
    convolution,
    convolution_3d,
    convolution_3d_reference,
    convolution_reference,
    matmul,
    matmul_reference,
)
from tests.numerics.test_contractions import NEON, WIDE, check
from tests.unit.programs import random_inputs

AVX2 = Target("x86_64-unknown-linux-gnu", "", "", 256, 16, True, 32768, 1 << 19, 1 << 25, 2)

PROGRAMS = {
    "matmul": matmul(11, 21, 26),
    "transposed": matmul(9, 14, 33, True, True),
    "few rows": matmul(3, 10, 40, False, True),
    "convolution": convolution((2, 3, 6, 7), (5, 3, 3), 1, 1, 1),
    "contraction": contraction("abcd", "aebf", "dfce"),
    "split inner": contraction("bd", "fbk", "fkd"),
    "columns apart": contraction("abd", "be", "eda", {"a": 6, "b": 9, "d": 6, "e": 8}),
    "long epilogue": activated(7, 21, 12),
    "long epilogue, narrow result": activated(6, 9, 12, bf16),
}


def reference(name: str, source: Program, inputs: dict[str, object]) -> object:
    if name == "convolution":
        return convolution_reference(inputs, 1, 1, 1)
    if name == "contraction":
        return contraction_reference(inputs, "abcd", "aebf", "dfce")
    if name == "split inner":
        return contraction_reference(inputs, "bd", "fbk", "fkd")
    if name == "columns apart":
        return contraction_reference(inputs, "abd", "be", "eda")
    if name.startswith("long epilogue"):
        return activated_reference(inputs)
    return matmul_reference(inputs, name == "transposed", name in ("transposed", "few rows"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_drawn_schedules(name: str) -> None:
    source = PROGRAMS[name]
    group = Group(tuple(source.definitions()))
    space = schedule.space(group, NEON, 2)
    assert space.first.kind == KIND
    assert space.allows(space.first)
    inputs = random_inputs(source)
    expected = reference(name, source, inputs)
    rng = random.Random(7)
    for drawn in {space.sample(rng) for _ in range(24)}:
        check(source, expected, inputs, decided=drawn, tolerance=1e-2 if "narrow" in name else 1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_neighbours_differ_and_are_many(name: str) -> None:
    space = schedule.space(Group(tuple(PROGRAMS[name].definitions())), NEON, 2)
    near = list(space.neighbours(space.first))
    assert len(near) == len(set(near)) >= 5
    assert space.first not in near


ANALYTICAL = {
    **PROGRAMS,
    "large": matmul(1024, 1024, 1024),
    "large, left by columns": matmul(2048, 2048, 2048, True, False),
    "odd": matmul(1021, 509, 769, True, True),
    "one row": matmul(1, 4096, 4096),
    "one row, right by columns": matmul(1, 1000, 1024, False, True),
    "few rows, wide": matmul(16, 4096, 1024),
    "long inner": matmul(64, 64, 16384),
    "short inner": matmul(64, 4096, 3),
    "one column": matmul(512, 1, 512),
    "integers": matmul(256, 256, 256, dtype=i8, sums=i32),
    "doubles": matmul(700, 300, 500, dtype=f64, sums=f64),
}


@pytest.mark.parametrize("layout", ["nn", "tn", "nt", "tt"])
def test_analytical_schedules_of_any_size_are_legal(layout: str) -> None:
    rng = random.Random(11)
    sizes = (1, 2, 3, 7, 8, 16, 31, 64, 100, 521, 1024, 1300, 4096)
    for target in (NEON, WIDE, AVX2, replace(AVX2, l1=1 << 14, l2=1 << 17)):
        for shape in [[rng.choice(sizes) for _ in range(3)] for _ in range(20)]:
            source = matmul(*shape, layout[0] == "t", layout[1] == "t")
            space = schedule.space(Group(tuple(source.definitions())), target, 2)
            assert space.allows(space.first), (shape, space.first)


@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("name", ANALYTICAL)
def test_analytical_schedules_are_legal(name: str, threads: int) -> None:
    group = Group(tuple(ANALYTICAL[name].definitions()))
    for target in (NEON, WIDE, AVX2):
        space = schedule.space(group, target, threads)
        assert space.allows(space.first), space.first


def test_volumes_are_shared_out_in_whole_planes() -> None:
    """Packers loop over planes, lines and pixels, so tasks must begin at a plane: others wrote outside."""
    source = convolution_3d((1, 1, 4, 3, 5), 3)
    found = match(next(iter(source.definitions())))
    assert found is not None
    geometry = survey_dense(found, NEON)
    inputs = random_inputs(source)
    expected = convolution_3d_reference(inputs)
    start = replace(choose(geometry, 2), task_columns=15, tile_vectors=1, right=PRIVATE, depth=27)
    legal = [b for b in (start, *around(geometry, start, 2)) if is_legal(geometry, b)]
    assert start in legal
    assert len({b.task_columns for b in legal}) > 1
    assert not is_legal(geometry, replace(start, task_columns=5))
    for blocking in legal[:: len(legal) // 5]:
        check(source, expected, inputs, decided=to_trace(blocking))
