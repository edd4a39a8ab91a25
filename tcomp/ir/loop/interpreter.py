"""What a loop module means: it is run on NumPy arrays, vector by vector, every access checked.

Generated code is judged against this. Arithmetic is done in the operand's own type; workspace starts
as garbage, and parallel iterations run in descending order, so that hidden dependences show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import i64
from tcomp.ir.integer import FloorDiv, Int, Min, Mod, Value
from tcomp.ir.loop.conversion import bitcast, convert
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Buffer,
    Check,
    Const,
    Declare,
    Expr,
    For,
    Gather,
    Horizontal,
    If,
    IntValue,
    Kernel,
    Load,
    Local,
    Lookup,
    LoopVar,
    Module,
    Op,
    Shuffle,
    Space,
    Stmt,
    Store,
    postorder,
)
from tcomp.ops import OPS

Array: TypeAlias = Any  # np.ndarray of `lanes` elements
Values: TypeAlias = dict[Expr, Array]
_HALF = 1 << 63


def interpret(module: Module, arguments: Sequence[Array]) -> int:
    """Runs the module in place on its arguments; returns the status, 0 for success.

    `arguments` are C-contiguous arrays in the order of `module.arguments`, inputs then results, with as
    many elements as the buffers. Raises InternalError for an access outside a buffer.
    """
    machine = _Machine()
    for buffer, array in zip(module.arguments, arguments, strict=True):
        machine.memory[buffer] = _argument(buffer, array)
    with np.errstate(all="ignore"):
        for kernel in module.kernels:
            machine.run(kernel)
            if machine.status:
                break
    return machine.status


def evaluate(expr: Expr) -> Array:
    """The lanes of an expression that reads no memory, local or loop variable."""
    with np.errstate(all="ignore"):
        return _Machine().value(expr)


def fold(op: str, lanes: Array) -> Array:
    """`Horizontal`: the upper lanes are folded onto the lower ones until one is left.

    With n lanes and h the largest power of two below n, lanes h .. n-1 join lanes 0 .. n-h-1.
    """
    while len(lanes) > 1:
        half = 1 << (len(lanes) - 1).bit_length() - 1
        rest = len(lanes) - half
        joined = OPS[op].numpy(lanes[:rest], lanes[half:]).astype(lanes.dtype)
        lanes = np.concatenate([joined, lanes[rest:half]])
    return lanes


def _argument(buffer: Buffer, array: Array) -> Array:
    fits = array.flags.c_contiguous and array.size == buffer.extent
    if not fits or array.dtype != buffer.dtype.numpy:
        raise _wrong(f"argument '{buffer.name}' does not fit its buffer")
    return array.reshape(-1)


def _garbage(buffer: Buffer) -> Array:
    """NaN for floats, an implausible pattern for the rest."""
    if buffer.dtype.is_float:
        return np.full(buffer.extent, np.nan, dtype=buffer.dtype.numpy)
    if buffer.dtype.is_bool:
        return np.ones(buffer.extent, dtype=np.bool_)
    return np.full(buffer.extent * buffer.dtype.bytes, 0xA5, dtype=np.uint8).view(
        buffer.dtype.numpy
    )


def _outside(action: str, buffer: Buffer, low: int, high: int) -> InternalError:
    return _wrong(f"{action} '{buffer.name}' at element {low}..{high}, outside 0:{buffer.extent}")


def _wrong(message: str) -> InternalError:
    return InternalError(f"loop interpreter: {message}", code="TC099")


class _Machine:
    """Memory, locals and loop variables of a run."""

    def __init__(self) -> None:
        self.memory: dict[Buffer, Array] = {}
        self.locals: dict[str, Array] = {}
        self.counters: dict[LoopVar, int] = {}
        self.status = 0
        self._privates: tuple[Buffer, ...] = ()
        self._orders: dict[Expr, list[tuple[Expr, Evaluator]]] = {}
        self._constants: dict[Const, Array] = {}

    def run(self, kernel: Kernel) -> None:
        self.locals = {}
        for buffer in kernel.buffers:
            if buffer.space is Space.PRIVATE or buffer not in self.memory:
                self.memory[buffer] = _garbage(buffer)
        self._privates = tuple(b for b in kernel.buffers if b.space is Space.PRIVATE)
        self._block(kernel.body)

    # -- statements --------------------------------------------------------------------------------

    def _block(self, body: tuple[Stmt, ...]) -> None:
        for stmt in body:
            match stmt:
                case Declare(local, value) | Assign(local, value):
                    self.locals[local.name] = self.value(value)
                case Store():
                    self._store(stmt)
                case If(condition, then, otherwise):
                    self._block(then if self.value(condition)[0] else otherwise)
                case For():
                    self._loop(stmt)
                case Check(ok, fault):
                    if not self.value(ok).all():
                        self.status = fault

    def _loop(self, loop: For) -> None:
        points = range(self.integer(loop.lo), self.integer(loop.hi), loop.step)
        for point in reversed(points) if loop.parallel else points:
            if loop.parallel:
                for buffer in self._privates:
                    self.memory[buffer] = _garbage(buffer)
            if not loop.var.lo <= point <= loop.var.last:
                raise _wrong(f"loop variable '{loop.var.name}' = {point} leaves its bounds")
            self.counters[loop.var] = point
            self._block(loop.body)

    def _store(self, stmt: Store) -> None:
        value = self.value(stmt.value)
        first = self.integer(stmt.index)
        if stmt.mask is None and stmt.stride > 0:
            lanes = self._slice(stmt.buffer, first, stmt.stride, len(value), "store to")
            self.memory[stmt.buffer][lanes] = value
            return
        index = first + stmt.stride * np.arange(len(value))
        if stmt.mask is not None:
            mask = self.value(stmt.mask)
            index, value = index[mask], value[mask]
        self._inside(stmt.buffer, index, "store to")
        self.memory[stmt.buffer][index] = value

    # -- expressions -------------------------------------------------------------------------------

    def value(self, root: Expr) -> Array:
        """The lanes of an expression."""
        order = self._orders.get(root)
        if order is None:
            order = [(node, _EVALUATORS[type(node)]) for node in postorder(root)]
            self._orders[root] = order
        values: Values = {}
        for node, evaluator in order:
            values[node] = evaluator(self, node, values)
        return values[root]

    def integer(self, index: Int, values: Values | None = None) -> int:
        """The value of an address, which wraps as 64-bit integers do; `values` holds those of the
        expressions inside it."""
        total = index.constant
        for monomial, factor in index.terms:
            for atom in monomial:
                factor *= self._atom(atom, values)
            total += factor
        return total if -_HALF <= total < _HALF else (total + _HALF) % (2 * _HALF) - _HALF

    def _atom(self, atom: Any, values: Values | None) -> int:
        match atom:
            case LoopVar():
                return self.counters[atom]
            case FloorDiv(left, right):
                return self.integer(left, values) // self.integer(right, values)
            case Mod(left, right):
                return self.integer(left, values) % self.integer(right, values)
            case Min(left, right):
                return min(self.integer(left, values), self.integer(right, values))
            case Value(expr):
                known = self.value(expr) if values is None else values[expr]
                return int(known[0])
        raise _wrong(f"address over {atom!r}")

    def constant(self, node: Const, _: Values) -> Array:
        found = self._constants.get(node)
        if found is None:
            found = self._constants[node] = np.full(node.lanes, node.value, node.dtype.numpy)
            found.flags.writeable = False
        return found

    def int_value(self, node: IntValue, values: Values) -> Array:
        base = self.integer(node.base, values)
        return convert(base + node.stride * np.arange(node.lanes), i64, node.dtype)

    def local(self, node: Local, _: Values) -> Array:
        return self.locals[node.name]

    def operation(self, node: Op, values: Values) -> Array:
        args = [values[a] for a in node.args]
        if node.op == "cast":
            return convert(args[0], node.args[0].dtype, node.dtype)
        if node.op == "bitcast":
            return bitcast(args[0], node.dtype)
        return np.asarray(OPS[node.op].numpy(*args)).astype(node.dtype.numpy, copy=False)

    def load(self, node: Load, values: Values) -> Array:
        first = self.integer(node.index, values)
        if node.mask is None and node.stride > 0 and node.word is None:
            lanes = self._slice(node.buffer, first, node.stride, node.lanes, "load from")
            return self.memory[node.buffer][lanes].copy()
        index = first + node.stride * np.arange(node.lanes)
        if node.word is None:
            return self._read(node.buffer, index, node.mask, values)
        parts = [self._read(node.buffer, index + k, node.mask, values) for k in range(node.group)]
        return np.stack(parts, axis=-1).view(node.word.numpy).reshape(node.lanes)

    def gather(self, node: Gather, values: Values) -> Array:
        index = self.integer(node.base, values) + values[node.index].astype(np.int64)
        return self._read(node.buffer, index, node.mask, values)

    def _read(self, buffer: Buffer, index: Array, mask: Expr | None, values: Values) -> Array:
        if mask is None:
            self._inside(buffer, index, "load from")
            return self.memory[buffer][index]
        result = np.zeros(len(index), dtype=buffer.dtype.numpy)
        wanted = values[mask]
        self._inside(buffer, index[wanted], "load from")
        result[wanted] = self.memory[buffer][index[wanted]]
        return result

    def _slice(self, buffer: Buffer, first: int, stride: int, lanes: int, action: str) -> slice:
        """The elements first, first + stride, ...: what an index array says, without making one."""
        last = first + stride * (lanes - 1)
        if first < 0 or last >= buffer.extent:
            raise _outside(action, buffer, first, last)
        return slice(first, last + 1, stride)

    def _inside(self, buffer: Buffer, index: Array, action: str) -> None:
        if index.size and not (index.min() >= 0 and index.max() < buffer.extent):
            raise _outside(action, buffer, index.min(), index.max())

    def broadcast(self, node: Broadcast, values: Values) -> Array:
        return np.repeat(values[node.value], node.lanes)

    def horizontal(self, node: Horizontal, values: Values) -> Array:
        return fold(node.op, values[node.value])

    def lookup(self, node: Lookup, values: Values) -> Array:
        return np.asarray(node.values, np.float32)[values[node.index] & 15]

    def shuffle(self, node: Shuffle, values: Values) -> Array:
        return np.concatenate([values[node.left], values[node.right]])[list(node.picks)]


Evaluator: TypeAlias = Callable[[_Machine, Any, Values], Array]
_EVALUATORS: dict[type, Evaluator] = {
    Const: _Machine.constant,
    IntValue: _Machine.int_value,
    Local: _Machine.local,
    Op: _Machine.operation,
    Load: _Machine.load,
    Gather: _Machine.gather,
    Broadcast: _Machine.broadcast,
    Horizontal: _Machine.horizontal,
    Lookup: _Machine.lookup,
    Shuffle: _Machine.shuffle,
}
