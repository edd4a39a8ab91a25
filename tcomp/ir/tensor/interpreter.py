"""The reference interpreter: what a tensor program means.

Every definition is evaluated over its whole iteration grid with NumPy. A value is an array with one axis
for each iterator in scope, of extent 1 where it does not depend on that iterator; so sub-expressions that
a reduction does not touch are computed once. Grids are divided into blocks to bound memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import DType, i64
from tcomp.ir.integer import Atom, Int, Iter, Value
from tcomp.ir.tensor.conversions import bitcast, convert, representation, round_float
from tcomp.ir.tensor.gather import Affine, gather, view
from tcomp.ir.tensor.index_arrays import evaluate
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
    count,
    postorder,
)
from tcomp.ir.tensor.reduce_arrays import combine, reduce_block
from tcomp.ops import OPS, REDUCTIONS

Array: TypeAlias = Any  # np.ndarray
Ranges: TypeAlias = dict[Iter, tuple[int, int]]  # half-open

_BLOCK_ELEMENTS = 1 << 24  # live elements of all intermediate arrays of a block, about


def interpret(program: Program, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """The results of a bound program, in order.

    `inputs` holds an array of logical shape for each input by name, any real dtype that converts to the
    input's type (4-bit types unpacked). Floats are computed in float64, and only the results of
    conversions to f16, bf16 and f8 are rounded; float results are float64 arrays. Integers are exact
    and wrap; index arithmetic wraps as i64.

    Raises IndexError, naming tensor and axis (from 0), where a data-dependent unguarded index is outside.
    """
    with np.errstate(all="ignore"):
        return Interpreter(program, inputs).run()


@dataclass(slots=True, eq=False)
class Scope:
    """The iterators of a definition or a reduction, with the block of each that is being computed."""

    parent: Scope | None
    ranges: Ranges
    axis: dict[Iter, int] = field(init=False)
    values: dict[Expr, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.axis = {} if self.parent is None else dict(self.parent.axis)
        for it in self.ranges:
            self.axis[it] = len(self.axis)

    @property
    def rank(self) -> int:
        return len(self.axis)

    def home(self, expr: Expr) -> Scope:
        """The outermost scope that has every iterator of `expr`."""
        scope, free = self, expr.free_atoms()
        while scope.parent is not None and free.isdisjoint(scope.ranges):
            scope = scope.parent
        return scope

    def get(self, expr: Expr) -> Array:
        """A computed value with one axis for each iterator of this scope."""
        value = self.home(expr).values[expr]
        return value.reshape(value.shape + (1,) * (self.rank - value.ndim))

    def span(self, it: Iter) -> tuple[int, int]:
        """The current block of an iterator."""
        scope: Scope | None = self
        while scope is not None:
            if it in scope.ranges:
                return scope.ranges[it]
            scope = scope.parent
        raise InternalError(f"iterator '{it.name}' is not in scope", code="TC099")


class Interpreter:
    """Evaluates one program. Another arithmetic (`passes.verification`) overrides the methods under `arithmetic`."""

    def __init__(self, program: Program, inputs: Mapping[str, Array]) -> None:
        self.program = program
        self.arrays = {t: self.input_array(t, inputs) for t in program.inputs}
        self.orders: dict[Expr, list[Expr]] = {}

    def run(self) -> tuple[Array, ...]:
        for statement in self.program.body:
            if isinstance(statement, Scan):
                self.scan(statement)
            else:
                self.allocate(statement.tensor)
                self.define(statement, {})
        return tuple(self.arrays[t] for t in self.program.results)

    def allocate(self, tensor: Tensor) -> None:
        shape = [int(n) for n in tensor.shape]
        self.arrays[tensor] = np.zeros(shape, self.representation(tensor.dtype))

    def scan(self, scan: Scan) -> None:
        for definition in scan.definitions:
            self.allocate(definition.tensor)
        for at in range(int(scan.iter.lo), int(scan.iter.hi)):
            for definition in scan.definitions:
                self.define(definition, {scan.iter: (at, at + 1)})

    def define(self, definition: Definition, fixed: Ranges) -> None:
        ranges = {i: fixed.get(i, (int(i.lo), int(i.hi))) for i in definition.iters}
        outermost = Scope(None, {})
        out = self.arrays[definition.tensor]
        for block in self.blocks((definition.body,), ranges, {}):
            value = self.value(definition.body, Scope(outermost, block))
            region = tuple(slice(a - int(it.lo), b - int(it.lo)) for it, (a, b) in block.items())
            out[region] = value

    # -- blocks ------------------------------------------------------------------------------------

    def blocks(self, parts: tuple[Expr, ...], ranges: Ranges, outer: Ranges) -> Iterator[Ranges]:
        """Divides `ranges`, leading iterators first, until the arrays behind `parts` are small."""
        if any(a >= b for a, b in ranges.values()):
            return
        whole = {**outer, **ranges}
        if (
            _most(parts, whole) <= _BLOCK_ELEMENTS
            or self.footprint(parts, whole) <= _BLOCK_ELEMENTS
        ):
            yield dict(ranges)
            return
        chunks: list[list[tuple[int, int]]] = []
        current = dict(ranges)
        for it, (low, high) in ranges.items():
            excess = self.footprint(parts, {**outer, **current}) / _BLOCK_ELEMENTS
            step = max(1, min(high - low, math.floor((high - low) / max(excess, 1.0))))
            current[it] = (low, low + step)
            chunks.append([(a, min(a + step, high)) for a in range(low, high, step)])
        for chosen in product(*chunks):
            yield dict(zip(ranges, chosen, strict=True))

    def footprint(self, parts: tuple[Expr, ...], ranges: Ranges) -> int:
        """Elements of all intermediate arrays, each over only the iterators that it depends on."""
        total = 0
        for node in (node for part in parts for node in self.order(part)):
            free = node.free_atoms()
            total += math.prod(b - a for i, (a, b) in ranges.items() if i in free)
            if isinstance(node, Reduce):
                inner = {i: (int(i.lo), int(i.hi)) for i in node.iters}
                total += self.footprint(_parts(node), {**ranges, **inner})
        return total

    # -- values ------------------------------------------------------------------------------------

    def value(self, expr: Expr, scope: Scope) -> Array:
        for node in self.order(expr):
            home = scope.home(node)
            if node not in home.values:
                home.values[node] = self.compute(node, home)
        return scope.get(expr)

    def order(self, expr: Expr) -> list[Expr]:
        """Children before parents, without what is inside reductions: that has scopes of its own."""
        if expr not in self.orders:
            order: list[Expr] = []
            seen: set[Expr] = set()
            stack: list[tuple[Expr, bool]] = [(expr, False)]
            while stack:
                node, done = stack.pop()
                if done:
                    order.append(node)
                elif node not in seen:
                    seen.add(node)
                    stack.append((node, True))
                    if not isinstance(node, Reduce):
                        stack.extend((child, False) for child in reversed(node.children()))
            self.orders[expr] = order
        return self.orders[expr]

    def compute(self, node: Expr, scope: Scope) -> Array:
        match node:
            case Const(value, dtype):
                return self.constant(value, dtype, scope.rank)
            case IndexValue(index, dtype):
                return self.convert(self.index(index, scope), i64, dtype)
            case Read():
                return self.read(node, scope)
            case Reduce():
                return self.reduce(node, scope)
            case Apply("cast", (operand,), dtype):
                return self.convert(scope.get(operand), operand.dtype, dtype)
            case Apply("bitcast", (operand,), dtype):
                return bitcast(scope.get(operand), operand.dtype, dtype)
            case Apply(_, operands, _):
                return self.apply(node, [scope.get(a) for a in operands])
        raise InternalError(f"cannot interpret {type(node).__name__}", code="TC099")

    def index(self, index: Int, scope: Scope) -> Array:
        """An index as an int64 array over the scope's grid."""

        def leaf(atom: Atom) -> Array:
            if isinstance(atom, Iter):
                return _along(scope.axis[atom], scope.rank, *scope.span(atom))
            if isinstance(atom, Value):
                return scope.get(atom.expr).astype(np.int64)
            raise InternalError(f"'{atom.key}' is not bound", code="TC099")

        made = np.asarray(evaluate(index, leaf), np.int64)
        return made.reshape((1,) * (scope.rank - made.ndim) + made.shape)

    # -- reads -------------------------------------------------------------------------------------

    def read(self, node: Read, scope: Scope) -> Array:
        array = self.arrays[node.tensor]
        seen = self.view(array, node, scope)
        if seen is not None:
            return seen
        positions = [
            self.index(index, scope) - int(lo)
            for index, (lo, _) in zip(node.index, node.tensor.axes, strict=True)
        ]
        outside = [
            (p < 0) | (p >= n) if p.size and (p.min() < 0 or p.max() >= n) else None
            for p, n in zip(positions, array.shape, strict=True)
        ]
        if all(o is None for o in outside):
            return gather(array, positions, scope.rank)
        if node.otherwise is None:
            _raise_fault(node, positions, outside)
        fallback = scope.get(node.otherwise)  # type: ignore[arg-type]
        mask = np.zeros((1,) * scope.rank, bool)
        for each in outside:
            if each is not None:
                mask = mask | each
        if not array.size:
            return np.broadcast_to(fallback, np.broadcast_shapes(mask.shape, fallback.shape))
        clamped = [np.clip(p, 0, n - 1) for p, n in zip(positions, array.shape, strict=True)]
        return np.where(mask, fallback, gather(array, clamped, scope.rank))

    def view(self, array: Array, node: Read, scope: Scope) -> Any:
        """A read whose positions are sums of multiples of iterators, as a view; None for others."""
        places: list[Affine] = []
        for index, (lo, _) in zip(node.index, node.tensor.axes, strict=True):
            terms = []
            for monomial, factor in index.terms:
                axis = scope.axis.get(monomial[0]) if len(monomial) == 1 else None  # type: ignore[call-overload]
                if axis is None:
                    return None
                terms.append((axis, factor))
            places.append((index.constant - int(lo), terms))
        fill = None
        if node.otherwise is not None:
            fallback = scope.get(node.otherwise)
            if fallback.size == 1 and fallback.dtype == array.dtype:
                fill = fallback.reshape(-1)[0]
        return view(array, places, [scope.span(it) for it in scope.axis], fill)

    # -- reductions --------------------------------------------------------------------------------

    def reduce(self, node: Reduce, scope: Scope) -> Array:
        ranges = {i: (int(i.lo), int(i.hi)) for i in node.iters}
        outer = {i: scope.span(i) for i in scope.axis}
        parts = _parts(node)
        total: Array = None
        for block in self.blocks(parts, ranges, outer):
            inner = Scope(scope, block)
            values = [self.value(part, inner) for part in parts]
            extents = tuple(b - a for a, b in block.values())
            partial = self.reduce_block(node, values, extents)
            if node.op in ("argmax", "argmin"):
                partial = (partial[0], partial[1] + block[node.iters[0]][0])
            total = partial if total is None else self.combine(node, total, partial)
        if node.op in ("argmax", "argmin") and total is not None:
            return total[1]
        return self.empty(node, scope) if total is None else total

    def empty(self, node: Reduce, scope: Scope) -> Array:
        row = REDUCTIONS[node.op]
        if not row.has_identity:
            raise InternalError(f"'{node.op}' over an empty range", code="TC099")
        return self.constant(row.identity(node.dtype), node.dtype, scope.rank)

    # -- arithmetic --------------------------------------------------------------------------------

    def input_array(self, tensor: Tensor, inputs: Mapping[str, Array]) -> Array:
        given = np.asarray(inputs[tensor.name])
        shape = tuple(int(n) for n in tensor.shape)
        if given.shape != shape:
            raise ValueError(f"'{tensor.name}' has the shape {given.shape}, not {shape}")
        return given.astype(self.representation(tensor.dtype), order="C")

    def representation(self, dtype: DType) -> np.dtype[Any]:
        return representation(dtype)

    def constant(self, value: float | int | bool, dtype: DType, rank: int) -> Array:
        made = np.full((1,) * rank, value, representation(dtype))
        return round_float(made, dtype) if dtype.is_float else made

    def convert(self, values: Array, source: DType, target: DType) -> Array:
        return convert(values, source, target)

    def apply(self, node: Apply, operands: list[Array]) -> Array:
        return np.asarray(OPS[node.op].numpy(*operands))

    def reduce_block(self, node: Reduce, parts: list[Array], extents: tuple[int, ...]) -> Any:
        return reduce_block(node.op, parts, extents)

    def combine(self, node: Reduce, earlier: Array, later: Array) -> Array:
        return combine(node.op, earlier, later)


def _most(parts: tuple[Expr, ...], ranges: Ranges) -> int:
    """More than the elements of all intermediate arrays, found quickly."""
    points = math.prod(b - a for a, b in ranges.values())
    for node in (n for part in parts for n in postorder(part) if isinstance(n, Reduce)):
        points *= math.prod(max(1, int(it.hi) - int(it.lo)) for it in node.iters)
    return points * sum(map(count, parts))


def _along(axis: int, rank: int, low: int, high: int) -> Array:
    shape = [1] * rank
    shape[axis] = high - low
    return np.arange(low, high, dtype=np.int64).reshape(shape)


def _raise_fault(node: Read, positions: list[Array], outside: list[Array | None]) -> None:
    for axis, (position, mask) in enumerate(zip(positions, outside, strict=True)):
        if mask is not None:
            low, high = (int(e) for e in node.tensor.axes[axis])
            found = int(position[mask].flat[0]) + low
            raise IndexError(
                f"index {found} is outside axis {axis} of '{node.tensor.name}', "
                f"whose positions are {low}:{high}"
            )


def _parts(node: Reduce) -> tuple[Expr, ...]:
    """What is computed over a reduction's grid: its body, or the two factors of a sum of products."""
    if node.op == "sum" and isinstance(node.body, Apply) and node.body.op == "mul":
        return node.body.args
    return (node.body,)
