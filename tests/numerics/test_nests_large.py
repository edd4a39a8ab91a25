"""Sizes at which schedules change: reductions in two steps, parallel loops, squares in registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tcomp import schedule
from tcomp.codegen.host import host_target
from tcomp.ir.dtypes import boolean, f32
from tcomp.ir.integer import ZERO, Int, Iter
from tcomp.ir.tensor.nodes import Apply, Const, Definition, Expr, Program, Read, Reduce, Tensor
from tcomp.passes import plan as make_plan
from tests.compiled import Compiled


def _tensor(name: str, *shape: int, dtype: Any = f32) -> Tensor:
    return Tensor(name, dtype, tuple((ZERO, Int.of(n)) for n in shape))


def _iter(name: str, extent: int) -> Iter:
    return Iter(name, ZERO, Int.of(extent))


def _run(
    inputs: dict[Tensor, Any], definition: Definition, threads: int = 3
) -> tuple[Any, list[str]]:
    p = Program("large", (), tuple(inputs), (definition.tensor,), (definition,))
    plan, target = schedule.completed(make_plan(p)), host_target()
    traces = schedule.analytical(plan, target, threads)
    module = schedule.lower(plan, traces, target, threads)
    shape = tuple(int(n) for n in definition.tensor.shape)
    out = np.zeros(shape, definition.tensor.dtype.numpy)
    assert Compiled(module, threads=threads)(*inputs.values(), out) == 0
    return out, [d.tensor.name for g in plan.groups for d in g.members]


def _data(*shape: int) -> Any:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(131_072 + 77,), (301, 601)])
@pytest.mark.parametrize("op", ["sum", "max", "min"])
def test_one_result_of_many_terms(op: str, shape: tuple[int, ...]) -> None:
    data = _data(*shape)
    x = _tensor("x", *shape)
    iters = tuple(_iter(f"i{k}", n) for k, n in enumerate(shape))
    total = Reduce(op, iters, Read(x, tuple(map(Int.of, iters))))
    body = Apply("mul", (total, Const(0.5, f32)), f32)
    out, names = _run({x: data}, Definition(_tensor("out"), (), body))
    assert "out_part" in names
    expected = 0.5 * getattr(np, op)(data.astype(np.float64))
    np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-6 * np.sqrt(data.size))


@pytest.mark.parametrize("rows", [256, 331])
def test_column_sums_are_made_block_by_block(rows: int) -> None:
    data = _data(rows, 1100)
    x, i, j = _tensor("x", rows, 1100), _iter("i", rows), _iter("j", 1100)
    body = Reduce("sum", (i,), Read(x, (Int.of(i), Int.of(j))))
    out, names = _run({x: data}, Definition(_tensor("out", 1100), (j,), body))
    assert names[0] == "out_part"
    np.testing.assert_allclose(out, data.astype(np.float64).sum(0), rtol=1e-5, atol=1e-5)


def test_results_do_not_depend_on_threads() -> None:
    data = _data(400_003)
    x, i = _tensor("x", 400_003), _iter("i", 400_003)
    definition = Definition(_tensor("out"), (), Reduce("sum", (i,), Read(x, (Int.of(i),))))
    results = {float(_run({x: data}, definition, threads)[0]) for threads in (1, 2, 3, 7)}
    assert len(results) == 1


def test_whether_any_of_many_holds() -> None:
    data = np.zeros(200_001, np.float32)
    x, i = _tensor("x", data.size), _iter("i", data.size)
    positive = Apply("gt", (Read(x, (Int.of(i),)), Const(0.0, f32)), boolean)
    definition = Definition(_tensor("out", dtype=boolean), (), Reduce("any", (i,), positive))
    assert not _run({x: data}, definition)[0]
    data[-1] = 1
    assert _run({x: data}, definition)[0]


@pytest.mark.parametrize("shape", [(33, 250, 65), (130, 3, 517)])
@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_permuted_axes(shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    data = _data(*shape)
    x = _tensor("x", *shape)
    iters = tuple(_iter(f"i{k}", n) for k, n in enumerate(shape))
    body: Expr = Read(x, tuple(map(Int.of, iters)))
    out_iters = tuple(iters[k] for k in order)
    y = _tensor("y", *(shape[k] for k in order))
    out, _ = _run({x: data}, Definition(y, out_iters, body))
    np.testing.assert_array_equal(out, data.transpose(order))
