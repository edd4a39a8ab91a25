"""Random sums of products over two tensors: products of matrices in any layout, and windows."""

from __future__ import annotations

import math

from tcomp.ir.dtypes import DType, bf16, compute_type, f16, f32, f64, i8, i32, u8
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Apply, Const, Definition, Expr, Read, Reduce, Tensor
from tests.fuzz.expressions import Maker
from tests.fuzz.facts import Facts, multiplied, summed

_EXTENTS = (5, 3, 8, 1, 16, 17, 31, 7, 12)
_MOST = 40_000  # products

Axis = tuple[Int, int]  # what is read along an axis, and the axis' extent


def contraction(maker: Maker, name: str, left: str, right: str) -> tuple[Definition, list[Tensor]]:
    """A definition, and its two inputs (to be made as small exact values)."""
    choices = maker.choices
    outer: list[Iter] = []
    summed_over: list[Iter] = []
    a: list[Axis] = []
    b: list[Axis] = []
    points = 1
    for role in choices.pick(("mnk", "mk", "bmnk", "mnkk", "wk", "bmnwk", "mw", "k", "mnk")):
        allowed = [e for e in _EXTENTS if points * e <= _MOST] or [1]
        it = Iter(f"c{next(maker.numbers)}", Int.of(0), Int.of(choices.pick(allowed)))
        points *= int(it.extent)
        axis = (Int.of(it), int(it.extent))
        if role == "w":  # a window: it slides over a, its taps are an axis of b
            taps = Iter(f"c{next(maker.numbers)}", Int.of(0), Int.of(choices.pick((3, 2, 5, 1))))
            points *= int(taps.extent)
            stride, pad = choices.pick((1, 1, 2)), choices.integer(0, 2)
            summed_over.append(taps)
            a.append((Int.of(it) * stride + Int.of(taps) * choices.pick((1, 1, 2)) - pad, axis[1]))
            b.append((Int.of(taps), int(taps.extent)))
            outer.append(it)
            continue
        (summed_over if role == "k" else outer).append(it)
        if role in "bmk":
            a.append(axis)
        if role in "bnk":
            b.append(axis)
    dtype, fa, ra = _factor(maker, left, a)
    _, fb, rb = _factor(maker, right, b, dtype)
    work = compute_type(dtype)
    x, fx = maker.cast(ra, fa, work)
    y, fy = maker.cast(rb, fb, work)
    terms = math.prod(int(i.extent) for i in summed_over)
    body: Expr = Apply("mul", (x, y) if choices.integer(0, 1) else (y, x), work)
    facts = Facts(2.0**32)
    if work.is_float:
        facts = summed(multiplied(fx, fy, work), terms, work)
    if summed_over:
        body = Reduce("sum", tuple(_shuffled(maker, summed_over)), body)
    iters = tuple(_shuffled(maker, outer))
    tensor = Tensor(name, work, tuple((i.lo, i.hi) for i in iters))
    maker.tensors.update({ra.tensor: fa, rb.tensor: fb, tensor: facts})
    return Definition(tensor, iters, body), [ra.tensor, rb.tensor]


def _factor(
    maker: Maker, name: str, axes: list[Axis], like: DType | None = None
) -> tuple[DType, Facts, Read]:
    kinds = (f32, f32, f64, f16, bf16, i8, u8, i32)
    if like is not None:
        kinds = tuple(k for k in kinds if compute_type(k) is compute_type(like))
    dtype = maker.choices.pick(kinds)
    ordered = _shuffled(maker, axes)
    tensor = Tensor(name, dtype, tuple((Int.of(0), Int.of(n)) for _, n in ordered))
    leaves = any(i.bounds()[0] < 0 or i.bounds()[1] >= n for i, n in ordered)  # type: ignore[operator]
    zero = Const(0.0 if dtype.is_float else 0, dtype) if leaves else None
    facts = Facts(1.75, 2) if dtype.is_float else Facts(16)
    return dtype, facts, Read(tensor, tuple(i for i, _ in ordered), zero)


def _shuffled(maker: Maker, items: list) -> list:  # type: ignore[type-arg]
    rest, order = list(items), []
    while rest:
        order.append(rest.pop(maker.choices.integer(0, len(rest) - 1)))
    return order
