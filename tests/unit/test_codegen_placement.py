"""Where instructions end up: invariants outside loops, nothing read on a path that is not taken, no
spills in register tiles."""

import re

import numpy as np
import pytest

from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import assembly, count_spills
from tcomp.codegen.named import target_named
from tcomp.ir.dtypes import boolean, f32, i64
from tcomp.ir.integer import Int, Value
from tcomp.ir.loop.interpreter import interpret
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Const,
    Declare,
    For,
    Function,
    If,
    Load,
    Local,
    LoopVar,
    Module,
    Op,
    Space,
    Store,
)
from tests.compiled import Compiled
from tests.guarded import guarded, requires_guards

N = Buffer("n", i64, 1, Space.ARGUMENT)
X, Y = Buffer("x", f32, 64, Space.ARGUMENT), Buffer("y", f32, 64, Space.ARGUMENT)
I, J = LoopVar("i", 0, 7), LoopVar("j", 0, 7)
ZERO = Int.of(0)


def module(*body, arguments=(N, X, Y)):
    return Module("m", arguments, (Function("k", arguments, body),))


def op(name, *args):
    return Op(name, args, args[0].dtype)


def blocks(text, function="k"):
    """Instructions of each basic block of a kernel by label."""
    body = re.search(rf"@{function}\.0\(.*?{{\n(.*?)\n}}", text, re.DOTALL).group(1)
    found, label = {}, None
    for line in body.splitlines():
        if line.endswith(":"):
            label = line[:-1]
            found[label] = []
        else:
            found[label].append(line.strip())
    return found


def innermost(text):
    """The instructions of the last loop that begins, without its counter."""
    found = blocks(text)
    last = [label for label in found if label.startswith("loop.")][-1]
    return found[last]


def test_invariant_work_leaves_both_loops():
    scale = op("sqrt", Load(X, ZERO))
    row = op("mul", Load(X, Int.of(I)), scale)
    at = Int.of(I) * 8 + Int.of(J)
    nest = For(
        I, ZERO, Int.of(8), (For(J, ZERO, Int.of(8), (Store(Y, at, op("add", row, scale)),)),)
    )
    inner = innermost(emit(module(nest), host_target()).text)
    assert not any(
        word in line for line in inner for word in ("load", "sqrt", "fmul", "fadd", " mul ")
    )


def test_reads_of_a_written_buffer_stay_in_the_loop():
    bump = Store(Y, ZERO, op("add", Load(Y, ZERO), Load(X, ZERO)))
    inner = innermost(emit(module(For(I, ZERO, Int.of(8), (bump,))), host_target()).text)
    assert sum("load" in line for line in inner) == 1


def test_equal_values_are_computed_once():
    value = op("sqrt", Load(X, ZERO))
    text = emit(
        module(Store(Y, ZERO, value), Store(Y, Int.of(1), op("add", value, value))), host_target()
    )
    assert text.text.count("= call float @llvm.sqrt") == 1


@requires_guards
def test_a_loop_that_does_not_run_reads_nothing():
    """The read does not depend on the loops, but the inner one may not run."""
    limit = Int.of(Value(Load(N, ZERO)))
    far = Load(X, Int.of(1 << 24))
    inner = For(I, ZERO, limit, (Store(Y, Int.of(I), far),))
    data = [np.array([0]), np.ones(64, np.float32), np.zeros(64, np.float32)]
    got = [guarded(a) for a in data]
    assert Compiled(module(For(J, ZERO, Int.of(2), (inner,))))(*got) == 0


@requires_guards
def test_a_branch_that_is_not_taken_reads_nothing():
    never = Op("gt", (Load(N, ZERO), Const(0, i64)), boolean)
    far = Load(X, Int.of(1 << 24))
    body = For(I, ZERO, Int.of(8), (If(never, (Store(Y, Int.of(I), far),)),))
    data = [np.array([0]), np.ones(64, np.float32), np.zeros(64, np.float32)]
    got = [guarded(a) for a in data]
    assert Compiled(module(body))(*got) == 0
    assert not got[2].any()


def register_tile(rows, vectors, lanes, depth, unroll, panel):
    """A matrix product's inner kernel over packed operands: C += A B.

    `panel`: A is packed by columns of the tile ([k][row]), else by rows ([row][k]).
    """
    width = vectors * lanes
    a = Buffer("a", f32, rows * depth, Space.WORKSPACE)
    b = Buffer("b", f32, width * depth, Space.WORKSPACE)
    c = Buffer("c", f32, rows * width, Space.ARGUMENT)
    source = Buffer("source", f32, (rows + width) * depth, Space.ARGUMENT)
    k, z = LoopVar("k", 0, depth - unroll), LoopVar("z", 0, max(rows, width) * depth - 1)
    tile = [[Local(f"c{r}_{v}", f32, lanes) for v in range(vectors)] for r in range(rows)]
    step, places = [], [(r, v) for r in range(rows) for v in range(vectors)]
    for u in range(unroll):
        for r, v in places:
            at = (Int.of(k) + u) * rows + r if panel else Int.of(k) + u + r * depth
            left = Broadcast(Load(a, at), lanes)
            right = Load(b, (Int.of(k) + u) * width + v * lanes, lanes)
            step.append(Assign(tile[r][v], Op("fma", (left, right, tile[r][v]), f32)))
    fill = [
        For(
            z, ZERO, Int.of(n * depth), (Store(buffer, Int.of(z), Load(source, Int.of(z) + start)),)
        )
        for buffer, n, start in ((a, rows, 0), (b, width, rows * depth))
    ]
    body = [
        *fill,
        *(Declare(tile[r][v], Load(c, Int.of(r * width + v * lanes), lanes)) for r, v in places),
        For(k, ZERO, Int.of(depth), tuple(step), unroll),
        *(Store(c, Int.of(r * width + v * lanes), tile[r][v]) for r, v in places),
    ]
    return Module("tile", (source, c), (Function("k", (a, b, source, c), tuple(body)),))


TILES = [
    ("x86-64-v4", 14, 2, 16),
    ("x86-64-v4", 6, 4, 16),
    ("x86-64-v3", 6, 2, 8),
    ("x86-64-v3", 4, 3, 8),
]


@pytest.mark.parametrize("panel", [True, False])
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_register_tiles_do_not_spill(tile, panel):
    name, rows, vectors, lanes = tile
    target = target_named(name)
    text = emit(register_tile(rows, vectors, lanes, 64, 4, panel), target).text
    code = assembly(text, target)
    assert count_spills(code) == 0
    assert len(re.findall(r"\bvfmadd\w+\b", code)) == 4 * rows * vectors


@pytest.mark.parametrize("panel", [True, False])
def test_register_tile_multiplies(panel):
    rows, width, depth = 6, 16, 12
    program = register_tile(rows, 2, 8, depth, 4, panel)
    random = np.random.default_rng(0)
    left, right = (
        random.random((rows, depth), np.float32),
        random.random((depth, width), np.float32),
    )
    packed = left.T if panel else left
    source = np.concatenate([packed.ravel(), right.ravel()])
    got, meant = np.ones((2, rows, width), np.float32)
    assert Compiled(program)(source, got) == interpret(program, [source, meant]) == 0
    np.testing.assert_array_equal(got, meant)
    np.testing.assert_allclose(got, 1 + left.astype(np.float64) @ right, rtol=1e-5)
