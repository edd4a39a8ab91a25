"""Small programs built from nodes, for tests of what works on tensor programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType, f32, f64
from tcomp.ir.integer import ZERO, Int, Iter
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.nodes import Apply, Definition, Expr, Program, Read, Reduce, Tensor
from tcomp.lang import lower, parse


def written(text: str, **sizes: int) -> Program:
    """A program from its text, with its sizes bound."""
    return bind(lower(parse(text)), sizes)


def tensor(name: str, *shape: int, dtype: DType = f64) -> Tensor:
    return Tensor(name, dtype, tuple((ZERO, Int.of(n)) for n in shape))


def iterator(name: str, extent: int, lo: int = 0) -> Iter:
    return Iter(name, Int.of(lo), Int.of(lo + extent))


def read(source: Tensor, *index: Any, otherwise: Expr | None = None) -> Read:
    return Read(source, tuple(Int.of(i) for i in index), otherwise)


def apply(op: str, *args: Expr) -> Apply:
    return Apply(op, args, args[0].dtype)


def total(body: Expr, *iters: Iter) -> Reduce:
    return Reduce("sum", iters, body)


def program(inputs: list[Tensor], results: list[Tensor], *body: Definition) -> Program:
    return Program("test", (), tuple(inputs), tuple(results), tuple(body))


def random_inputs(source: Program, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Standard normal floats, small integers."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for each in source.inputs:
        shape = tuple(int(n) for n in each.shape)
        if each.dtype.is_float:
            arrays[each.name] = rng.standard_normal(shape).astype(each.dtype.numpy)
        else:
            arrays[each.name] = rng.integers(-5, 6, shape).astype(each.dtype.numpy)
    return arrays


def product_chain(name: str, left: Tensor, right: Tensor) -> tuple[Tensor, Definition]:
    """The matrix product of two matrices as a definition."""
    (m, k), (_, n) = ([int(e) for e in t.shape] for t in (left, right))
    i, j, inner = iterator("i", m), iterator("j", n), iterator("k", k)
    out = tensor(name, m, n, dtype=left.dtype)
    body = total(apply("mul", read(left, i, inner), read(right, inner, j)), inner)
    return out, Definition(out, (i, j), body)


def softmax(rows: int, columns: int, dtype: DType = f32) -> Program:
    x = tensor("X", rows, columns, dtype=dtype)
    m, e, p = (
        tensor("m", rows, dtype=dtype),
        tensor("E", rows, columns, dtype=dtype),
        tensor("P", rows, columns, dtype=dtype),
    )
    i, j, k = iterator("i", rows), iterator("j", columns), iterator("k", columns)
    return program(
        [x],
        [p],
        Definition(m, (i,), Reduce("max", (j,), read(x, i, j))),
        Definition(e, (i, j), apply("exp", apply("sub", read(x, i, j), read(m, i)))),
        Definition(p, (i, j), apply("div", read(e, i, j), total(read(e, i, k), k))),
    )
