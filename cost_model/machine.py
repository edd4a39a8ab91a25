"""Loop programs that show what a machine can do: its multiply-add peak, and bandwidth by level.

They are data like any other loop module; `tcomp.probe` compiles and times them. The peak serves as the
canary of every benchmark: if it falls, the machine was busy and the figures beside it do not count.
"""

from __future__ import annotations

from tcomp.ir.dtypes import f32
from tcomp.ir.integer import ZERO, Int
from tcomp.ir.loop.nodes import (
    Assign,
    Buffer,
    Const,
    Declare,
    For,
    Function,
    Horizontal,
    Load,
    Local,
    LoopVar,
    Module,
    Op,
    Space,
    Stmt,
    Store,
)
from tcomp.target import Target

PEAK_STEPS = (
    1 << 17
)  # iterations of the peak's loop: about a millisecond, so that threads do not count
_CHAINS = 12  # independent accumulators: latency 4 times 2 pipes, with room


def peak_module(target: Target, threads: int) -> tuple[Module, float]:
    """Chains of multiply-adds in registers, for each of `threads`, and the operations of one call."""
    lanes = target.lanes(32)
    out = Buffer("Y", f32, threads, Space.ARGUMENT)
    thread, step = LoopVar("t", 0, threads - 1), LoopVar("k", 0, PEAK_STEPS - 1)
    sums = [Local(f"sum{n}", f32, lanes) for n in range(_CHAINS)]
    scale, shift = Const(0.5, f32, lanes), Const(1.0, f32, lanes)
    body: list[Stmt] = [Declare(s, Const(float(n), f32, lanes)) for n, s in enumerate(sums)]
    updates = tuple(Assign(s, _multiply_add(s, scale, shift, target)) for s in sums)
    body.append(For(step, ZERO, Int.of(PEAK_STEPS), updates))
    body.append(Store(out, Int.of(thread), _total(sums)))
    loop = For(thread, ZERO, Int.of(threads), tuple(body), parallel=threads > 1)
    module = Module("peak", (out,), (Function("peak", (out,), (loop,)),))
    return module, 2.0 * lanes * _CHAINS * PEAK_STEPS * threads


def read_module(target: Target, elements: int, threads: int, repeats: int) -> Module:
    """Sums all elements of an array of f32, `repeats` times, in vectors, shared out over threads."""
    lanes = target.lanes(32)
    width = lanes * _CHAINS
    share = elements // threads // width * width
    source = Buffer("X", f32, elements, Space.ARGUMENT)
    out = Buffer("Y", f32, threads, Space.ARGUMENT)
    thread, at = LoopVar("t", 0, threads - 1), LoopVar("i", 0, max(0, share - width))
    sums = [Local(f"sum{n}", f32, lanes) for n in range(_CHAINS)]
    body: list[Stmt] = [Declare(s, Const(0.0, f32, lanes)) for s in sums]
    loads = tuple(
        Assign(s, Op("add", (s, Load(source, Int.of(thread) * share + at + n * lanes, lanes)), f32))
        for n, s in enumerate(sums)
    )
    once = For(at, ZERO, Int.of(share), loads, step=width)
    body.append(For(LoopVar("r", 0, repeats - 1), ZERO, Int.of(repeats), (once,)))
    body.append(Store(out, Int.of(thread), _total(sums)))
    loop = For(thread, ZERO, Int.of(threads), tuple(body), parallel=threads > 1)
    return Module("read", (source, out), (Function("read", (source, out), (loop,)),))


def _multiply_add(value: Local, scale: Const, shift: Const, target: Target) -> Op:
    if target.has_fma:
        return Op("fma", (value, scale, shift), f32)
    return Op("add", (Op("mul", (value, scale), f32), shift), f32)


def _total(sums: list[Local]) -> Horizontal:
    total: Local | Op = sums[0]
    for each in sums[1:]:
        total = Op("add", (total, each), f32)
    return Horizontal("add", total)
