"""Products with narrow weights in blocks: every kind of scale and zero point, block and border, against float64."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tcomp
from tcomp import schedule
from tcomp.autotune.worker import open_session
from tcomp.autotune.workload import read_text, text_of
from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import assembly
from tcomp.codegen.named import target_named
from tcomp.ir.dtypes import dtype
from tcomp.ir.loop.interpreter import interpret
from tcomp.ir.nibbles import packed_in_bytes
from tcomp.pipeline import Stages
from tcomp.schedule.contraction import CodedContraction
from tcomp.schedule.contraction.coded_blocking import CODED, choose_way
from tcomp.schedule.contraction.fixed_codes import FIXED
from tcomp.schedule.contraction.group import coded_geometries, recognised, to_trace
from tests.compiled import Compiled
from tests.guarded import guarded, requires_guards


@dataclass(frozen=True)
class Case:
    """Y = sum of X * (W - zero) * scale; `block` 0 is one scale for each column."""

    m: int
    n: int
    k: int
    block: int
    kind: str = "u4"
    zeros: bool = False  # a 4-bit zero point for each block
    nested: bool = False  # the scale multiplies sums of blocks

    @property
    def text(self) -> str:
        blocks = self.k // self.block if self.block else 1
        at = f"k//{self.block}" if self.block else "0"
        declared = f"X: f32[{self.m}, {self.k}], W: {self.kind}[{self.n}, {self.k}], S: f32[{self.n}, {blocks}]"
        zero = "3"
        if self.zeros:
            declared = f"{declared}, Z: {self.kind}[{self.n}, {blocks}]"
            zero = "Z[j, b]" if self.nested else f"Z[j, {at}]"
        body = f"sum[k](X[i, k] * (W[j, k] - {zero}) * S[j, {at}])"
        if self.nested:
            place = f"{self.block}*b + k"
            body = (
                f"sum[b in 0:{blocks}](S[j, b] * sum[k in 0:{self.block}]"
                f"(X[i, {place}] * (W[j, {place}] - {zero})))"
            )
        return f"def product({declared}) -> Y: f32[{self.m}, {self.n}]:\n    Y[i, j] = {body}\n"

    def arrays(self) -> dict[str, Any]:
        """Inputs, the 4-bit ones as small integers."""
        rng = np.random.default_rng(self.m + self.n + self.k)
        low, high = {"u4": (0, 16), "i4": (-8, 8), "u8": (0, 256)}.get(self.kind, (-128, 128))
        blocks = self.k // self.block if self.block else 1
        found = {
            "X": rng.standard_normal((self.m, self.k), np.float32),
            "W": rng.integers(low, high, (self.n, self.k)),
            "S": rng.standard_normal((self.n, blocks), np.float32),
        }
        if self.zeros:
            found["Z"] = rng.integers(low, high, (self.n, blocks))
        return found

    def reference(self, arrays: dict[str, Any]) -> Any:
        size = self.block or self.k
        spread = {n: np.repeat(arrays[n], size, axis=1) for n in ("S", "Z") if n in arrays}
        weights = (arrays["W"] - spread.get("Z", 3.0)) * spread["S"].astype(float)
        return arrays["X"].astype(float) @ weights.T

    def packed(self, arrays: dict[str, Any]) -> dict[str, Any]:
        kind = dtype(self.kind)
        stored = {n: a.astype(kind.numpy) for n, a in arrays.items() if n in ("W", "Z")}
        return arrays | {n: packed_in_bytes(a) for n, a in stored.items()}


CASES = [
    Case(1, 64, 256, 32),
    Case(1, 67, 96, 32, "i4"),
    Case(2, 33, 128, 16),
    Case(3, 40, 200, 20),  # words of a block end with it
    Case(5, 17, 99, 9, "i4"),  # an odd number of codes
    Case(8, 128, 256, 64, zeros=True),
    Case(11, 51, 128, 8, "i4", zeros=True),
    Case(17, 31, 160, 32, nested=True),
    Case(2, 70, 104, 13, nested=True),
    Case(4, 48, 77, 0),
    Case(3, 37, 96, 16, zeros=True, nested=True),
    Case(1, 67, 96, 32, "i8"),
    Case(8, 40, 120, 20, "f16", nested=True),
    Case(5, 33, 64, 16, "bf16", zeros=True),
    Case(2, 6, 90, 9, "i8", nested=True),
]


def is_coded(stages: Stages) -> bool:
    return any(dict(t.decisions).get("form") == CODED for t in stages.traces)


def check(got: Any, case: Case, arrays: dict[str, Any]) -> None:
    expected = case.reference(arrays)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("accuracy", ["strict", "standard"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_bound_weights(case: Case, accuracy: str) -> None:
    arrays = case.arrays()
    stored = case.packed(arrays)
    x = stored.pop("X")
    f = tcomp.compile(case.text, constants=stored, accuracy=accuracy, threads=2)
    check(f(x), case, arrays)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_free_weights(case: Case) -> None:
    arrays = case.arrays()
    f = tcomp.compile(case.text, accuracy="strict", threads=2)
    check(f(*case.packed(arrays).values()), case, arrays)
    assert is_coded(f.stages())
    kind = dtype(case.kind).numpy
    logical = {n: a.astype(kind) if n in ("W", "Z") else a for n, a in arrays.items()}
    check(f(*logical.values()), case, arrays)


def test_constants_of_four_bits() -> None:
    """Arrays of ml_dtypes, in any order of memory, are as good as packed ones."""
    case = Case(3, 21, 64, 32)
    arrays = case.arrays()
    weights = np.asfortranarray(arrays["W"].astype(ml_dtypes.uint4))
    f = tcomp.compile(case.text, constants={"W": weights, "S": np.asfortranarray(arrays["S"])})
    check(f(arrays["X"][:, ::-1][:, ::-1]), case, arrays)


def test_bound_codes_stay_codes() -> None:
    case = Case(1, 256, 512, 32)
    arrays = case.packed(case.arrays())
    bound = {n: arrays[n] for n in "WS"}
    f = tcomp.compile(case.text, constants=bound, threads=1, accuracy="strict")
    f(arrays["X"])
    touched = {b for kernel in f.stages().loops.kernels for b in kernel.buffers}
    read = sum(b.extent * b.dtype.bytes for b in touched)
    assert read == sum(a.nbytes for a in arrays.values()) + 4 * case.n


@pytest.mark.parametrize("name", ["x86-64-v3", "x86-64-v4", "neoverse-n1", "x86-64-v2"])
def test_other_processors(name: str) -> None:
    """Code of the right vectors is made; the interpreter tells that it is right."""
    for case in (
        Case(3, 21, 48, 16, zeros=True),
        Case(1, 21, 48, 16, "i4"),
        Case(1, 5, 32, 8, "i8"),
    ):
        arrays = case.arrays()
        f = tcomp.compile(case.text, accuracy="strict", threads=2)
        f(*case.packed(arrays).values())
        plan = f.stages().plan
        for way in (target_named(name), replace(target_named(name), fixed_point=False)):
            module = schedule.lower(plan, schedule.analytical(plan, way, 2), way, 2)
            got = np.full((case.m, case.n), np.nan, np.float32)
            assert interpret(module, [*case.packed(arrays).values(), got]) == 0
            check(got, case, arrays)
            assembly(emit(module, way).text, way)


@pytest.mark.parametrize("case", [CASES[1], CASES[5], CASES[7], CASES[12]], ids=str)
def test_drawn_schedules(case: Case) -> None:
    arrays = case.arrays()
    stored = list(case.packed(arrays).values())
    f = tcomp.compile(case.text, accuracy="strict", threads=2)
    f(*stored)
    plan, target = f.stages().plan, host_target()
    (group,) = schedule.completed(plan).groups
    space = schedule.space(group, target, 2)
    rng = random.Random(5)
    for _ in range(8):
        trace = space.sample(rng)
        assert space.allows(trace)
        module = schedule.lower(replace(plan, constants=frozenset()), [trace], target, 2)
        got = np.full((case.m, case.n), np.nan, np.float32)
        assert Compiled(module)(*(np.ascontiguousarray(a) for a in stored), got) == 0
        check(got, case, arrays)


@pytest.mark.parametrize("bound", [(), ("W", "S")])
def test_workloads_can_be_tuned(bound: tuple[str, ...]) -> None:
    """A stored workload calls functions of bits, which programs cannot; the worker reads it all the same, and
    packs before it measures what is bound."""
    case = Case(3, 140, 200, 20, "i4")
    stored = case.packed(case.arrays())
    constants = {name: stored.pop(name) for name in bound}
    f = tcomp.compile(case.text, accuracy="strict", threads=2, constants=constants)
    f(*stored.values())
    (group,) = schedule.completed(f.stages().plan).groups
    assert {t.name for t in group.constants} == set(bound)
    task = {"program": text_of(group), "seed": 0, "threads": 2}
    assert {t.name for t in read_text(task["program"])[1]} == set(bound)
    assert open_session(task).measure(f.schedule[0].to_json())["seconds"]


FIXED_CASES = [
    Case(1, 64, 256, 32),
    Case(1, 67, 96, 32, "i4"),
    Case(3, 33, 120, 20),
    Case(2, 17, 99, 9, "i4"),  # words that end behind the block
    Case(1, 40, 512, 256),  # groups smaller than a block
    Case(4, 48, 77, 0),
    Case(6, 51, 128, 8, "i4", zeros=True),
    Case(1, 37, 96, 16, zeros=True, nested=True),
    Case(2, 19, 90, 9, "i8", nested=True),
    Case(1, 33, 64, 16, "u8", zeros=True),
]


def fixed_point_kernels(case: Case) -> list[Compiled]:
    """The product in fixed point, for this processor and for one without its longer dot products."""
    f = tcomp.compile(case.text, accuracy="strict", threads=2)
    f(*case.packed(case.arrays()).values())
    plan = replace(f.stages().plan, constants=frozenset())
    (group,) = schedule.completed(plan).groups
    contraction = recognised(group.members[0])
    assert isinstance(contraction, CodedContraction)
    found = []
    for target in {host_target(), host_target().without("avx512vnni", "avxvnni")}:
        for g in coded_geometries(contraction, target):
            if g.way == FIXED:
                first = to_trace(choose_way(g, 2))
                space = schedule.space(group, target, 2)
                near = [t for t in space.neighbours(first) if dict(t.decisions)["words"] == FIXED]
                for trace in (first, *random.Random(3).sample(near, min(3, len(near)))):
                    found.append(Compiled(schedule.lower(plan, [trace], target, 2), target))
    return found


def called(kernel: Compiled, case: Case, arrays: dict[str, Any]) -> Any:
    got = np.full((case.m, case.n), np.nan, np.float32)
    stored = case.packed(arrays).values()
    assert kernel(*(np.ascontiguousarray(a) for a in stored), got) == 0
    return got


@pytest.mark.parametrize("case", FIXED_CASES, ids=str)
def test_fixed_point(case: Case) -> None:
    """As exact as sums of floats, whatever the size of the numbers; what is not finite stays so."""
    arrays = case.arrays()
    rng = np.random.default_rng(1)
    usual = arrays["X"]
    kernels = fixed_point_kernels(case)
    uneven = usual * np.exp2(rng.integers(-40, 40, usual.shape)).astype(np.float32)
    for x in (
        usual, usual + 1000, usual * 1e30, usual * np.float32(1e-42), 0 * usual, uneven,
        np.where(rng.random(usual.shape) < 0.9, 0, usual), np.full_like(usual, 1.999),
    ):  # fmt: skip
        given = arrays | {"X": np.asarray(x, np.float32)}
        for kernel in kernels:
            expected = case.reference(given)
            largest = np.abs(expected).max()
            np.testing.assert_allclose(
                called(kernel, case, given), expected, rtol=0, atol=1e-6 * largest + 1e-44
            )
    for special in (np.inf, -np.inf, np.nan, np.float32(2e34)):
        x = usual.copy()
        x[0, case.k // 2] = special
        given = arrays | {"X": x}
        with np.errstate(all="ignore"):
            expected = case.reference(given).astype(np.float32)
            for kernel in kernels:
                got = called(kernel, case, given)
                finite = np.isfinite(expected)
                np.testing.assert_array_equal(got[~finite], expected[~finite])
                np.testing.assert_allclose(got[finite], expected[finite], rtol=1e-5, atol=1e-4)


@requires_guards
@pytest.mark.parametrize("case", [FIXED_CASES[k] for k in (1, 2, 3, 8)], ids=str)
def test_fixed_point_reads_its_inputs_alone(case: Case) -> None:
    arrays = case.arrays()
    for kernel in fixed_point_kernels(case):
        for edge in ("start", "end"):
            out = guarded(np.full((case.m, case.n), np.nan, np.float32), edge)
            stored = case.packed(arrays).values()
            inputs = [guarded(np.ascontiguousarray(a), edge, read_only=True) for a in stored]
            assert kernel(*inputs, out) == 0
            check(out, case, arrays)


def test_rounding_of_fixed_point() -> None:
    """What "standard" promises: at most twice the error of sums from left to right."""
    case = Case(1, 256, 1024, 32)
    for mean in (0, 1000):
        errors = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            arrays = case.arrays()
            for name in "XS":
                drawn = rng.standard_normal(arrays[name].shape) + mean
                arrays[name] = drawn.astype(np.float32)
            stored = case.packed(arrays)
            f = tcomp.compile(case.text, threads=2)
            got = f(*stored.values())
            weights = (arrays["W"] - 3).astype(np.float32) * np.repeat(arrays["S"], 32, axis=1)
            direct = np.add.accumulate(arrays["X"] * weights, axis=1, dtype=np.float32)[:, -1]
            expected = case.reference(arrays)
            errors.append([np.abs(v - expected).max() for v in (got, direct)])
        fixed, plain = np.max(errors, axis=0)
        assert fixed < 2 * plain


def test_what_fixed_point_is_for() -> None:
    """A single row of this processor's own; never in "strict"."""
    case = Case(1, 512, 1024, 32)
    stored = list(case.packed(case.arrays()).values())

    def way(**options: Any) -> int:
        f = tcomp.compile(case.text, threads=2, **options)
        f(*stored)
        return dict(f.stages().traces[-1].decisions)["words"]

    assert way(accuracy="strict") != FIXED
    if host_target().has("avx512vnni"):
        assert way() == FIXED
