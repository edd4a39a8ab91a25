"""Products of narrow types: exact in integers, at every size and at the ends of the types' ranges."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import tcomp
from tcomp import schedule
from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import assembly, compile_object
from tcomp.codegen.named import target_named
from tcomp.ir.dtypes import DType, bf16, dtype, i8, i16, i32, u8
from tcomp.ir.integer import Int
from tcomp.ir.loop.interpreter import evaluate, interpret
from tcomp.ir.loop.nodes import Buffer, Const, Function, Load, Module, Op, Space, Store
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor.nodes import Apply, Definition, Program, Read
from tcomp.ir.tensor.nodes import Const as Literal
from tcomp.ops import dots
from tcomp.ops.dots import DOTS, INSTRUCTIONS
from tcomp.schedule.contraction import match
from tcomp.schedule.contraction.narrow import narrowed
from tcomp.schedule.contraction.words import FORMS, word_forms
from tcomp.target import Target
from tests.compiled import Compiled
from tests.guarded import guarded, requires_guards
from tests.numerics.contractions import matmul, matmul_reference
from tests.unit.programs import apply, iterator, program, read, tensor, total

PAIRS = [(i8, i8), (u8, i8), (i8, u8), (u8, u8), (i16, i16), (i8, i16)]
SHAPES = [
    (1, 1, 1),
    (1, 300, 64),
    (5, 64, 64),
    (8, 17, 100),
    (17, 31, 67),
    (33, 37, 130),
]


def product(a: DType, b: DType, m: int, n: int, k: int, ta: bool, tb: bool) -> Program:
    """C[i, j] = sum[k](A * B) of two narrow types."""
    left = tensor("A", *((k, m) if ta else (m, k)), dtype=a)
    right = tensor("B", *((n, k) if tb else (k, n)), dtype=b)
    out = tensor("C", m, n, dtype=i32)
    i, j, x = iterator("i", m), iterator("j", n), iterator("k", k)
    factors = (
        Apply("cast", (read(left, *((x, i) if ta else (i, x))),), i32),
        Apply("cast", (read(right, *((j, x) if tb else (x, j))),), i32),
    )
    return program([left, right], [out], Definition(out, (i, j), total(apply("mul", *factors), x)))


def extremes(dtype: DType, shape: tuple[int, ...], seed: int = 0) -> Any:
    """Values of the whole range, half of them its ends."""
    limits = np.iinfo(dtype.numpy)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(limits.min, limits.max + 1, shape)
    ends = rng.choice([limits.min, limits.max], shape)
    return np.where(rng.random(shape) < 0.5, drawn, ends).astype(dtype.numpy)


def wrapped(a: Any, b: Any, ta: bool, tb: bool) -> Any:
    """The product in exact integers, then modulo 2**32."""
    exact = matmul_reference({"A": a, "B": b}, ta, tb, object if a.itemsize > 1 else np.int64)
    return (np.asarray(exact).astype(object) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def host_and_lesser() -> list[Target]:
    """This machine with all it has, and without one extension after the other."""
    host = host_target()
    found = [host]
    for gone in ("amx-", "avx512vnni,+avxvnni", "avx512f"):
        names = gone.replace("+", "").split(",")
        features = ",".join(
            f for f in found[-1].features.split(",") if not any(f[1:].startswith(n) for n in names)
        )
        narrow = gone == "avx512f" and host.vector_bits == 512
        fewer = {"vector_bits": 256, "vector_registers": 16} if narrow else {}
        found.append(replace(found[-1], features=features, **fewer))
    return list(dict.fromkeys(found))


def kernel(source: Program, target: Target) -> Compiled:
    plan = Plan(source, tuple(Group((d,)) for d in source.definitions()))
    module = schedule.lower(plan, schedule.analytical(plan, target, 2), target, 2)
    return Compiled(module, replace(target, features=host_target().features), threads=2)


@requires_guards
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_integers_are_exact(pair: tuple[DType, DType]) -> None:
    for shape in SHAPES if pair in PAIRS[:2] else SHAPES[4:5]:
        _check_exact(pair, shape)


def _check_exact(pair: tuple[DType, DType], shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    for ta, tb in ((False, True),) if m > 8 else ((False, False), (True, True)):
        source = product(*pair, m, n, k, ta, tb)
        a, b = (extremes(t.dtype, tuple(map(int, t.shape)), s) for s, t in enumerate(source.inputs))
        expected = wrapped(a, b, ta, tb)
        for target in host_and_lesser():
            compiled = kernel(source, target)
            for edge in ("start", "end"):
                out = guarded(np.full((m, n), 99, np.int32), edge)
                arrays = [guarded(x, edge, read_only=True) for x in (a, b)]
                assert compiled(*arrays, out) == 0
                np.testing.assert_array_equal(out, expected)


def test_sums_wrap() -> None:
    """70000 products of -128 * -128 leave i32 once, those of 255 * 127 likewise."""
    for a, b, x, y in ((i8, i8, -128, -128), (u8, i8, 255, 127), (u8, i8, 255, -128)):
        k = 140_000
        source = product(a, b, 2, 16, k, False, True)
        left, right = np.full((2, k), x, a.numpy), np.full((16, k), y, b.numpy)
        expected = np.full((2, 16), (k * x * y + (1 << 31)) % (1 << 32) - (1 << 31), np.int32)
        for target in host_and_lesser():
            out = np.zeros((2, 16), np.int32)
            assert kernel(source, target)(left, right, out) == 0
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("op", [op for op in DOTS if op != dots.PAIRS])
def test_a_dot_is_the_sum_of_its_products(op: str) -> None:
    """Against NumPy's own view of the words' bytes."""
    dot, rng = DOTS[op], np.random.default_rng(4)
    raw = rng.integers(0, 256, (2, 16, 4), np.uint8)
    if op == "dot_u7_i8":
        raw[0] &= 127
    if dot.sums.is_float:  # small whole numbers, so that no sum is rounded
        raw = rng.integers(-20, 20, (2, 16, 2)).astype(dot.left.numpy).view(np.uint8)
    words = raw.reshape(2, -1).view(np.int32)
    parts = [raw[n].reshape(-1).view(t.numpy) for n, t in enumerate((dot.left, dot.right))]
    sums = (parts[0].astype(np.int64) * parts[1].astype(np.int64)).reshape(16, -1).sum(axis=1)
    for lane in range(16):
        args = tuple(Const(int(words[n][lane]), i32) for n in range(2))
        start = Const(5, dot.sums)
        got = evaluate(Op(op, (start, *args), dot.sums))
        assert got[0] == 5 + sums[lane]


def test_pairs_are_sums_of_two_products() -> None:
    """In the halves of a word, whatever their signs; codegen's spelling and the instruction agree with it."""
    rng, lanes = np.random.default_rng(5), 8
    codes = rng.integers(0, 16, (lanes, 4), np.uint8)
    digits = rng.integers(-128, 128, (lanes, 4)).astype(np.int8)
    sums = rng.integers(-4000, 4000, (lanes, 2)).astype(np.int16)
    products = (codes.astype(np.int32) * digits).reshape(lanes, 2, 2).sum(axis=-1)
    expected = (sums + products).astype(np.int16).view(np.int32)[:, 0]
    words = Buffer("w", i32, 2 * lanes, Space.ARGUMENT)
    total = Buffer("s", i32, lanes, Space.ARGUMENT)
    args = (Load(total, Int.of(0), lanes), *(Load(words, Int.of(k * lanes), lanes) for k in (0, 1)))
    body = (Store(total, Int.of(0), Op(dots.PAIRS, args, i32)),)
    module = Module("m", (words, total), (Function("k", (words, total), body),))
    given = np.concatenate([codes.view(np.int32)[:, 0], digits.view(np.int32)[:, 0]])
    run: list[Any] = [partial(interpret, module)]
    run.append(lambda arrays: Compiled(module)(*arrays))
    plain = host_target().without("avx2", "avx512bw", "ssse3")
    run.append(lambda arrays: Compiled(module, plain)(*arrays))
    for call in run:
        got = sums.view(np.int32)[:, 0].copy()
        assert call([given, got]) == 0
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("row", INSTRUCTIONS, ids=lambda r: f"{r.intrinsic}")
def test_every_instruction_is_selected(row: Any) -> None:
    """LLVM makes the instruction that the row names, on a processor that has it."""
    arm = "aarch64" in row.intrinsic
    base = target_named("neoverse-n1" if arm else "x86-64-v4")
    needed = ",".join(f"+{f}" for f in row.features)
    target = replace(
        base, cpu="generic" if arm else "x86-64-v4", features=f"{base.features},{needed}"
    )
    words = Buffer("w", i32, 3 * row.lanes, Space.ARGUMENT)
    sums = Buffer("s", DOTS[row.op].sums, row.lanes, Space.ARGUMENT)
    operands = [Load(words, Int.of(k * row.lanes), row.lanes) for k in range(2)]
    value = Op(row.op, (Load(sums, Int.of(0), row.lanes), *operands), sums.dtype)
    body = (Store(sums, Int.of(0), value),)
    text = emit(Module("m", (words, sums), (Function("k", (words, sums), body),)), target).text
    mnemonic = row.intrinsic.split(".")[3].replace("pmaddw", "pmadd")
    if mnemonic == "pmadd":
        mnemonic = "pmaddubsw" if "ub" in row.intrinsic else "pmaddwd"
    assert mnemonic in assembly(text, target)


@pytest.mark.parametrize("name", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "icelake-server", "aarch64",
                                  "neoverse-n1"])  # fmt: skip
def test_products_compile_for_other_processors(name: str) -> None:
    """Nothing is chosen that the processor lacks: LLVM would abort."""
    target = target_named(name)
    for pair in (*PAIRS, (bf16, bf16)):
        source = (
            matmul(37, 53, 70, False, True, bf16) if pair[0] is bf16
            else product(*pair, 37, 53, 70, False, True)
        )  # fmt: skip
        plan = Plan(source, tuple(Group((d,)) for d in source.definitions()))
        module = schedule.lower(plan, schedule.analytical(plan, target, 2), target, 2)
        assert compile_object(emit(module, target).text, target)


def test_forms_by_processor() -> None:
    def ops(name: str, a: DType, b: DType) -> list[str]:
        contraction = match(next(iter(product(a, b, 8, 32, 64, False, True).definitions())))
        assert contraction is not None
        return [f.op for n in word_forms(contraction, target_named(name)) if (f := FORMS[n])]

    assert ops("x86-64-v3", i8, i8) == ["dot_i16_i16"]
    assert ops("icelake-server", u8, i8) == ["dot_u8_i8", "dot_i16_i16"]
    assert ops("icelake-server", u8, u8) == ["dot_i16_i16"]
    assert ops("neoverse-n1", i8, i8) == ["dot_i8_i8"]
    assert ops("x86-64-v2", i8, i8) == []


def test_ranges_that_are_seen() -> None:
    """A zero point taken from bytes needs 16 bits; a guarded byte is a byte; a product is not."""
    x = tensor("x", 9, dtype=u8)
    i = iterator("i", 9)
    byte = Apply("cast", (Read(x, (Int.of(i) - 1,), Literal(0, u8)),), i32)
    centred = Apply("sub", (byte, Literal(7, i32)), i32)
    assert narrowed(byte, u8) is not None and narrowed(byte, i8) is None
    assert narrowed(centred, u8) is None and narrowed(centred, i16) is not None
    assert narrowed(Apply("mul", (byte, byte), i32), i16) is None


def convolution(c: int, h: int, o: int, taps: int, pad: int, stride: int) -> Program:
    """A quantised convolution with a zero point, over a guarded image."""
    image, weights = tensor("I", c, h, h + 2, dtype=u8), tensor("F", o, c, taps, taps, dtype=i8)
    oh, ow = ((n + 2 * pad - taps) // stride + 1 for n in (h, h + 2))
    out = tensor("Y", o, oh, ow, dtype=i32)
    at = [iterator(name, e) for name, e in (("o", o), ("y", oh), ("x", ow))]
    inner = [iterator(name, e) for name, e in (("c", c), ("r", taps), ("s", taps))]
    y, x = (Int.of(at[1 + d]) * stride + Int.of(inner[1 + d]) - pad for d in range(2))
    pixel = Apply("cast", (Read(image, (Int.of(inner[0]), y, x), Literal(0, u8)),), i32)
    weight = Apply("cast", (read(weights, at[0], *inner),), i32)
    body = total(apply("mul", pixel, weight), *inner)
    return program([image, weights], [out], Definition(out, tuple(at), body))


@requires_guards
@pytest.mark.parametrize(
    "case", [(3, 9, 5, 3, 1, 1), (8, 12, 17, 3, 1, 2), (16, 7, 33, 1, 0, 1)], ids=str
)
def test_convolutions(case: tuple[int, int, int, int, int, int]) -> None:
    c, h, o, taps, pad, stride = case
    source = convolution(*case)
    image, weights = extremes(u8, (c, h, h + 2)), extremes(i8, (o, c, taps, taps), 1)
    padded = np.pad(image.astype(np.int64), ((0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, taps), axis=(1, 2))
    expected = np.einsum(
        "cyxrs,ocrs->oyx", windows[:, ::stride, ::stride], weights.astype(np.int64)
    )
    for target in host_and_lesser():
        out = guarded(np.zeros(expected.shape, np.int32), "end")
        arrays = [guarded(x, "end", read_only=True) for x in (image, weights)]
        assert kernel(source, target)(*arrays, out) == 0
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("pair", [(i8, i8), (u8, i8)], ids=str)
def test_drawn_schedules(pair: tuple[DType, DType]) -> None:
    """Every schedule of the space is right, in words of each form and without; traces round-trip."""
    source = product(*pair, 11, 21, 70, False, True)
    a, b = (extremes(t.dtype, tuple(map(int, t.shape)), s) for s, t in enumerate(source.inputs))
    expected = wrapped(a, b, False, True)
    target = replace(target_named("icelake-server"), vector_bits=128)
    space = schedule.space(Group(tuple(source.definitions())), target, 2)
    rng = random.Random(5)
    drawn = {space.first, *(space.sample(rng) for _ in range(12))}
    assert len({dict(trace.decisions)["words"] for trace in space.neighbours(space.first)}) > 1
    for trace in drawn:
        assert space.allows(trace)
        plan = Plan(source, tuple(Group((d,)) for d in source.definitions()))
        out = np.zeros((11, 21), np.int32)
        assert interpret(schedule.lower(plan, (trace,), target, 2), [a, b, out]) == 0
        np.testing.assert_array_equal(out, expected)


@requires_guards
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 300, 65), (5, 64, 66), (17, 31, 67), (33, 37, 130)]
)
def test_products_of_bf16(shape: tuple[int, int, int]) -> None:
    """Whole numbers whose sums f32 holds are exact, with dot products of pairs or without, in any layout."""
    m, n, k = shape
    rng = np.random.default_rng(k)
    host = host_target()
    for ta, tb in ((False, False), (False, True), (True, False)):
        source = matmul(m, n, k, ta, tb, bf16)
        a, b = (
            rng.integers(-200, 200, tuple(map(int, t.shape))).astype(bf16.numpy)
            for t in source.inputs
        )
        expected = matmul_reference({"A": a, "B": b}, ta, tb)
        for target in {host, host.without("avx512bf16", "bf16")}:
            compiled = kernel(source, target)
            for edge in ("start", "end"):
                out = guarded(np.full((m, n), 99, np.float32), edge)
                arrays = [guarded(x, edge, read_only=True) for x in (a, b)]
                assert compiled(*arrays, out) == 0
                np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("bound", [False, True])
def test_strict_keeps_denormals_of_bf16(bound: bool) -> None:
    source = (
        "def product(X: bf16[4, 64], W: bf16[64, 64]) -> Y: f32[4, 64]:\n"
        "    Y[i, j] = sum[k](X[i, k] * W[k, j])\n"
    )
    x = np.full((4, 64), 2.0**-130, np.float32).astype(bf16.numpy)
    w = np.full((64, 64), 1.0, np.float32).astype(bf16.numpy)
    f = tcomp.compile(source, accuracy="strict", constants={"W": w} if bound else None)
    np.testing.assert_array_equal(f(x) if bound else f(x, w), np.float32(2.0**-124))


@pytest.mark.parametrize("kind", ["f16", "bf16", "i8"])
@pytest.mark.parametrize("rows", [1, 7, 80])
def test_bound_weights_of_narrow_types(kind: str, rows: int) -> None:
    """They stay narrow in memory where few rows read them."""
    rng = np.random.default_rng(rows)
    source = (
        f"def product(X: f32[{rows}, 67], W: {kind}[129, 67]) -> Y: f32[{rows}, 129]:\n"
        "    Y[i, j] = sum[k](X[i, k] * W[j, k])\n"
    )
    x = rng.standard_normal((rows, 67), np.float32)
    w = (rng.standard_normal((129, 67)) * 9).astype(dtype(kind).numpy)
    f = tcomp.compile(source, constants={"W": w}, threads=2)
    expected = x.astype(float) @ w.astype(float).T
    np.testing.assert_allclose(f(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
