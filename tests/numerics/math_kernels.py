"""Applies one operation to arrays with a compiled kernel, some lanes at a time."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tcomp.codegen.math import Accuracy, expand
from tcomp.ir.dtypes import DType
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Buffer,
    Const,
    Expr,
    For,
    Function,
    Load,
    LoopVar,
    Module,
    Op,
    Space,
    Store,
)
from tcomp.target import Target
from tests.compiled import Compiled

BLOCK = 1 << 12


def apply(
    op: str,
    *args: Any,
    sources: tuple[DType, ...],
    result: DType,
    accuracy: Accuracy = "standard",
    lanes: int = 8,
    target: Target | None = None,
) -> Any:
    """op(*args) elementwise. An argument that is a Python number is a constant of the kernel."""
    constants = tuple(a if isinstance(a, int | float) else None for a in args)
    arrays = [a for a in args if not isinstance(a, int | float)]
    kernel = compiled(op, sources, result, constants, accuracy, lanes, target)
    count = len(arrays[0])
    padded = -(-count // BLOCK) * BLOCK
    out = np.zeros(padded, result.numpy)
    inputs = [_padded(a, padded) for a in arrays]
    for start in range(0, padded, BLOCK):
        stop = start + BLOCK
        assert kernel(*(a[start:stop] for a in inputs), out[start:stop]) == 0
    return out[:count]


def _padded(a: Any, size: int) -> Any:
    return np.concatenate([a, np.ones(size - len(a), a.dtype)])


@cache
def compiled(
    op: str,
    sources: tuple[DType, ...],
    result: DType,
    constants: tuple[float | int | None, ...],
    accuracy: Accuracy,
    lanes: int,
    target: Target | None = None,
) -> Compiled:
    return Compiled(module(op, sources, result, constants, accuracy, lanes), target)


def module(
    op: str,
    sources: tuple[DType, ...],
    result: DType,
    constants: tuple[float | int | None, ...],
    accuracy: Accuracy,
    lanes: int,
) -> Module:
    """One loop over `BLOCK` elements."""
    step = LoopVar("i", 0, BLOCK // lanes - 1)
    index = Int.of(step) * lanes
    buffers = []
    args: list[Expr] = []
    for position, (dtype, constant) in enumerate(zip(sources, constants, strict=True)):
        if constant is None:
            buffers.append(Buffer(f"x{position}", dtype, BLOCK, Space.ARGUMENT))
            args.append(Load(buffers[-1], index, lanes))
        else:
            args.append(Const(constant, dtype, lanes))
    out = Buffer("y", result, BLOCK, Space.ARGUMENT)
    value = expand(Op(op, tuple(args), result), accuracy)
    body = (For(step, Int.of(0), Int.of(BLOCK // lanes), (Store(out, index, value),)),)
    buffers.append(out)
    return Module("test", tuple(buffers), (Function("test", tuple(buffers), body),))
