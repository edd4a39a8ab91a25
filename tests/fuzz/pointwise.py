"""The meaning of programs once more, one point at a time: slow, direct, and sharing no array code."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from tcomp.ir.dtypes import i64
from tcomp.ir.integer import FloorDiv, Int, Iter, Min, Mod
from tcomp.ir.tensor.conversions import convert, representation
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Scan,
    Tensor,
)
from tcomp.ops import OPS

Point = dict[Iter, int]
Elements = dict[tuple[int, ...], Any]


def evaluate(
    program: Program, inputs: Mapping[str, np.ndarray[Any, Any]]
) -> list[np.ndarray[Any, Any]]:
    """The results of a bound program, floats in float64."""
    tensors: dict[Tensor, Elements] = {}
    for tensor in program.inputs:
        array = np.asarray(inputs[tensor.name]).astype(representation(tensor.dtype))
        tensors[tensor] = {index: array[index] for index in np.ndindex(array.shape)}
    with np.errstate(all="ignore"):
        for statement in program.body:
            if not isinstance(statement, Scan):
                _define(statement, tensors, {})
                continue
            for at in range(int(statement.iter.lo), int(statement.iter.hi)):
                for definition in statement.definitions:
                    _define(definition, tensors, {statement.iter: at})
    return [_array(t, tensors.get(t, {})) for t in program.results]


def _array(tensor: Tensor, elements: Elements) -> np.ndarray[Any, Any]:
    made = np.zeros([int(n) for n in tensor.shape], representation(tensor.dtype))
    for index, value in elements.items():
        made[index] = value
    return made


def _define(definition: Definition, tensors: dict[Tensor, Elements], fixed: Point) -> None:
    elements = tensors.setdefault(definition.tensor, {})
    ranges = [[fixed[i]] if i in fixed else range(int(i.lo), int(i.hi)) for i in definition.iters]
    for point in product(*ranges):
        here = dict(zip(definition.iters, point, strict=True))
        elements[point] = _value(definition.body, here, tensors)


def _value(expr: Expr, here: Point, tensors: dict[Tensor, Elements]) -> Any:
    match expr:
        case Const(value, dtype):
            return representation(dtype).type(value)
        case IndexValue(index, dtype):
            return _convert(np.int64(_index(index, here, tensors)), expr, dtype)
        case Read(tensor, index, otherwise):
            position = tuple(_index(i, here, tensors) for i in index)
            if all(int(a) <= p < int(b) for p, (a, b) in zip(position, tensor.axes, strict=True)):
                return tensors[tensor][position]
            if otherwise is None:
                raise IndexError(tensor.name)
            return _value(otherwise, here, tensors)
        case Apply("cast", (operand,), dtype):
            return _convert(_value(operand, here, tensors), operand, dtype)
        case Apply(op, args, _):
            return np.asarray(OPS[op].numpy(*(_value(a, here, tensors) for a in args)))[()]
        case Reduce(op, iters, body):
            points = list(product(*(range(int(i.lo), int(i.hi)) for i in iters)))
            values = [
                _value(body, {**here, **dict(zip(iters, p, strict=True))}, tensors) for p in points
            ]
            return _reduced(op, values, points, representation(body.dtype))
    raise TypeError(type(expr))


def _convert(value: Any, source: Expr, dtype: Any) -> Any:
    kind = i64 if isinstance(source, IndexValue) else source.dtype
    return convert(np.asarray(value), kind, dtype)[()]


def _reduced(op: str, values: list[Any], points: list[tuple[int, ...]], kind: Any) -> Any:
    starts = {"sum": 0, "prod": 1, "any": False, "all": True}
    joins = {
        "sum": "add",
        "prod": "mul",
        "any": "or",
        "all": "and",
        "max": "maximum",
        "min": "minimum",
    }
    if op in ("argmax", "argmin"):
        best = 0
        for n, value in enumerate(values):
            if value != value or (value > values[best] if op == "argmax" else value < values[best]):
                best = n
            if value != value:
                break
        return np.int64(points[best][0])
    total = kind.type(starts[op]) if op in starts else values[0]
    for value in values:
        total = OPS[joins[op]].numpy(total, value)
    return total


def _index(index: Int, here: Point, tensors: dict[Tensor, Elements]) -> int:
    total = index.constant
    for monomial, factor in index.terms:
        for atom in monomial:
            factor *= _atom(atom, here, tensors)
        total += factor
    return total


def _atom(atom: Any, here: Point, tensors: dict[Tensor, Elements]) -> int:
    match atom:
        case Iter():
            return here[atom]
        case FloorDiv(left, right):
            return _index(left, here, tensors) // _index(right, here, tensors)
        case Mod(left, right):
            return _index(left, here, tensors) % _index(right, here, tensors)
        case Min(left, right):
            return min(_index(left, here, tensors), _index(right, here, tensors))
    return int(_value(atom.expr, here, tensors))
