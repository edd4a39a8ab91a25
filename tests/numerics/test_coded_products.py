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
from tcomp.schedule.contraction.coded_blocking import CODED
from tests.compiled import Compiled


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
        low, high = {"u4": (0, 16), "i4": (-8, 8)}.get(self.kind, (-128, 128))
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
    f = tcomp.compile(case.text, constants={n: arrays[n] for n in "WS"}, threads=1)
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
        target = target_named(name)
        module = schedule.lower(plan, schedule.analytical(plan, target, 2), target, 2)
        got = np.full((case.m, case.n), np.nan, np.float32)
        assert interpret(module, [*case.packed(arrays).values(), got]) == 0
        check(got, case, arrays)
        assembly(emit(module, target).text, target)


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
    for _ in range(6):
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
