"""The nodes of a loop program: structured control flow over flat buffers, scalars and vectors.

Extents are concrete here. Addresses are polynomials of the integer algebra over loop variables, in
elements of the buffer, so that code generation can split them by loop level. Vectors are explicit
(`lanes`); operations are those of `tcomp.ops`, lane by lane. Everything a contraction kernel needs
(register tiles, packing, masked tails) is written with these nodes: code generation knows no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from tcomp.ir.dtypes import DType, boolean, f32
from tcomp.ir.integer import Int, Interval, Substitution, Value
from tcomp.ir.interning import Interned, reduce_interned
from tcomp.ir.keys import bounded


class Space(Enum):
    """Where a buffer lives."""

    ARGUMENT = "argument"  # the caller's memory: inputs and results
    WORKSPACE = "workspace"  # one for the whole call, shared by all threads
    PRIVATE = "private"  # one for each thread that runs the enclosing parallel loop


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Buffer(metaclass=Interned):
    """A flat, dense array of `extent` elements of storage type `dtype` (never a 4-bit type: those are
    bytes by now). Workspace and private buffers are 64-byte aligned; arguments only to their element."""

    name: str
    dtype: DType
    extent: int
    space: Space

    __reduce__ = reduce_interned


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoopVar(metaclass=Interned):
    """A loop's counter, an atom of the integer algebra. `lo`/`last` bound the values it takes."""

    name: str
    lo: int
    last: int

    __reduce__ = reduce_interned

    @property
    def key(self) -> str:
        return self.name

    def bounds(self) -> Interval:
        return (self.lo, self.last)


# -- expressions ---------------------------------------------------------------------------------------


class Expr(metaclass=Interned):
    """A value of `lanes` elements of compute type (or bool) `dtype`; `lanes == 1` is a scalar."""

    __slots__ = ()
    dtype: DType
    lanes: int

    def children(self) -> tuple[Expr, ...]:
        """Direct sub-expressions, those inside addresses included."""
        return ()

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return self

    @property
    def key(self) -> str:
        """Orders atoms of addresses; equal for equal expressions."""
        if (known := _keys.get(self)) is None:
            for node in postorder(self):
                _keys[node] = bounded(_text(node))
            known = _keys[self]
        return known

    def sub(self, mapping: Substitution) -> Expr:
        """Replaces loop variables."""
        return substitute(self, mapping)

    def free_atoms(self) -> frozenset[Any]:
        """Loop variables that the value's addresses and indices mention."""
        return free_atoms(self)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Const(Expr):
    """The same literal in every lane."""

    value: float | int | bool
    dtype: DType
    lanes: int = 1

    __reduce__ = reduce_interned


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class IntValue(Expr):
    """base + stride * lane, as a number of type `dtype` (converted from i64)."""

    base: Int
    dtype: DType
    lanes: int = 1
    stride: int = 0

    __reduce__ = reduce_interned

    def children(self) -> tuple[Expr, ...]:
        return _address_children(self.base)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return IntValue(_address_rebuild(self.base, children), self.dtype, self.lanes, self.stride)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Local(Expr):
    """A named value of the function: `Declare`d once, then `Assign`ed any number of times."""

    name: str
    dtype: DType
    lanes: int = 1

    __reduce__ = reduce_interned


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Op(Expr):
    """An operation of `tcomp.ops`, lane by lane; all operands have `lanes` lanes."""

    op: str
    args: tuple[Expr, ...]
    dtype: DType

    __reduce__ = reduce_interned

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.args[0].lanes

    def children(self) -> tuple[Expr, ...]:
        return self.args

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Op(self.op, children, self.dtype)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Load(Expr):
    """Elements index, index + stride, ... of a buffer, in the buffer's storage type.

    Where `mask` (bool, `lanes` lanes) is false memory is not touched and the lane is zero.
    The caller casts narrow types to their compute type with `cast`.

    With a `word` each lane is a number of that type, made of the consecutive narrower elements that start
    at its place, the first one in its low bits; `stride` still counts elements.
    """

    buffer: Buffer
    index: Int
    lanes: int = 1
    stride: int = 1
    mask: Expr | None = None
    word: DType | None = None

    __reduce__ = reduce_interned

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return self.word or self.buffer.dtype

    @property
    def group(self) -> int:
        """Elements in each lane."""
        return 1 if self.word is None else self.word.bits // self.buffer.dtype.bits

    def children(self) -> tuple[Expr, ...]:
        return _address_children(self.index) + _optional(self.mask)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        index, mask = _split_optional(self.mask, children)
        address = _address_rebuild(self.index, index)
        return Load(self.buffer, address, self.lanes, self.stride, mask, self.word)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Gather(Expr):
    """Elements base + index[lane] of a buffer; `index` is an i64 or i32 vector. Masked as `Load`."""

    buffer: Buffer
    base: Int
    index: Expr
    mask: Expr | None = None

    __reduce__ = reduce_interned

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return self.buffer.dtype

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.index.lanes

    def children(self) -> tuple[Expr, ...]:
        return (*_address_children(self.base), self.index, *_optional(self.mask))

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        rest, mask = _split_optional(self.mask, children)
        return Gather(self.buffer, _address_rebuild(self.base, rest[:-1]), rest[-1], mask)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Broadcast(Expr):
    """A scalar in every lane."""

    value: Expr
    lanes: int

    __reduce__ = reduce_interned

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return self.value.dtype

    def children(self) -> tuple[Expr, ...]:
        return (self.value,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Broadcast(children[0], self.lanes)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Horizontal(Expr):
    """The lanes of a vector reduced to a scalar, pairwise in a fixed order, by a binary operation."""

    op: str
    value: Expr

    __reduce__ = reduce_interned
    lanes = 1

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return self.value.dtype

    def children(self) -> tuple[Expr, ...]:
        return (self.value,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Horizontal(self.op, children[0])


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Shuffle(Expr):
    """Lanes picked from the concatenation of two vectors of equal length, as LLVM's shufflevector."""

    left: Expr
    right: Expr
    picks: tuple[int, ...]

    __reduce__ = reduce_interned

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return self.left.dtype

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return len(self.picks)

    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Shuffle(children[0], children[1], self.picks)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Lookup(Expr):
    """values[index[lane] & 15], in f32; `index` is a vector of i32, `values` has sixteen entries."""

    values: tuple[float, ...]
    index: Expr

    __reduce__ = reduce_interned

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return f32

    @property
    def lanes(self) -> int:  # type: ignore[override]
        return self.index.lanes

    def children(self) -> tuple[Expr, ...]:
        return (self.index,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Lookup(self.values, children[0])


# -- statements ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declare:
    """Brings a local into being, in the enclosing block and the blocks inside it."""

    local: Local
    value: Expr


@dataclass(frozen=True, slots=True)
class Assign:
    """Gives a declared local another value."""

    local: Local
    value: Expr


@dataclass(frozen=True, slots=True)
class Store:
    """buffer[index + stride * lane] = value[lane], where `mask` holds; value has the storage type."""

    buffer: Buffer
    index: Int
    value: Expr
    stride: int = 1
    mask: Expr | None = None


@dataclass(frozen=True, slots=True)
class If:
    """Runs a block where a scalar bool holds."""

    condition: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    """body for var = lo, lo + step, ... below hi.

    A parallel loop has independent iterations, shared out over threads in chunks of at least `grain`;
    it may stand anywhere but inside another parallel loop, and assigns no local declared outside it.
    """

    var: LoopVar
    lo: Int
    hi: Int
    body: tuple[Stmt, ...]
    step: int = 1
    parallel: bool = False
    grain: int = 1


@dataclass(frozen=True, slots=True)
class Check:
    """Where `ok` is false in any lane: the call ends with status `fault` (> 0; the lowest reported wins
    no race: any). Execution goes on to the end, so addresses after a check must be clamped."""

    ok: Expr
    fault: int


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Asks for the cache line of buffer[index] in the cache of `level` (1 or 2), to be written where
    `write`. It has no effect on values and cannot fail, wherever the address lies."""

    buffer: Buffer
    index: Int
    level: int
    write: bool = False


Stmt: TypeAlias = Declare | Assign | Store | If | For | Check | Prefetch


@dataclass(frozen=True, slots=True)
class Function:
    """One kernel. `buffers` are all that it touches; it returns a status, 0 for success."""

    name: str
    buffers: tuple[Buffer, ...]
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A kernel that runs the code of another one on other buffers, one for each of its own."""

    name: str
    of: Function
    buffers: tuple[Buffer, ...]

    @property
    def body(self) -> tuple[Stmt, ...]:
        """The code as a kernel of its own would have it."""
        from tcomp.ir.loop.rewriting import moved

        return moved(self.of.body, dict(zip(self.of.buffers, self.buffers, strict=True)))


Kernel: TypeAlias = Function | Repeat


@dataclass(frozen=True, slots=True)
class Module:
    """Kernels called in order by one entry point.

    `arguments` are the call's buffers in the order of the entry's buffer table: inputs, then results.
    """

    name: str
    arguments: tuple[Buffer, ...]
    kernels: tuple[Kernel, ...]
    faults: tuple[str, ...] = field(default=())  # fault n is faults[n - 1]: what to tell the user


# -- traversal -----------------------------------------------------------------------------------------


def postorder(*roots: Expr, known: Container[Expr] = ()) -> list[Expr]:
    """Every distinct sub-expression of the roots, children first; iterative. What is `known` is left out."""
    order: dict[Expr, None] = {}
    stack: list[tuple[Expr, tuple[Expr, ...] | None]] = [(root, None) for root in reversed(roots)]
    while stack:
        node, children = stack.pop()
        if node in order or node in known:
            continue
        if children is None and (children := node.children()):
            stack.append((node, children))
            stack.extend([(child, None) for child in reversed(children) if child not in order])
        else:
            order[node] = None
    return list(order)


def rewrite(
    expr: Expr, rule: Callable[[Expr], Expr | None], done: dict[Expr, Expr] | None = None
) -> Expr:
    """Applies `rule` bottom-up; None keeps a node. `done` remembers results for more expressions."""
    done = {} if done is None else done
    for node in postorder(expr, known=done):
        children = node.children()
        fresh = tuple([done[c] for c in children])
        rebuilt = node if fresh == children else node.rebuild(fresh)
        done[node] = rule(rebuilt) or rebuilt
    return done[expr]


def substitute(expr: Expr, mapping: Substitution, done: dict[Expr, Expr] | None = None) -> Expr:
    """Replaces loop variables in every address and index value. `done` is as in `rewrite`."""

    def replace(node: Expr) -> Expr | None:
        match node:
            case IntValue(base, dtype, lanes, stride):
                return IntValue(base.sub(mapping), dtype, lanes, stride)
            case Load(buffer, index, lanes, stride, mask, word):
                return Load(buffer, index.sub(mapping), lanes, stride, mask, word)
            case Gather(buffer, base, index, mask):
                return Gather(buffer, base.sub(mapping), index, mask)
        return None

    return rewrite(expr, replace, done) if mapping else expr


def free_atoms(expr: Expr) -> frozenset[Any]:
    """Loop variables that occur in the expression."""
    found: set[Any] = set()
    for node in postorder(expr):
        match node:
            case IntValue(base, _, _, _) | Gather(_, base, _, _):
                found |= base.leaves()
            case Load(_, index, _, _, _):
                found |= index.leaves()
    return frozenset(a for a in found if not isinstance(a, Value))


def truth(value: bool, lanes: int = 1) -> Const:
    """A bool constant."""
    return Const(value, boolean, lanes)


def _text(node: Expr) -> str:
    """A node over the keys of its children."""
    names = type(node).__match_args__  # type: ignore[attr-defined]
    return f"{type(node).__name__}({','.join(_part(getattr(node, n)) for n in names)})"


def _part(value: Any) -> str:
    if isinstance(value, Expr):
        return value.key
    if isinstance(value, tuple):
        return f"({','.join(map(_part, value))})"
    return repr(value)


_keys: WeakKeyDictionary[Expr, str] = WeakKeyDictionary()


def _optional(expr: Expr | None) -> tuple[Expr, ...]:
    return () if expr is None else (expr,)


def _split_optional(
    old: Expr | None, children: tuple[Expr, ...]
) -> tuple[tuple[Expr, ...], Expr | None]:
    return (children, None) if old is None else (children[:-1], children[-1])


def _address_children(index: Int) -> tuple[Expr, ...]:
    known: tuple[Expr, ...] | None = index._facts.get("children")
    if known is None:
        values = [a for a in index.leaves() if isinstance(a, Value)]
        if len(values) > 1:
            values.sort(key=lambda a: a.key)
        known = index._facts["children"] = tuple(a.expr for a in values)
    return known


def _address_rebuild(index: Int, fresh: tuple[Expr, ...]) -> Int:
    old = _address_children(index)
    return index.sub(
        {Value(o): Int.of(Value(n)) for o, n in zip(old, fresh, strict=True) if o is not n}
    )
