"""Groups made block by block: every size of blocks and every schedule of their parts gives what is meant."""

from __future__ import annotations

import random
from functools import cache
from itertools import islice
from typing import Any
from unittest import mock

import numpy as np
import pytest

import tcomp
from tcomp import schedule
from tcomp.codegen.host import host_target
from tcomp.ir.loop.interpreter import interpret as run_loops
from tcomp.ir.loop.nodes import Module
from tcomp.ir.plan import Group, Plan
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.passes import plan as make_plan
from tcomp.passes.blocks import in_blocks
from tcomp.passes.derivation import online
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.toom_cook import toom_cook
from tcomp.passes.derivation.winograd import winograd
from tcomp.target import Target
from tests.compiled import Compiled
from tests.guarded import guarded, requires_guards
from tests.unit.programs import random_inputs

NARROW = Target(
    "x86_64-unknown-linux-gnu", "haswell", "", 256, 16, True, 32768, 1 << 18, 1 << 23, 2
)

ATTENTION = """
def attention(Q: f32[H, S, D], K: f32[H, T, D], V: f32[H, T, D]) -> O: f32[H, S, D]:
    L[h, s, t] = where(t <= s + (T - S), sum[d](Q[h, s, d] * K[h, t, d]), -inf)
    m[h, s] = max[t](L[h, s, t])
    E[h, s, t] = exp(L[h, s, t] - m[h, s])
    Z[h, s] = sum[t](E[h, s, t])
    O[h, s, d] = sum[t](E[h, s, t] * V[h, t, d]) / Z[h, s]
"""
ONE_PASS = """
def attention(Q: f32[H, S, D], K: f32[H, B, I, D], V: f32[H, B, I, D]) -> O: f32[H, S, D]:
    scan[b]:
        L[b, h, s, i] = where(b * I + i <= s + (B * I - S), sum[d](Q[h, s, d] * K[h, b, i, d]), -inf)
        m[b, h, s] = maximum(m[b - 1, h, s] else -1e30, max[i](L[b, h, s, i]))
        c[b, h, s] = exp((m[b - 1, h, s] else -1e30) - m[b, h, s])
        E[b, h, s, i] = exp(L[b, h, s, i] - m[b, h, s])
        Z[b, h, s] = (Z[b - 1, h, s] else 0) * c[b, h, s] + sum[i](E[b, h, s, i])
        A[b, h, s, d] = (A[b - 1, h, s, d] else 0) * c[b, h, s] + sum[i](E[b, h, s, i] * V[h, b, i, d])
    O[h, s, d] = A[B - 1, h, s, d] / Z[B - 1, h, s]
"""
CHANNELS_FIRST = """
def conv(X: f32[C, A, B], K: f32[O, C, 3, 3], b: f32[O]) -> Y: f32[O, A, B]:
    Y[o, y, x] = relu(sum[c, r, s]((X[c, y + r - 1, x + s - 1] else 0) * K[o, c, r, s]) + b[o])
"""
CHANNELS_LAST = """
def conv(X: f32[A, B, C], K: f32[3, 3, C, O], R: f32[A, B, O]) -> Y: f32[A, B, O]:
    Y[y, x, o] = sum[c, r, s]((X[y + r - 1, x + s - 1, c] else 0) * K[r, s, c, o]) + R[y, x, o]
"""
TWO_LAYERS = """
def layers(X: f32[M, K], W: f32[K, N], U: f32[N, P]) -> Y: f32[M, P]:
    H[i, j] = tanh(sum[k](X[i, k] * W[k, j]))
    Y[i, p] = sum[j](H[i, j] * U[j, p])
"""


def program(text: str, **sizes: int) -> Program:
    return tcomp.compile(text, sizes=sizes).stages().program


def transformed(source: Program, outputs: int) -> Program:
    points = (0, 1, -1) if outputs == 2 else (0, 1, -1, 2, -2)
    lemma = winograd(toom_cook(outputs, 3, points), least_tiles=1)
    ((_, derived),) = lemma(normal_form(source))
    return normal_form(derived)


def in_one_pass(source: Program, block: int) -> Program:
    with mock.patch.object(online, "BLOCK", block):
        ((_, derived),) = online.one_pass(normal_form(source))
    return normal_form(derived)


@cache
def cases() -> dict[str, Program]:
    first = program(CHANNELS_FIRST, C=5, A=13, B=9, O=6)
    return {
        "attention": program(ATTENTION, H=2, S=11, T=13, D=16),
        "causal rows": program(ATTENTION, H=1, S=7, T=29, D=5),
        "causal steps": in_one_pass(program(ATTENTION, H=2, S=37, T=41, D=16), 8),
        "a prime": in_one_pass(program(ATTENTION, H=1, S=19, T=23, D=5), 7),
        "F(2, 3)": transformed(first, 2),
        "F(4, 3)": transformed(first, 4),
        "even": transformed(program(CHANNELS_FIRST, C=4, A=8, B=12, O=4), 2),
        "channels last": transformed(program(CHANNELS_LAST, C=5, A=11, B=8, O=17), 2),
        "one pass": program(ONE_PASS, H=2, S=21, B=3, I=7, D=16),
        "one pass of one step": program(ONE_PASS, H=3, S=9, B=1, I=17, D=5),
        "layers": program(TWO_LAYERS, M=37, K=9, N=24, P=19),
    }


def blocked(source: Program) -> Plan:
    plan = in_blocks(make_plan(source), least_bytes=1)
    assert any(group.parts for group in plan.groups)
    return schedule.completed(plan)


def judge(source: Program, plan: Plan, module: Module, run: Any, edge: str | None = None) -> None:
    inputs = random_inputs(source)
    arrays = [np.ascontiguousarray(inputs[i.name]) for i in plan.program.inputs]
    outputs = [
        np.full(tuple(int(n) for n in r.shape), np.nan, r.dtype.numpy) for r in plan.program.results
    ]
    if edge is not None:
        arrays = [guarded(a, edge, read_only=True) for a in arrays]
        outputs = [guarded(a, edge) for a in outputs]
    assert run(module)(*arrays, *outputs) == 0
    for got, want in zip(outputs, interpret(source, inputs), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4)


def interpreted(module: Module) -> Any:
    return lambda *arrays: run_loops(module, arrays)


def drawn(group: Group, target: Target, threads: int, rng: random.Random) -> schedule.Trace:
    space = schedule.space(group, target, threads)
    trace = space.sample(rng)
    assert space.allows(trace)
    return trace


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("target", [NARROW, host_target()], ids=["narrow", "host"])
def test_drawn_blocks(name: str, target: Target) -> None:
    source = cases()[name]
    plan, rng = blocked(source), random.Random(name)
    for n in range(3):
        threads = 1 + n % 2
        traces = [drawn(group, target, threads, rng) for group in plan.groups]
        module = schedule.lower(plan, traces, target, threads)
        judge(source, plan, module, interpreted)
        if target is not NARROW and n < 1:
            judge(source, plan, module, Compiled)


@requires_guards
@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize("edge", ["start", "end"])
def test_analytical_blocks_stay_inside(name: str, edge: str) -> None:
    source, target = cases()[name], host_target()
    plan = blocked(source)
    traces = schedule.analytical(plan, target, 2)
    judge(source, plan, schedule.lower(plan, traces, target, 2), Compiled, edge)


@pytest.mark.parametrize("name", ["attention", "one pass", "causal steps", "F(4, 3)", "layers"])
def test_neighbours_are_legal_and_replay(name: str) -> None:
    source, target = cases()[name], host_target()
    plan = blocked(source)
    (number,) = [n for n, group in enumerate(plan.groups) if group.parts]
    space = schedule.space(plan.groups[number], target, 2)
    traces = list(schedule.analytical(plan, target, 2))
    sizes = set()
    for n, trace in enumerate(islice(space.neighbours(space.first), 40)):
        sizes.add(tuple(v for name, v in trace if name.startswith("size.")))
        if n % 10 == 0:
            assert space.allows(trace)
            traces[number] = schedule.Trace.from_json(trace.to_json())
            judge(source, plan, schedule.lower(plan, traces, target, 2), interpreted)
    assert len(sizes) > 2  # of other blocks, and of one block of everything


def test_threads_keep_no_partial_sums_in_one_place() -> None:
    plan = blocked(program(TWO_LAYERS, M=13, K=9, N=24, P=19))
    (group,) = plan.groups
    space = schedule.space(group, NARROW, 2)
    trace = next(t for t in space.neighbours(space.first) if t["size.0"] == 5)
    assert trace["parallel"]
    last = f"p{len(group.parts) - 1}"
    assert not space.allows(trace.replaced(f"{last}.depth", trace[f"{last}.depth"] // 2))


def test_a_foreign_trace_is_no_schedule() -> None:
    plan = blocked(cases()["attention"])
    (group,) = plan.groups
    space = schedule.space(group, NARROW, 2)
    for name, value in (("size.1", 0), ("size.1", 12), ("parallel", 2), ("p0.kind", 9)):
        assert not space.allows(space.first.replaced(name, value))
    assert not space.allows(schedule.Trace("blocks", space.first.decisions[1:]))


def test_a_scan_with_products_is_made_in_steps() -> None:
    (group,) = blocked(cases()["one pass"]).groups
    assert [part.step is not None for part in group.parts] == [True, False]
    assert {it.name for it in group.blocked} == {"h", "s"}
