"""Marks: numbers that are equal for programs that say the same, whatever iterators and locals are called.

They are what `tcomp.ir.tensor.canonical` would hash, as numbers instead of text: no canonical program is made.
Names are replaced by places: inputs by their position, axes by theirs, definitions by what they say. The
iterators of a reduction are ordered by how the body uses each; of what remains alike all orders are tried.
Marks hold in one process only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcomp.ir.integer import FloorDiv, Int, Iter, Min, Mod, Value
from tcomp.ir.tensor.canonical_expression import chain, split_classes
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
    fact,
    tensors_read,
)
from tcomp.ops import OPS
from tcomp.passes.scoping import free_iters

_MIRRORED = {"gt": "lt", "ge": "le"}
_TRIES = 720  # orders of indistinguishable iterators of one reduction; more keep the given order
_REMEMBERED = 1 << 14

_known: dict[tuple[object, ...], int] = {}


def mark(program: Program) -> tuple[int, ...]:
    """A number for each result; programs of one source with equal marks say the same.

    What no result needs does not count.
    """
    marks = {t: hash((n, _shape(t))) for n, t in enumerate(program.inputs)}
    for statement in program.body:
        if isinstance(statement, Scan):
            members = statement.definitions
            marks |= {
                d.tensor: hash(("member", n, _shape(d.tensor))) for n, d in enumerate(members)
            }
            made = [_definition(d, statement.iter, marks) for d in members]
            marks |= {d.tensor: hash((n, *made)) for n, d in enumerate(members)}
        else:
            marks[statement.tensor] = _definition(statement, None, marks)
    return tuple(marks[t] for t in program.results)


def _shape(tensor: Tensor) -> tuple[object, ...]:
    return (tensor.dtype.name, *((lo.key, hi.key) for lo, hi in tensor.axes))


def _definition(definition: Definition, scanned: Iter | None, marks: Mapping[Tensor, int]) -> int:
    read = frozenset((t.name, marks[t]) for t in tensors_read(definition.body))
    key = definition, scanned, read
    found = _known.get(key)
    if found is None:
        if len(_known) >= _REMEMBERED:
            _known.clear()
        colours = {it: hash(("at", n, it is scanned)) for n, it in enumerate(definition.iters)}
        ranges = tuple((it.lo.key, it.hi.key) for it in definition.iters)
        body = _Marker(marks).expression(definition.body, colours)
        found = _known[key] = hash((_shape(definition.tensor), ranges, body))
    return found


class _Marker:
    """Marks expressions over marked tensors; remembers them by the colours of their free iterators."""

    def __init__(self, tensors: Mapping[Tensor, int]) -> None:
        self.tensors = tensors
        self.known: dict[tuple[object, ...], int] = {}

    def expression(self, expr: Expr, colours: Mapping[Iter, int]) -> int:
        """The mark of an expression whose free iterators have colours."""
        done: dict[Expr, int] = {}
        for node in _order(expr):
            key = node, *[colours[it] for it in free_iters(node)]
            found = self.known.get(key)
            if found is None:
                found = self.known[key] = self._node(node, done, colours)
            done[node] = found
        return done[expr]

    def _node(self, node: Expr, done: Mapping[Expr, int], colours: Mapping[Iter, int]) -> int:
        match node:
            case Const(value, dtype):
                return hash((repr(value), dtype.name))
            case IndexValue(index, dtype):
                return hash(("index", dtype.name, self._index(index, done, colours)))
            case Read(tensor, index, otherwise):
                guard = None if otherwise is None else done[otherwise]
                places = [self._index(i, done, colours) for i in index]
                return hash(("read", self.tensors[tensor], guard, *places))
            case Apply(op, _, dtype):
                parts = [done[a] for a in _operands(node)]
                if op in _MIRRORED:
                    op, parts = _MIRRORED[op], parts[::-1]
                elif OPS[op].commutative:
                    parts.sort()
                return hash((op, dtype.name, *parts))
            case Reduce():
                return self._reduce(node, colours)
        raise TypeError(type(node))

    def _index(self, index: Int, done: Mapping[Expr, int], colours: Mapping[Iter, int]) -> int:
        """Terms have no order; -1 and -2 have one hash in Python."""
        terms = []
        for monomial, factor in index.terms:
            atoms = [self._atom(a, done, colours) for a in monomial]
            if len(atoms) > 1:
                atoms.sort()
            terms.append(hash((factor < 0, abs(factor), *atoms)))
        terms.sort()
        return hash((index.constant < 0, abs(index.constant), *terms))

    def _atom(self, atom: object, done: Mapping[Expr, int], colours: Mapping[Iter, int]) -> int:
        match atom:
            case Iter():
                return colours[atom]
            case Value(expr):
                return done[expr]
            case FloorDiv() | Mod() | Min():
                sides = [self._index(i, done, colours) for i in (atom.left, atom.right)]
                if isinstance(atom, Min):
                    sides.sort()
                return hash((type(atom).__name__, *sides))
        return hash(("size", atom.key))  # type: ignore[attr-defined]

    # -- reductions ------------------------------------------------------------------------------------

    def _reduce(self, node: Reduce, colours: Mapping[Iter, int]) -> int:
        """The least of the marks that the distinguishable orders of the iterators give."""
        depth = _depth(node)
        best: int | None = None
        pending = [self._refined(node, [list(node.iters)], colours)]
        tries = 0
        while pending and (best is None or tries < _TRIES):
            classes = pending.pop()
            tied = next((n for n, each in enumerate(classes) if len(each) > 1), None)
            if tied is None:
                tries += 1
                own = {it: hash(("sum", depth, n)) for n, (it,) in enumerate(classes)}
                ranges = [(it.lo.key, it.hi.key) for it in own]
                body = self.expression(node.body, {**colours, **own})
                found = hash((node.op, *ranges, body))
                best = found if best is None else min(best, found)
                continue
            for chosen in reversed(classes[tied]):
                others = [it for it in classes[tied] if it is not chosen]
                split = [*classes[:tied], [chosen], others, *classes[tied + 1 :]]
                pending.append(self._refined(node, split, colours))
        assert best is not None
        return best

    def _refined(
        self, node: Reduce, classes: list[list[Iter]], colours: Mapping[Iter, int]
    ) -> list[list[Iter]]:
        """Splits classes of iterators by range and by how the body uses each, until nothing splits."""
        classes = split_classes(classes, lambda it: hash((it.lo.key, it.hi.key)))
        while any(len(each) > 1 for each in classes):
            alike = {it: hash(("class", n)) for n, each in enumerate(classes) for it in each}
            around = {**colours, **alike}
            uses = {
                it: self.expression(node.body, {**around, it: _MARKED})
                for each in classes
                if len(each) > 1
                for it in each
            }
            finer = split_classes(classes, uses.__getitem__)
            if len(finer) == len(classes):
                return classes
            classes = finer
        return classes


_MARKED = hash("marked")


def _order(expr: Expr) -> tuple[Expr, ...]:
    """What is marked on the way to an expression, operands first: nothing inside reductions, nor the inner
    nodes of chains."""
    facts = expr._facts  # type: ignore[attr-defined]
    if "marked" not in facts:
        order: dict[Expr, None] = {}
        stack: list[tuple[Expr, bool]] = [(expr, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order[node] = None
            elif node not in order:
                stack.append((node, True))
                stack.extend([(each, False) for each in reversed(_operands(node))])
        facts["marked"] = tuple(order)[:-1]  # no node refers to itself
    return (*facts["marked"], expr)


def _operands(node: Expr) -> Sequence[Expr]:
    """The operands of a node; of a chain of one associative operation those of the chain."""
    if isinstance(node, Reduce):
        return ()
    if isinstance(node, Apply) and OPS[node.op].associative:
        return chain(node)
    return node.children()


def _depth(node: Expr) -> int:
    """How deep reductions nest: it gives their iterators colours that are distinct on any path."""
    depth: int = fact(node, "depth", _depth_above)
    return depth


def _depth_above(node: Expr) -> int:
    return max(map(_depth, node.children()), default=0) + isinstance(node, Reduce)
