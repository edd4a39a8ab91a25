"""4-bit types become bytes, so that nothing behind this pass knows of them.

Inputs and results of type i4 and u4 are passed packed, two to a byte along the last axis, low nibble
first (product.md section 1); in between a 4-bit value takes a byte of its own.

    x: i4[N]   x[i]              x: u8[(N+1)//2]   ((x[i//2] >> 4*(i%2) & 15) ^ 8) - 8
"""

from __future__ import annotations

from tcomp.ir.dtypes import DType, i4, i8, i32, u4, u8
from tcomp.ir.integer import ZERO, Int, Iter
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
    Statement,
    Tensor,
    postorder,
    rewrite,
)
from tcomp.passes.inline import condition_inside, guarded
from tcomp.passes.scoping import fresh_name, names_of

_BYTE: dict[DType, DType] = {i4: i8, u4: u8}


def bytes_for_nibbles(program: Program) -> Program:
    """The program over byte tensors; unchanged where it has no 4-bit type."""
    dtypes = {t.dtype for t in program.inputs} | {d.tensor.dtype for d in program.definitions()}
    casts = any(_mentions_nibbles(d.body) for d in program.definitions())
    if not casts and not dtypes & _BYTE.keys():
        return program
    return _Rewriter(program).program()


def packed(tensor: Tensor) -> Tensor:
    """The byte tensor in which a 4-bit input or result is passed."""
    *outer, (_, last) = tensor.axes
    return Tensor(tensor.name, u8, (*outer, (ZERO, (last + 1) // 2)))


def _mentions_nibbles(body: Expr) -> bool:
    return any(node.dtype in _BYTE for node in postorder(body))


class _Rewriter:
    def __init__(self, old: Program) -> None:
        self.old = old
        self.taken = names_of(old)
        self.unpacked: dict[Tensor, Tensor] = {}
        for definition in old.definitions():
            tensor = definition.tensor
            if tensor.dtype in _BYTE:
                is_result = tensor in old.results
                name = fresh_name(f"{tensor.name}_bytes", self.taken) if is_result else tensor.name
                self.unpacked[tensor] = Tensor(name, _BYTE[tensor.dtype], tensor.axes)

    def program(self) -> Program:
        old = self.old
        body: list[Statement] = []
        for statement in old.body:
            if isinstance(statement, Scan):
                members = tuple(self.definition(d) for d in statement.definitions)
                body.append(Scan(statement.iter, members))
            else:
                body.append(self.definition(statement))
        body.extend(self.packing(t) for t in dict.fromkeys(old.results) if t in self.unpacked)
        inputs = tuple(self.boundary(t) for t in old.inputs)
        results = tuple(self.boundary(t) for t in old.results)
        return Program(old.name, old.sizes, inputs, results, tuple(body), spans=old.spans)

    def boundary(self, tensor: Tensor) -> Tensor:
        """How an input or result is passed; a scalar of 4 bits takes a byte."""
        if tensor.dtype not in _BYTE:
            return tensor
        return packed(tensor) if tensor.rank else Tensor(tensor.name, u8, ())

    def definition(self, definition: Definition) -> Definition:
        tensor = self.unpacked.get(definition.tensor, definition.tensor)
        return Definition(tensor, definition.iters, rewrite(definition.body, self.rule))

    def rule(self, node: Expr) -> Expr | None:
        match node:
            case Read(tensor, index, otherwise) if tensor in self.unpacked:
                return Read(self.unpacked[tensor], index, otherwise)
            case Read(tensor, index, otherwise) if tensor.dtype in _BYTE:
                return self.nibble(node)
            case Const(value, dtype) if dtype in _BYTE:
                return Const(value, _BYTE[dtype])
            case IndexValue(index, dtype) if dtype in _BYTE:
                return _wrap(IndexValue(index, i32), dtype)
            case Apply("cast", (inner,), dtype) if dtype in _BYTE:
                return _narrowed(inner, dtype)
            case Apply(op, args, dtype) if dtype in _BYTE:
                return Apply(op, args, _BYTE[dtype])
            case Reduce(op, iters, body) if body.dtype in _BYTE:
                return Reduce(op, iters, body)
        return None

    def nibble(self, read: Read) -> Expr:
        """One element of a packed input, as a byte."""
        dtype = read.tensor.dtype
        home = self.boundary(read.tensor)
        if not read.tensor.rank:
            return _wrap(Apply("cast", (Read(home, ()),), i32), dtype)
        *outer, last = read.index
        byte: Expr = Read(home, (*outer, last // 2))
        if read.otherwise is not None:
            byte = guarded(byte)
        shift = IndexValue(last % 2 * 4, i32)
        shifted = Apply("shift_right", (Apply("cast", (byte,), i32), shift), i32)
        value = _wrap(shifted, dtype)
        if read.otherwise is None:
            return value
        return Apply("where", (condition_inside(read), value, read.otherwise), _BYTE[dtype])

    def packing(self, tensor: Tensor) -> Definition:
        """The definition of a packed result from its byte tensor."""
        source, home = self.unpacked[tensor], self.boundary(tensor)
        if not tensor.rank:
            low = Apply("bit_and", (Apply("cast", (Read(source, ()),), i32), Const(15, i32)), i32)
            return Definition(home, (), Apply("cast", (low,), u8))
        iters = tuple(
            Iter(fresh_name(f"p{axis}", self.taken), lo, hi)
            for axis, (lo, hi) in enumerate(home.axes)
        )
        outer = tuple(Int.of(it) for it in iters[:-1])
        pair = Int.of(iters[-1]) * 2

        def half(position: Int) -> Expr:
            read = Read(source, (*outer, position), Const(0, source.dtype))
            return Apply("bit_and", (Apply("cast", (read,), i32), Const(15, i32)), i32)

        high = Apply("shift_left", (half(pair + 1), Const(4, i32)), i32)
        byte = Apply("bit_or", (half(pair), high), i32)
        return Definition(home, iters, Apply("cast", (byte,), u8))


def _wrap(value: Expr, dtype: DType) -> Expr:
    """The low four bits of an i32, read as `dtype`, in a byte."""
    low: Expr = Apply("bit_and", (value, Const(15, i32)), i32)
    if dtype is i4:
        low = Apply("sub", (Apply("bit_xor", (low, Const(8, i32)), i32), Const(8, i32)), i32)
    return Apply("cast", (low,), _BYTE[dtype])


def _narrowed(value: Expr, dtype: DType) -> Expr:
    """A conversion to 4 bits: integers wrap, floats truncate and saturate (NaN gives 0)."""
    as_int = value if value.dtype is i32 else Apply("cast", (value,), i32)
    if not value.dtype.is_float:
        return _wrap(as_int, dtype)
    low, high = (-8, 7) if dtype is i4 else (0, 15)
    clipped = Apply("clip", (as_int, Const(low, i32), Const(high, i32)), i32)
    return Apply("cast", (clipped,), _BYTE[dtype])
