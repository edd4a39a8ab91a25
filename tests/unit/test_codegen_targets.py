"""Code for every named processor: nothing is called from outside, whatever the operation."""

import dataclasses

import numpy as np
import pytest

from tcomp.codegen.emit import emit
from tcomp.codegen.expand import prepare
from tcomp.codegen.host import host_target, usable_cores, vector_registers
from tcomp.codegen.llvm import assembly, compile_object, count_spills
from tcomp.codegen.named import NAMED, target_named
from tcomp.diagnostics import BindingError, InternalError
from tcomp.ir import dtypes
from tcomp.ir.dtypes import COMPUTE, boolean, f16, f32, f64, i32
from tcomp.ir.integer import Int
from tcomp.ir.loop.interpreter import interpret
from tcomp.ir.loop.nodes import (
    Buffer,
    Const,
    For,
    Function,
    Gather,
    Load,
    LoopVar,
    Module,
    Op,
    Shuffle,
    Space,
    Store,
    postorder,
)
from tcomp.ops import OPS, TypeRule
from tcomp.ops.dots import DOTS
from tests.elf import undefined_symbols

LANES = 4


def operands(row):
    """Operand and result types that fit an operation's rule."""
    match row.rule:
        case TypeRule.LOGICAL:
            return [((boolean,) * row.arity, boolean)]
        case TypeRule.SELECT:
            return [((boolean, t, t), t) for t in COMPUTE]
        case TypeRule.BITS:
            return [((t,) * row.arity, t) for t in COMPUTE if t.is_integer]
        case TypeRule.FLOATING:
            return [((t,) * row.arity, t) for t in (f32, f64)]
        case TypeRule.COMPARISON:
            return [((t,) * row.arity, boolean) for t in COMPUTE]
        case TypeRule.TEST:
            return [((t,), boolean) for t in (f32, f64)]
        case TypeRule.CONVERSION:
            return []
        case TypeRule.WORDS:
            return [((DOTS[row.name].sums, i32, i32), DOTS[row.name].sums)]
    return [((t,) * row.arity, t) for t in COMPUTE]


def everything():
    """A module with each operation on each type, and each conversion."""
    buffers = {t: Buffer(f"b_{t}", t, 64, Space.ARGUMENT) for t in dtypes.ALL if not t.is_packed}
    cases = [(row.name, *case) for row in OPS.values() for case in operands(row)]
    cases += [("cast", (s,), t) for s in buffers for t in buffers if s is not t]
    body = []
    for lanes in (1, LANES):
        for op, sources, result in cases:
            args = tuple(Load(buffers[s], Int.of(8 * n), lanes) for n, s in enumerate(sources))
            body.append(Store(buffers[result], Int.of(32), Op(op, args, result)))
    numbers = Load(buffers[i32], Int.of(0), LANES)
    mask = Load(buffers[boolean], Int.of(0), LANES)
    for t, buffer in buffers.items():
        loaded = Gather(buffer, Int.of(0), numbers, mask)
        body.append(Store(buffer, Int.of(8), Shuffle(loaded, loaded, (3, 2, 1, 0)), mask=mask))
        body.append(Store(buffer, Int.of(8), Load(buffer, Int.of(0), LANES, 2), 3, mask))
        body.append(Store(buffer, Int.of(16), Const(1, t, LANES)))
    arguments = tuple(buffers.values())
    return Module("everything", arguments, (Function("k", arguments, tuple(body)),))


@pytest.fixture(scope="module")
def program():
    return everything()


@pytest.mark.parametrize("name", ["native", "x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"])
def test_no_library_is_called(name, program):
    target = host_target() if name == "native" else target_named(name)
    target = dataclasses.replace(target, triple=target.triple.split("-")[0] + "-unknown-linux-gnu")
    code = compile_object(emit(program, target).text, target)
    assert undefined_symbols(code) <= {"memcpy", "memset", "memmove"}


@pytest.mark.parametrize("name", NAMED)
def test_every_named_target_emits(name):
    target = target_named(name)
    x, i = Buffer("x", f32, 4096, Space.ARGUMENT), LoopVar("i", 0, 4095)
    lanes = target.lanes(32)
    value = Op("exp", (Load(x, Int.of(i), lanes),), f32)
    loop = For(i, Int.of(0), Int.of(4096), (Store(x, Int.of(i), value),), lanes, True, 1024)
    text = emit(Module("m", (x,), (Function("k", (x,), (loop,)),)), target).text
    assert compile_object(text, target)
    assert "tcomp_m" in assembly(text, target)


def test_unknown_target_names_the_nearest():
    with pytest.raises(BindingError, match="x86-64-v3"):
        target_named("x86-64v3")


def as_lanes(expr_of, values, source):
    """Interprets the x86-64-v2 form of an expression on many values at once."""
    buffer = Buffer("in", source, len(values), Space.ARGUMENT)
    expr = prepare(expr_of(Load(buffer, Int.of(0), len(values))), target_named("x86-64-v2"))
    assert all(f16 not in {a.dtype for a in n.args} for n in postorder(expr) if is_cast(n))
    out = Buffer("out", expr.dtype, len(values), Space.ARGUMENT)
    got = np.zeros(len(values), expr.dtype.numpy)
    body = (Store(out, Int.of(0), expr),)
    interpret(Module("m", (buffer, out), (Function("k", (buffer, out), body),)), [values, got])
    return got


def is_cast(node):
    return isinstance(node, Op) and node.op == "cast"


def test_halves_without_instructions_widen_exactly():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for goal in (f32, f64):
        got = as_lanes(lambda x, goal=goal: Op("cast", (x,), goal), halves, f16)
        np.testing.assert_array_equal(got, halves.astype(goal.numpy))


def test_halves_without_instructions_round_once():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(all="ignore"):
        near = [np.nextafter(halves, np.float32(way)) for way in (-9, 9)]
        singles = np.concatenate([*near, halves, halves * np.float32(1.00048828125)])
        got = as_lanes(lambda x: Op("cast", (x,), f16), singles, f32)
        np.testing.assert_array_equal(got, singles.astype(np.float16))


def test_spills_are_counted():
    assert count_spills("\tvmovups\t%zmm3, 64(%rsp)\n\tvmovups\t%zmm3, (%rdi)\n") == 1


def test_host_is_described():
    host = host_target()
    assert host.cores == usable_cores() >= 1
    assert host.vector_bits in (128, 256, 512) and host.l1 < host.l2 <= host.l3
    assert vector_registers("x86_64-linux", "+avx2") == (256, 16)
    assert vector_registers("aarch64-linux", "") == (128, 32)


def test_rejected_text_is_an_internal_error():
    with pytest.raises(InternalError, match="LLVM rejects"):
        compile_object("define i32 @f() { ret i64 0 }", host_target())
