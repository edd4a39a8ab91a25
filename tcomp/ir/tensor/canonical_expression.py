"""Canonical scalar expressions: operands sorted, chains flattened, reduction iterators placed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, TypeAlias

from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.tensor.nodes import (
    Apply,
    Expr,
    IndexValue,
    Read,
    Reduce,
    Tensor,
    rewrite,
)
from tcomp.ops import OPS

Environment: TypeAlias = Mapping[Iter, Int]  # iterators by their canonical ones

_MIRRORED = {"gt": "lt", "ge": "le"}
_TRIES = 720  # orders of indistinguishable iterators of one reduction; more keep the given order


def renamed_tensors(body: Expr, final: Mapping[Tensor, Tensor]) -> Expr:
    """The expression with other tensors in its reads."""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Read) and node.tensor in final:
            return Read(final[node.tensor], node.index, node.otherwise)
        return None

    return rewrite(body, rule)


class Canonical:
    """Makes canonical expressions over renamed tensors; remembers what it has made."""

    def __init__(self, tensors: Mapping[Tensor, Tensor], associative: bool) -> None:
        self.tensors = tensors
        self.associative = associative
        self.made: dict[tuple[Expr, frozenset[tuple[Iter, Int]]], Expr] = {}
        self.heights: dict[Expr, int] = {}

    def form(self, expr: Expr, environment: Environment) -> Expr:
        """The canonical form of `expr`, whose free iterators become those of `environment`."""
        done: dict[Expr, Expr] = {}
        stack: list[tuple[Expr, bool]] = [(expr, False)]
        while stack:
            node, ready = stack.pop()
            if node in done:
                continue
            parts = self._parts(node)
            if ready or not parts:
                done[node] = self._made(node, [done[p] for p in parts], environment)
            else:
                stack.append((node, True))
                stack.extend((part, False) for part in parts)
        return done[expr]

    def _parts(self, node: Expr) -> tuple[Expr, ...]:
        """The sub-expressions that `node` is made of; reductions make their body themselves."""
        if isinstance(node, Reduce):
            return ()
        if isinstance(node, Apply) and self.associative and OPS[node.op].associative:
            return tuple(chain(node))
        return node.children()

    def _made(self, node: Expr, parts: list[Expr], environment: Environment) -> Expr:
        match node:
            case IndexValue() | Read():
                return self._leaf(node, parts, environment)
            case Apply():
                return self._apply(node, parts)
            case Reduce():
                free = node.free_atoms()
                used = frozenset((i, e) for i, e in environment.items() if i in free)
                if (node, used) not in self.made:
                    self.made[node, used] = self._reduce(node, environment)
                return self.made[node, used]
        return node

    def _leaf(self, node: IndexValue | Read, parts: list[Expr], environment: Environment) -> Expr:
        mapping: dict[Any, Int] = {**environment}
        values = zip(node.children(), parts, strict=True)  # those in indices, then the guard
        mapping.update((Value(old), Int.of(Value(new))) for old, new in values)
        if isinstance(node, IndexValue):
            return IndexValue(node.index.sub(mapping), node.dtype)
        tensor = self.tensors.get(node.tensor, node.tensor)
        guard = None if node.otherwise is None else parts[-1]
        return Read(tensor, tuple(i.sub(mapping) for i in node.index), guard)

    def _apply(self, node: Apply, parts: list[Expr]) -> Expr:
        if node.op in _MIRRORED:
            return Apply(_MIRRORED[node.op], tuple(reversed(parts)), node.dtype)
        if not OPS[node.op].commutative:
            return Apply(node.op, tuple(parts), node.dtype)
        first, *rest = sorted(parts, key=lambda e: e.key)
        for each in rest:
            first = Apply(node.op, (first, each), node.dtype)
        return first

    # -- reductions --------------------------------------------------------------------------------

    def _reduce(self, node: Reduce, environment: Environment) -> Expr:
        """The smallest of the forms that the distinguishable orders of the iterators give."""
        names = [f"r{self._height(node)}_{n}" for n in range(len(node.iters))]
        best: Reduce | None = None
        pending = [self._refined(node, [list(node.iters)], environment)]
        tries = 0
        while pending and (best is None or tries < _TRIES):
            classes = pending.pop()
            tied = next((n for n, each in enumerate(classes) if len(each) > 1), None)
            if tied is None:
                tries += 1
                candidate = self._ordered(node, [c[0] for c in classes], names, environment)
                if best is None or candidate.key < best.key:
                    best = candidate
                continue
            for chosen in reversed(classes[tied]):
                others = [i for i in classes[tied] if i is not chosen]
                split = [*classes[:tied], [chosen], others, *classes[tied + 1 :]]
                pending.append(self._refined(node, split, environment))
        assert best is not None
        return best

    def _ordered(
        self, node: Reduce, order: list[Iter], names: list[str], environment: Environment
    ) -> Reduce:
        iters = tuple(Iter(n, i.lo, i.hi) for n, i in zip(names, order, strict=True))
        places = {old: Int.of(new) for old, new in zip(order, iters, strict=True)}
        return Reduce(node.op, iters, self.form(node.body, {**environment, **places}))

    def _refined(
        self, node: Reduce, classes: list[list[Iter]], environment: Environment
    ) -> list[list[Iter]]:
        """Splits classes of iterators by range and by how the body uses each, until nothing splits."""
        classes = split_classes(classes, lambda i: f"{i.lo.key}:{i.hi.key}")
        while any(len(each) > 1 for each in classes):
            colours = {
                i: Int.of(Iter(f"c{n}", i.lo, i.hi)) for n, each in enumerate(classes) for i in each
            }

            def use(marked: Iter, colours: Environment = colours) -> str:
                mark = Int.of(Iter("*", marked.lo, marked.hi))
                return self.form(node.body, {**environment, **colours, marked: mark}).key

            finer = split_classes(classes, use)
            if len(finer) == len(classes):
                return classes
            classes = finer
        return classes

    def _height(self, node: Reduce) -> int:
        """How deep reductions nest inside: it gives iterators names that are distinct on any path."""
        stack: list[tuple[Expr, bool]] = [(node, False)]
        while stack:
            each, ready = stack.pop()
            if each in self.heights:
                continue
            if ready:
                inner = max((self.heights[c] for c in each.children()), default=0)
                self.heights[each] = inner + isinstance(each, Reduce)
            else:
                stack.append((each, True))
                stack.extend((c, False) for c in each.children())
        return self.heights[node]


def chain(node: Apply) -> list[Expr]:
    """The operands of a chain of one associative operation."""
    found: list[Expr] = []
    stack: list[Expr] = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, Apply) and each.op == node.op and each.dtype is node.dtype:
            stack.extend(reversed(each.args))
        else:
            found.append(each)
    return found


def split_classes(classes: list[list[Iter]], by: Callable[[Iter], Any]) -> list[list[Iter]]:
    """Each class divided by a key of its members, in the order of the keys."""
    finer: list[list[Iter]] = []
    for each in classes:
        if len(each) == 1:
            finer.append(each)
            continue
        keyed = sorted(((by(i), n, i) for n, i in enumerate(each)), key=lambda t: t[:2])
        finer += [[i for _, _, i in group] for _, group in groupby(keyed, key=lambda t: t[0])]
    return finer
