"""The nodes of a tensor program.

A definition is `out[x] = f(reads, reductions)`; every read is total: inside its tensor the element,
outside the value after `else`. Types are explicit: operands of an operation already have its compute
type, conversions are `cast` operations (`tcomp.ops`), and only reads have narrow types. Iterators and
sizes are atoms of the integer algebra (`tcomp.ir.integer`); a body that uses one as a number holds an
`IndexValue`. Nodes are interned: equality is identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tcomp.diagnostics import Span
from tcomp.ir.dtypes import DType, boolean, i64
from tcomp.ir.integer import Int, Iter, Size, Substitution, Value
from tcomp.ir.interning import Interned, reduce_interned
from tcomp.ir.keys import bounded

Axis: TypeAlias = tuple[Int, Int]  # half-open range of positions; inputs and results start at 0


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Tensor(metaclass=Interned):
    """A named array: its element type and the range of positions along each axis."""

    name: str
    dtype: DType
    axes: tuple[Axis, ...]

    __reduce__ = reduce_interned

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def shape(self) -> tuple[Int, ...]:
        return tuple(hi - lo for lo, hi in self.axes)


class Expr(metaclass=Interned):
    """A scalar expression: `Const`, `IndexValue`, `Read`, `Apply` or `Reduce`."""

    __slots__ = ()
    dtype: DType

    def children(self) -> tuple[Expr, ...]:
        """Direct sub-expressions, those inside indices included."""
        raise NotImplementedError(type(self))

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        """The same node over other sub-expressions, given in the order of `children()`."""
        raise NotImplementedError(type(self))

    @property
    def key(self) -> str:
        """Text equal for equal expressions; used only to order terms. See `canonical` for hashes."""
        key: str = fact(self, "key", lambda node: bounded(_key(node)))
        return key

    def free_atoms(self) -> frozenset[Any]:
        """Iterators and sizes that the value depends on, bound ones excluded."""
        free: frozenset[Any] | None = self._facts.get("free")  # type: ignore[attr-defined]
        if free is None:
            free = fact(self, "free", _free_atoms)
        return free

    def sub(self, mapping: Substitution) -> Expr:
        """Replaces iterators and sizes everywhere, in the ranges of reductions too."""
        return substitute(self, mapping)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Const(Expr):
    """A literal. `value` is a Python float, int or bool that its type can hold."""

    value: float | int | bool
    dtype: DType
    _facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    __match_args__ = ("value", "dtype")
    __reduce__ = reduce_interned

    def children(self) -> tuple[Expr, ...]:
        return ()

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return self


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class IndexValue(Expr):
    """An integer polynomial of iterators and sizes as a number of type `dtype`."""

    index: Int
    dtype: DType
    _facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    __match_args__ = ("index", "dtype")
    __reduce__ = reduce_interned

    def children(self) -> tuple[Expr, ...]:
        if "children" not in self._facts:
            self._facts["children"] = _index_children((self.index,))
        return self._facts["children"]  # type: ignore[no-any-return]

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        (index,) = _replace_index_children((self.index,), children)
        return IndexValue(index, self.dtype)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Read(Expr):
    """One element of a tensor. Outside the tensor it is `otherwise`; without that it must stay inside.

    A data-dependent index (one that holds a `Value`) of an unguarded read is checked at run time.
    """

    tensor: Tensor
    index: tuple[Int, ...]
    otherwise: Expr | None = None
    _facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    __match_args__ = ("tensor", "index", "otherwise")
    __reduce__ = reduce_interned

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return self.tensor.dtype

    def children(self) -> tuple[Expr, ...]:
        if "children" not in self._facts:
            guard = () if self.otherwise is None else (self.otherwise,)
            self._facts["children"] = (*_index_children(self.index), *guard)
        return self._facts["children"]  # type: ignore[no-any-return]

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        otherwise = None
        if self.otherwise is not None:
            *rest, otherwise = children
            children = tuple(rest)
        return Read(self.tensor, _replace_index_children(self.index, children), otherwise)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Apply(Expr):
    """A scalar operation of `tcomp.ops` on operands that already have the types it asks for."""

    op: str
    args: tuple[Expr, ...]
    dtype: DType
    _facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    __match_args__ = ("op", "args", "dtype")
    __reduce__ = reduce_interned

    def children(self) -> tuple[Expr, ...]:
        return self.args

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Apply(self.op, children, self.dtype)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Reduce(Expr):
    """A reduction (`sum prod max min any all argmax argmin`) of `body` over iterators.

    The type is the body's, but i64 for `argmax` and `argmin`, which take one iterator and give its value.
    """

    op: str
    iters: tuple[Iter, ...]
    body: Expr
    _facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    __match_args__ = ("op", "iters", "body")
    __reduce__ = reduce_interned

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return i64 if self.op in ("argmax", "argmin") else self.body.dtype

    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Reduce(self.op, self.iters, children[0])


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Definition(metaclass=Interned):
    """`tensor[iters] = body` for every point of the iterators' ranges; body has the tensor's type."""

    tensor: Tensor
    iters: tuple[Iter, ...]
    body: Expr

    __reduce__ = reduce_interned


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Scan(metaclass=Interned):
    """Definitions made jointly for ascending positions of `iter`, which is an iterator of each of them.

    Reads of these tensors at earlier positions of `iter` are guarded; at the same position they follow
    textual order. `iter` may stand at any axis of a definition.
    """

    iter: Iter
    definitions: tuple[Definition, ...]

    __reduce__ = reduce_interned


Statement: TypeAlias = Definition | Scan


@dataclass(frozen=True, slots=True)
class Constraint:
    """A fact that must hold once sizes are bound: `left == right`, or `left >= right` if `relation` is '>='."""

    left: Int
    relation: str
    right: Int
    message: str
    code: str
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole tensor program of concrete element types; extents may still hold size symbols.

    `inputs` are in signature order. `results` are tensors that `body` defines (or inputs handed through).
    `spans` tells where an expression stands in the user's text; it is no part of the program's meaning.
    """

    name: str
    sizes: tuple[Size, ...]
    inputs: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    body: tuple[Statement, ...]
    constraints: tuple[Constraint, ...] = ()
    spans: Mapping[Expr, Span] = field(default_factory=dict, compare=False, repr=False)

    def definitions(self) -> Iterator[Definition]:
        """Every definition in textual order, those of scans included."""
        for statement in self.body:
            if isinstance(statement, Scan):
                yield from statement.definitions
            else:
                yield statement


# -- traversal -----------------------------------------------------------------------------------------


def postorder(expr: Expr) -> list[Expr]:
    """Every distinct sub-expression, children before parents; iterative, so depth is no limit."""
    facts: dict[str, Any] = expr._facts  # type: ignore[attr-defined]
    if "below" not in facts:
        facts["below"] = tuple(_postorder(expr)[:-1])  # without itself: no node refers to itself
    return [*facts["below"], expr]


def count(expr: Expr) -> int:
    """The number of distinct sub-expressions."""
    facts: dict[str, Any] = expr._facts  # type: ignore[attr-defined]
    return len(facts["below"]) + 1 if "below" in facts else len(postorder(expr))


def tensors_read(expr: Expr) -> frozenset[Tensor]:
    """The tensors of all reads in an expression, those inside indices included."""
    read: frozenset[Tensor] | None = expr._facts.get("tensors")  # type: ignore[attr-defined]
    if read is None:
        read = fact(expr, "tensors", _tensors)
    return read


def depends_on_data(expr: Expr) -> bool:
    """Whether an unguarded read has an index that data decide: it may raise, so it must stay as it is."""
    depends: bool = fact(expr, "depends", _reads_by_data)
    return depends


def _reads_by_data(node: Expr) -> bool:
    if not isinstance(node, Read) or node.otherwise is not None:
        return any(map(depends_on_data, node.children()))
    return any(isinstance(a, Value) for i in node.index for a in i.leaves())


def _postorder(expr: Expr) -> list[Expr]:
    order: dict[Expr, None] = {}
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, done = stack.pop()
        if node in order:
            continue
        below = node._facts.get("below")  # type: ignore[attr-defined]
        if below is not None:
            order.update(dict.fromkeys(below))
        if done or below is not None or not node.children():
            order[node] = None
        else:
            stack.append((node, True))
            stack.extend([(child, False) for child in reversed(node.children())])
    return list(order)


def rewrite(expr: Expr, rule: Callable[[Expr], Expr | None]) -> Expr:
    """Applies `rule` bottom-up; None keeps a node. Children are rewritten before their parents."""
    done: dict[Expr, Expr] = {}
    for node in postorder(expr):
        children = node.children()
        fresh = tuple([done[c] for c in children])
        rebuilt = node if fresh == children else node.rebuild(fresh)
        result = rule(rebuilt)
        done[node] = rebuilt if result is None else result
    return done[expr]


def substitute(expr: Expr, mapping: Substitution, done: dict[Expr, Expr] | None = None) -> Expr:
    """Replaces iterators and sizes in indices, values, tensor axes and the ranges of reductions.

    `done` remembers what each sub-expression became, for callers that substitute the same mapping in
    several expressions.
    """
    if done is None:
        if not mapping:
            return expr
        done = {}
    # Sizes also stand in the axes of tensors, which are no part of what is free; iterators do not.
    untouched = mapping.keys().isdisjoint if all(map(_is_iter, mapping)) else None
    if untouched is not None and untouched(expr.free_atoms()):
        return expr
    for node in postorder(expr):
        if node in done:
            continue
        if untouched is not None and untouched(node.free_atoms()):
            done[node] = node
            continue
        match node:
            case IndexValue(index, dtype):
                result: Expr = IndexValue(_sub_index(index, mapping, done), dtype)
            case Read(tensor, index, otherwise):
                result = Read(
                    tensor if untouched is not None else substitute_tensor(tensor, mapping),
                    tuple([_sub_index(i, mapping, done) for i in index]),
                    None if otherwise is None else done[otherwise],
                )
            case Reduce(op, iters, body):
                # Int.sub moves the ranges of iterators, so that the body already has the new ones.
                result = Reduce(op, tuple(substitute_iter(i, mapping) for i in iters), done[body])
            case _:
                result = node.rebuild(tuple(done[c] for c in node.children()))
        done[node] = result
    return done[expr]


def _is_iter(atom: object) -> bool:
    return isinstance(atom, Iter)


def substitute_tensor(tensor: Tensor, mapping: Substitution) -> Tensor:
    """The tensor with size symbols in its axes replaced."""
    axes = tuple((lo.sub(mapping), hi.sub(mapping)) for lo, hi in tensor.axes)
    return Tensor(tensor.name, tensor.dtype, axes)


def substitute_iter(it: Iter, mapping: Substitution) -> Iter:
    """The iterator with size symbols in its range replaced."""
    if it.lo.is_constant and it.hi.is_constant:
        return it
    return Iter(it.name, it.lo.sub(mapping), it.hi.sub(mapping))


def truth(value: bool) -> Const:
    """A bool constant."""
    return Const(value, boolean)


def _sub_index(index: Int, mapping: Substitution, done: Mapping[Expr, Expr]) -> Int:
    if not _index_children((index,)):
        return index.sub(mapping)
    values = {a: Int.of(Value(done[a.expr])) for a in index.leaves() if isinstance(a, Value)}
    return index.sub({**values, **mapping})


def _index_children(indices: tuple[Int, ...]) -> tuple[Expr, ...]:
    found: dict[Expr, None] = {}
    for index in indices:
        values = index._facts.get("values")
        if values is None:
            atoms = sorted((a for a in index.leaves() if isinstance(a, Value)), key=lambda a: a.key)
            values = index._facts["values"] = tuple([a.expr for a in atoms])
        if values:
            found.update(dict.fromkeys(values))
    return tuple(found)


def _replace_index_children(indices: tuple[Int, ...], fresh: tuple[Expr, ...]) -> tuple[Int, ...]:
    old = _index_children(indices)
    mapping = {Value(o): Int.of(Value(n)) for o, n in zip(old, fresh, strict=True) if o is not n}
    return tuple(i.sub(mapping) for i in indices)


def fact(node: Any, name: str, compute: Callable[[Any], Any]) -> Any:
    """What `compute` says of a node, kept in it; it may rely on the same fact of all nodes below."""
    facts = node._facts
    if name not in facts:
        stack = [node]
        while stack:
            each = stack[-1]
            unknown = [c for c in each.children() if name not in c._facts]
            if unknown:
                stack += unknown
            else:
                stack.pop()
                if name not in each._facts:
                    each._facts[name] = compute(each)
    return facts[name]


def _key(node: Expr) -> str:
    match node:
        case Const(value, dtype):
            return f"{value!r}:{dtype}"
        case IndexValue(index, dtype):
            return f"({index.key}):{dtype}"
        case Read(tensor, index, otherwise):
            guard = "" if otherwise is None else f" else {otherwise.key}"
            return f"{tensor.name}[{','.join(i.key for i in index)}]{guard}"
        case Apply(op, args, dtype):
            return f"{op}:{dtype}({','.join(a.key for a in args)})"
        case Reduce(op, iters, body):
            ranges = ",".join(f"{i.name} in {i.lo.key}:{i.hi.key}" for i in iters)
            return f"{op}[{ranges}]({body.key})"
    raise TypeError(type(node))


def _free_atoms(node: Expr) -> frozenset[Any]:
    free: set[Any] = set()
    for child in node.children():
        free |= child.free_atoms()
    match node:
        case IndexValue(index, _):
            free |= _plain_leaves((index,))
        case Read(_, index, _):
            free |= _plain_leaves(index)
        case Reduce(_, iters, _):
            free -= set(iters)
            for it in iters:
                free |= _plain_leaves((it.lo, it.hi))
    return frozenset(free)


def _tensors(node: Expr) -> frozenset[Tensor]:
    own = frozenset((node.tensor,)) if isinstance(node, Read) else _NO_TENSORS
    return own.union(*map(tensors_read, node.children()))


_NO_TENSORS: frozenset[Tensor] = frozenset()


def _plain_leaves(indices: tuple[Int, ...]) -> set[Any]:
    return {a for i in indices for a in i.leaves() if not isinstance(a, Value)}
