"""Random inputs: normal floats, small integers, and valid positions where a program uses them as such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.nibbles import pack_nibbles, unpack_nibbles
from tcomp.ir.tensor.nodes import Apply, Expr, IndexValue, Program, Read, Tensor, postorder

if TYPE_CHECKING:
    from tcomp.ir.dtypes import DType

Array: TypeAlias = np.ndarray[Any, Any]
Bounds: TypeAlias = tuple[int, int]  # inclusive


def draw_inputs(
    program: Program, seed: int, positive: frozenset[str], given: Mapping[str, Array]
) -> dict[str, Array]:
    """An array for every input of a bound program, in signature order.

    Each input has a random stream of its own, so giving one array does not change the others.
    """
    ranges = position_ranges(program)
    arrays = {}
    for number, tensor in enumerate(program.inputs):
        if tensor.name in given:
            arrays[tensor.name] = given[tensor.name]
            continue
        rng = np.random.default_rng([seed, number])
        arrays[tensor.name] = _draw(rng, tensor, ranges.get(tensor.name), tensor.name in positive)
    return arrays


def _draw(rng: np.random.Generator, tensor: Tensor, bounds: Bounds | None, positive: bool) -> Array:
    shape = tuple(int(e) for e in tensor.shape)
    dtype = tensor.dtype
    if dtype.is_float:
        values = rng.standard_normal(shape)
        return (np.abs(values) + 0.5 if positive else values).astype(dtype.numpy)
    if dtype.is_bool:
        return rng.integers(0, 2, shape).astype(np.bool_)
    low, high = bounds if bounds is not None else _small(dtype)
    least, most = _all(dtype)
    low, high = max(low, 1 if positive else least), min(high, most)
    chosen = rng.integers(low, max(low, high), shape, endpoint=True)
    if dtype.is_packed:
        return pack_nibbles(chosen)
    return chosen.astype(dtype.numpy)


def _small(dtype: DType) -> Bounds:
    """All values of a narrow type, a handful of a wide one."""
    if dtype.bits <= 8:
        return _all(dtype)
    return (-10, 10) if dtype.is_signed else (0, 20)


def _all(dtype: DType) -> Bounds:
    if dtype.is_signed:
        return -(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1
    return 0, (1 << dtype.bits) - 1


def position_ranges(program: Program) -> dict[str, Bounds]:
    """For each integer input that is used as an index, or compared with an iterator: where it may lie."""
    ranges: dict[str, Bounds] = {}
    for definition in program.definitions():
        for node in postorder(definition.body):
            for name, (low, high) in _uses(node):
                old_low, old_high = ranges.get(name, (low, high))
                ranges[name] = (max(low, old_low), min(high, old_high))
    return {name: bounds for name, bounds in ranges.items() if bounds[0] <= bounds[1]}


def _uses(node: Expr) -> Iterator[tuple[str, Bounds]]:
    if isinstance(node, Read):
        for index, (lo, hi) in zip(node.index, node.tensor.axes, strict=True):
            yield from _index_use(index, int(lo), int(hi) - 1)
    elif isinstance(node, Apply) and node.op == "eq":
        for one, other in (node.args, node.args[::-1]):
            source, selector = _plain_read(one), _without_casts(other)
            if source is not None and isinstance(selector, IndexValue):
                low, high = selector.index.bounds()
                if low is not None and high is not None and _has_iterator(selector.index):
                    yield source, (low, high)


def _index_use(index: Int, low: int, high: int) -> Iterator[tuple[str, Bounds]]:
    """Solves low <= factor * value + rest <= high for the single value in an index."""
    values = [a for a in index.leaves() if isinstance(a, Value)]
    if len(values) != 1 or (factor := index.coefficient(values[0])) in (None, 0):
        return
    source = _plain_read(values[0].expr)
    rest_low, rest_high = (index - Int.of(values[0]) * factor).bounds()
    if source is None or rest_low is None or rest_high is None:
        return
    if factor < 0:
        factor, low, high, rest_low, rest_high = -factor, -high, -low, -rest_high, -rest_low
    yield source, (-((rest_low - low) // factor), (high - rest_high) // factor)


def _plain_read(expr: Expr) -> str | None:
    """The name of the tensor whose elements an expression gives as they are."""
    expr = _without_casts(expr)
    return expr.tensor.name if isinstance(expr, Read) else None


def _without_casts(expr: Expr) -> Expr:
    while isinstance(expr, Apply) and expr.op == "cast" and expr.dtype.is_integer:
        expr = expr.args[0]
    return expr


def _has_iterator(index: Int) -> bool:
    return any(isinstance(a, Iter) for a in index.leaves())


def logical(program: Program, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays by name with packed 4-bit inputs unpacked to their logical shape."""
    return _unpacked(program.inputs, arrays)


def logical_results(program: Program, results: tuple[Array, ...]) -> list[Array]:
    """Results with packed 4-bit ones unpacked to their logical shape."""
    named = {t.name: r for t, r in zip(program.results, results, strict=True)}
    return list(_unpacked(program.results, named).values())


def _unpacked(tensors: tuple[Tensor, ...], arrays: Mapping[str, Array]) -> dict[str, Array]:
    found = dict(arrays)
    for tensor in tensors:
        array = arrays[tensor.name]
        if tensor.dtype.is_packed and tensor.rank and array.dtype == np.uint8:
            extent = int(tensor.shape[-1])
            found[tensor.name] = unpack_nibbles(array, extent, tensor.dtype.is_signed)
    return found
