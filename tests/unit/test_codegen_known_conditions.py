"""Conditions that LLVM can decide, though the program does not: they once ended the process."""

from __future__ import annotations

import numpy as np
import pytest

from tcomp.ir.dtypes import DType, boolean, f32, f64, i64
from tcomp.ir.integer import ZERO, Int
from tcomp.ir.loop.nodes import (
    Broadcast,
    Buffer,
    Const,
    Expr,
    Function,
    Load,
    Module,
    Op,
    Space,
    Store,
)
from tests.compiled import Compiled


@pytest.mark.parametrize("dtype", [f32, f64])
@pytest.mark.parametrize("lanes", [1, 2, 16])
@pytest.mark.parametrize("limit", [3, 0])
def test_a_choice_of_constants_in_every_lane(dtype: DType, lanes: int, limit: int) -> None:
    flag = Buffer("flag", boolean, 1, Space.ARGUMENT)
    out = Buffer("out", dtype, lanes, Space.ARGUMENT)
    number = Op("cast", (Load(flag, ZERO),), i64)
    above = Op("lt", (Const(limit, i64), number), boolean)
    chosen: Expr = Op("where", (above, Const(0.9, dtype), Const(-1.5, dtype)), dtype)
    wide = Broadcast(chosen, lanes) if lanes > 1 else chosen
    module = Module("m", (flag, out), (Function("k", (flag, out), (Store(out, Int.of(0), wide),)),))
    run = Compiled(module)
    for value in (False, True):
        result = np.zeros(lanes, dtype.numpy)
        assert run(np.array([value]), result) == 0
        expected = 0.9 if int(value) > limit else -1.5
        np.testing.assert_array_equal(result, np.full(lanes, expected, dtype.numpy))


@pytest.mark.parametrize("dtype", [f32, f64])
@pytest.mark.parametrize("lanes", [1, 2, 16])
@pytest.mark.parametrize("limit", [3, 0])
def test_a_boolean_as_a_number_in_every_lane(dtype: DType, lanes: int, limit: int) -> None:
    flag = Buffer("flag", boolean, 1, Space.ARGUMENT)
    out = Buffer("out", dtype, lanes, Space.ARGUMENT)
    number = Op("cast", (Load(flag, ZERO),), i64)
    above = Op("lt", (Const(limit, i64), number), boolean)
    moved: Expr = Op("add", (Op("cast", (above,), dtype), Const(0.25, dtype)), dtype)
    wide = Broadcast(moved, lanes) if lanes > 1 else moved
    size, most = Op("abs", (wide,), dtype), Const(0.75, dtype, lanes)
    least = Op("where", (Op("gt", (size, most), boolean), most, size), dtype)
    module = Module("m", (flag, out), (Function("k", (flag, out), (Store(out, ZERO, least),)),))
    run = Compiled(module)
    for value in (False, True):
        result = np.zeros(lanes, dtype.numpy)
        assert run(np.array([value]), result) == 0
        np.testing.assert_array_equal(result, np.full(lanes, 0.75 if int(value) > limit else 0.25))
