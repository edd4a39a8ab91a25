"""Scalar loop code for `var`, turned into vector code for var, var + 1, ..., var + lanes - 1.

What does not vary with `var` stays scalar and is broadcast where a vector needs it. An address with
stride 1 becomes a vector load, stride -1 a load and a reversal, another constant stride a strided load,
and any other address a gather. Loops inside keep their bounds: only their bodies turn to vectors, so one
mechanism vectorises inner loops, outer loops and whole groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import DType, boolean, i32, i64
from tcomp.ir.integer import FloorDiv, Int, Min, Mod, Value
from tcomp.ir.loop.nodes import (
    Assign,
    Broadcast,
    Check,
    Const,
    Declare,
    Expr,
    For,
    Gather,
    Horizontal,
    If,
    IntValue,
    Load,
    Local,
    LoopVar,
    Op,
    Shuffle,
    Stmt,
    Store,
    postorder,
)
from tcomp.schedule.conditions import conjunction
from tcomp.schedule.words import word_of

_INTEGER_OPS = {FloorDiv: "floordiv", Mod: "mod", Min: "minimum"}


def vectorize(expr: Expr, var: LoopVar, lanes: int, mask: Expr | None = None) -> Expr:
    """The scalar expression `expr` for `lanes` consecutive values of `var`, as a vector.

    `mask` (bool, `lanes` lanes) tells which lanes matter: loads leave the others' memory alone.
    """
    vectorizer = Vectorizer(var, lanes, mask)
    return vectorizer.spread(vectorizer.expr(expr))


def vectorize_block(
    block: Sequence[Stmt],
    var: LoopVar,
    lanes: int,
    mask: Expr | None = None,
    wide: frozenset[Local] = frozenset(),
) -> tuple[Stmt, ...]:
    """A block of scalar statements for `lanes` consecutive values of `var`.

    Locals that vary become vectors of the same name; so do those of `wide`, which the surroundings
    declare as vectors. Raises InternalError where control flow or the
    place of a store varies in a way that vectors cannot follow; `can_vectorize` tells beforehand.
    """
    return Vectorizer(var, lanes, mask, varying_locals(block, var, wide)).block(block)


def can_vectorize(block: Sequence[Stmt], var: LoopVar) -> bool:
    """Whether `vectorize_block` can handle the block."""
    varying = varying_locals(block, var)

    def fine(stmt: Stmt) -> bool:
        match stmt:
            case Store(_, index, _, _, _):
                return bool(index.coefficient(var)) and not _varies(index, var, varying)
            case For(_, lo, hi, body, _, _, _):
                fixed = not _mentions(lo, var, varying) and not _mentions(hi, var, varying)
                return fixed and all(map(fine, body))
            case If(condition, then, otherwise):
                fixed = not depends(condition, var, varying)
                return fixed and all(map(fine, (*then, *otherwise)))
        return True

    return all(map(fine, block))


def varying_locals(
    block: Iterable[Stmt], var: LoopVar, known: frozenset[Local] = frozenset()
) -> frozenset[Local]:
    """`known`, and locals of the block whose value depends on `var` or on other varying locals."""
    values = list(_assignments(block))
    varying = set(known)
    while True:
        found = {
            local
            for local, value in values
            if local not in varying and depends(value, var, varying)
        }
        if not found:
            return frozenset(varying)
        varying |= found


def depends(expr: Expr, var: LoopVar, varying: Iterable[Local] = ()) -> bool:
    """Whether a value depends on `var` or on one of the varying locals."""
    known = varying if isinstance(varying, set | frozenset) else frozenset(varying)
    return any(node in known for node in postorder(expr)) or var in expr.free_atoms()


def _assignments(block: Iterable[Stmt]) -> Iterable[tuple[Local, Expr]]:
    for stmt in block:
        match stmt:
            case Declare(local, value) | Assign(local, value):
                yield local, value
            case For(_, _, _, body, _, _, _):
                yield from _assignments(body)
            case If(_, then, otherwise):
                yield from _assignments((*then, *otherwise))


def _mentions(index: Int, var: LoopVar, varying: Iterable[Local]) -> bool:
    return var in index.leaves() or _varies(index, var, varying)


def _varies(index: Int, var: LoopVar, varying: Iterable[Local]) -> bool:
    """Whether a value inside an index depends on `var`."""
    return any(
        isinstance(atom, Value) and depends(atom.expr, var, varying) for atom in index.leaves()
    )


class Vectorizer:
    """Turns scalar code into vector code; keeps what it has translated."""

    def __init__(
        self,
        var: LoopVar,
        lanes: int,
        mask: Expr | None = None,
        varying: frozenset[Local] = frozenset(),
    ) -> None:
        self.var, self.lanes, self.mask, self.varying = var, lanes, mask, varying
        self._done: dict[Expr, Expr] = {}

    # -- expressions -------------------------------------------------------------------------------

    def expr(self, expr: Expr) -> Expr:
        """The value: a vector where it varies, else the scalar it was."""
        for node in postorder(expr, known=self._done):
            if node not in self._done:  # a value inside an address may have been met there
                self._done[node] = self._node(node)
        return self._done[expr]

    def spread(self, value: Expr) -> Expr:
        """A vector: a scalar is broadcast."""
        if value.lanes == self.lanes and self.lanes > 1:
            return value
        match value:
            case Const(number, dtype):
                return Const(number, dtype, self.lanes)
            case IntValue(base, dtype):
                return IntValue(base, dtype, self.lanes, 0)
        return Broadcast(value, self.lanes) if self.lanes > 1 else value

    def _node(self, node: Expr) -> Expr:
        match node:
            case Const():
                return node
            case Local(name, dtype):
                return Local(name, dtype, self.lanes) if node in self.varying else node
            case IntValue(base, dtype):
                return self._int_value(base, dtype)
            case Op(op, args, dtype):
                values = [self._done[a] for a in args]
                if all(v is a for v, a in zip(values, args, strict=True)):
                    return node
                return Op(op, tuple(map(self.spread, values)), dtype)
            case Load(_, index, _, _, mask, _):
                return self._load(node, index, None if mask is None else self._done[mask])
            case Horizontal() | Broadcast() | Shuffle() if not self._any_changed(node.children()):
                return node
        raise InternalError(f"cannot vectorise {type(node).__name__}", code="TC099")

    def _any_changed(self, nodes: Iterable[Expr]) -> bool:
        return any(self._done[node] is not node for node in nodes)

    def _int_value(self, base: Int, dtype: DType) -> Expr:
        if not self._changes(base):
            return IntValue(base, dtype)
        step = None if self._values_change(base) else base.coefficient(self.var)
        if step is not None:
            return IntValue(base, dtype, self.lanes, step)
        wide = self.integers(base)
        return wide if wide.dtype is dtype else Op("cast", (wide,), dtype)

    def _load(self, load: Load, index: Int, mask: Expr | None) -> Expr:
        buffer = load.buffer
        moves = self._changes(index)
        if not moves and (mask is None or mask.lanes == 1):
            return load
        mask = self._masked(None if mask is None else self.spread(mask))
        step = None if self._values_change(index) else index.coefficient(self.var)
        if step is None:
            fixed, offset = self._split(index)
            if load.word is not None:
                return self._gathered_words(load, fixed, offset, mask)
            return Gather(buffer, fixed, offset, mask)
        if step == -1 and mask is None and load.word is None:
            ahead = Load(buffer, index - (self.lanes - 1), self.lanes)
            return Shuffle(ahead, ahead, tuple(reversed(range(self.lanes))))
        return Load(buffer, index, self.lanes, step, mask, load.word)

    def _gathered_words(self, load: Load, fixed: Int, offset: Expr, mask: Expr | None) -> Expr:
        """Words at uneven places, element by element."""
        assert load.word is not None
        parts = [Gather(load.buffer, fixed + k, offset, mask) for k in range(load.group)]
        return word_of(parts, load.word)

    def _masked(self, mask: Expr | None) -> Expr | None:
        return conjunction(mask, self.mask)

    def integers(self, index: Int) -> Expr:
        """An integer polynomial as a vector, i32 where no part of it can leave that, else i64."""
        narrow = _fits_i32(index)
        return self._polynomial(index, i32 if narrow else i64)

    def _split(self, index: Int) -> tuple[Int, Expr]:
        """index = uniform part + varying vector."""
        fixed, moving = Int.of(index.constant), Int.of(0)
        for monomial, factor in index.terms:
            term = Int(((monomial, factor),), 0)
            if self._changes(term):
                moving = moving + term
            else:
                fixed = fixed + term
        return fixed, self.integers(moving)

    def _polynomial(self, index: Int, dtype: DType) -> Expr:
        linear, total = Int.of(index.constant), None
        for monomial, factor in index.terms:
            term = Int(((monomial, factor),), 0)
            if not self._values_change(term) and term.coefficient(self.var) is not None:
                linear = linear + term
                continue
            product: Expr | None = None
            for atom in monomial:
                value = self._atom(atom, dtype)
                product = value if product is None else Op("mul", (product, value), dtype)
            assert product is not None
            if factor != 1:
                product = Op("mul", (product, Const(factor, dtype, self.lanes)), dtype)
            total = product if total is None else Op("add", (total, product), dtype)
        if total is None or linear is not Int.of(0):
            step = linear.coefficient(self.var) or 0
            affine = IntValue(linear, dtype, self.lanes, step)
            total = affine if total is None else Op("add", (total, affine), dtype)
        return total

    def _atom(self, atom: object, dtype: DType) -> Expr:
        if isinstance(atom, Value):
            value = self.expr(atom.expr)
            value = value if value.dtype is dtype else Op("cast", (value,), dtype)
            return self.spread(value)
        if isinstance(atom, FloorDiv | Mod | Min):
            sides = (self._polynomial(atom.left, dtype), self._polynomial(atom.right, dtype))
            return Op(_INTEGER_OPS[type(atom)], sides, dtype)
        step = 1 if atom is self.var else 0
        return IntValue(Int.of(atom), dtype, self.lanes, step)  # type: ignore[arg-type]

    def _changes(self, index: Int) -> bool:
        return self.var in index.leaves() or self._values_change(index)

    def _values_change(self, index: Int) -> bool:
        return any(
            isinstance(atom, Value) and self.expr(atom.expr) is not atom.expr
            for atom in index.leaves()
        )

    # -- statements --------------------------------------------------------------------------------

    def block(self, block: Sequence[Stmt]) -> tuple[Stmt, ...]:
        """Vector statements for scalar ones."""
        return tuple(self._stmt(stmt) for stmt in block)

    def _stmt(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Declare(local, value):
                return Declare(*self._assignment(local, value))
            case Assign(local, value):
                return Assign(*self._assignment(local, value))
            case Store(buffer, index, value, _, mask):
                step = None if self._values_change(index) else index.coefficient(self.var)
                if not step:
                    raise InternalError(f"a vector store to {buffer.name}[{index}]", code="TC099")
                inner = None if mask is None else self.spread(self.expr(mask))
                wide = self.spread(self.expr(value))
                return Store(buffer, index, wide, step, self._masked(inner))
            case For(var, lo, hi, body, step, parallel, grain):
                return For(var, lo, hi, self.block(body), step, parallel, grain)
            case If(condition, then, otherwise):
                if self.expr(condition) is not condition:
                    raise InternalError("a branch that varies inside a vector", code="TC099")
                return If(condition, self.block(then), self.block(otherwise))
            case Check(ok, fault):
                wide = self.expr(ok)
                if self.mask is not None:
                    idle = Op("not", (self.mask,), boolean)
                    wide = Op("or", (self.spread(wide), idle), boolean)
                return Check(wide, fault)
        raise InternalError(f"cannot vectorise {type(stmt).__name__}", code="TC099")

    def _assignment(self, local: Local, value: Expr) -> tuple[Local, Expr]:
        fresh = self.expr(value)
        if local not in self.varying:
            return local, fresh
        return Local(local.name, local.dtype, self.lanes), self.spread(fresh)


def _fits_i32(index: Int) -> bool:
    """Whether the index and every part of it stays in i32, so that i32 vectors compute it exactly."""
    parts = [index]
    parts += [Int(((monomial, factor),), 0) for monomial, factor in index.terms]
    for atom in index.leaves() | index.atoms():
        parts.append(Int.of(atom))
        if isinstance(atom, FloorDiv | Mod | Min) and not (
            _fits_i32(atom.left) and _fits_i32(atom.right)
        ):
            return False
    return all(
        low is not None and high is not None and low > -(1 << 31) and high < 1 << 31
        for low, high in (part.bounds() for part in parts)
    )
