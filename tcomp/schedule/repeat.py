"""Groups that are equal but for names, and their kernels: one function that is called with other buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.loop.nodes import Buffer, Check, Function, Repeat, Space
from tcomp.ir.loop.rewriting import statements
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.schedule.contraction.group import Packed
from tcomp.schedule.naming import Names
from tcomp.schedule.storage import Placement, Storage
from tcomp.schedule.trace import Trace

Skeleton: TypeAlias = tuple[object, ...]


def firsts(groups: Sequence[Group]) -> list[int]:
    """For each group the number of the first one that is equal to it but for names."""
    shapes = [_shape(group) for group in groups]
    alike = Counter(shapes)
    known: dict[object, int] = {}
    found = []
    for number, (group, shape) in enumerate(zip(groups, shapes, strict=True)):
        key = skeleton(group)[0] if alike[shape] > 1 else number
        found.append(known.setdefault(key, number))
    return found


def _shape(group: Group) -> object:
    """What equal groups have in common, found quickly."""
    return tuple((d.tensor.dtype, d.tensor.axes, t.count(d.body)) for d in group.members)


@lru_cache(1 << 8)
def skeleton(group: Group) -> tuple[Skeleton, tuple[t.Tensor, ...]]:
    """The group without names, and its tensors in the order in which it mentions them."""
    maker = _Skeleton()
    found = maker.group(group)
    return found, tuple(maker.tensors)


class _Skeleton:
    """Names tensors and iterators by the order in which they are met."""

    def __init__(self) -> None:
        self.tensors: dict[t.Tensor, t.Tensor] = {}
        self.iters: dict[Iter, Int] = {}

    def group(self, group: Group) -> Skeleton:
        return (
            tuple(map(self.definition, group.members)),
            tuple((self.iterator(s.iter), s.ordered) for s in group.shared),
            frozenset(map(self.tensor, group.scratch)),
            frozenset(map(self.tensor, group.constants)),
            tuple(map(self.group, group.parts)),
            tuple(map(self.iterator, group.blocked)),
        )

    def definition(self, old: t.Definition) -> t.Definition:
        tensor, iters = self.tensor(old.tensor), tuple(map(self.iterator, old.iters))
        done: dict[t.Expr, t.Expr] = {}
        for node in t.postorder(old.body):
            done[node] = self.node(node, done)
        return t.Definition(tensor, iters, done[old.body])

    def tensor(self, old: t.Tensor) -> t.Tensor:
        if old not in self.tensors:
            self.tensors[old] = t.Tensor(f"t{len(self.tensors)}", old.dtype, old.axes)
        return self.tensors[old]

    def iterator(self, old: Iter) -> Iter:
        if old not in self.iters:
            self.iters[old] = Int.of(Iter(f"i{len(self.iters)}", old.lo, old.hi))
        (((fresh,), _),) = self.iters[old].terms
        assert isinstance(fresh, Iter)
        return fresh

    def node(self, node: t.Expr, done: Mapping[t.Expr, t.Expr]) -> t.Expr:
        match node:
            case t.Read(tensor, index, otherwise):
                places = tuple(self.index(i, done) for i in index)
                guard = None if otherwise is None else done[otherwise]
                return t.Read(self.tensor(tensor), places, guard)
            case t.IndexValue(index, dtype):
                return t.IndexValue(self.index(index, done), dtype)
            case t.Reduce(op, iters, body):
                return t.Reduce(op, tuple(map(self.iterator, iters)), done[body])
        return node.rebuild(tuple(done[c] for c in node.children()))

    def index(self, index: Int, done: Mapping[t.Expr, t.Expr]) -> Int:
        atoms: dict[object, Int] = {}
        for atom in sorted(index.leaves(), key=lambda a: a.key):
            if isinstance(atom, Value):
                atoms[atom] = Int.of(Value(done[atom.expr]))
            elif isinstance(atom, Iter):
                self.iterator(atom)
                atoms[atom] = self.iters[atom]
        return index.sub(atoms)


@dataclass(frozen=True, slots=True)
class Lowered:
    """A group's kernel with what it was made from: enough to call it for another group."""

    function: Function
    packed: tuple[Packed, ...]  # what is to be filled before any call
    trace: Trace
    tensors: tuple[t.Tensor, ...]
    places: tuple[object, ...]

    @staticmethod
    def of(
        group: Group, trace: Trace, storage: Storage, function: Function, packed: Sequence[Packed]
    ) -> Lowered | None:
        """None where the code mentions more than its buffers: the messages of checks name tensors."""
        if any(isinstance(stmt, Check) for stmt in statements(function.body)):
            return None
        tensors = skeleton(group)[1]
        return Lowered(function, tuple(packed), trace, tensors, _places(tensors, storage))

    def again(
        self, label: str, group: Group, trace: Trace, storage: Storage, names: Names
    ) -> tuple[Repeat, list[Packed]] | None:
        """The kernel for a group that is equal but for names; None where its tensors lie in another way."""
        tensors = skeleton(group)[1]
        if trace != self.trace or _places(tensors, storage) != self.places:
            return None
        buffers: dict[Buffer, Buffer] = {}
        for old, new in zip(self.tensors, tensors, strict=True):
            was, now = storage.get(old), storage.get(new)
            if isinstance(was, Placement) and isinstance(now, Placement):
                buffers[was.buffer] = now.buffer
        filled = [(p.buffer, p.kernel) for p in self.packed if isinstance(p.kernel, Function)]
        for buffer in (*self.function.buffers, *(b for _, f in filled for b in f.buffers)):
            if buffer not in buffers and buffer.space is not Space.PRIVATE:
                buffers[buffer] = replace(buffer, name=names.fresh(buffer.name))
        packed = [
            Packed(fresh, _repeated(f"pack_{fresh.name}", kernel, buffers))
            for fresh, kernel in ((buffers[b], k) for b, k in filled)
        ]
        return _repeated(label, self.function, buffers), packed


def _repeated(name: str, function: Function, buffers: Mapping[Buffer, Buffer]) -> Repeat:
    return Repeat(name, function, tuple(buffers.get(b, b) for b in function.buffers))


def _places(tensors: Sequence[t.Tensor], storage: Storage) -> tuple[object, ...]:
    """Where tensors lie, but for which buffers those are: equal kernels address them alike."""
    numbers: dict[Buffer, int] = {}
    found: list[object] = []
    for tensor in tensors:
        place = storage.get(tensor)  # None: kept inside the group
        if not isinstance(place, Placement):
            found.append(place)
            continue
        buffer = place.buffer
        number = numbers.setdefault(buffer, len(numbers))
        found.append(
            (number, buffer.dtype, buffer.extent, buffer.space, place.origin, place.strides)
        )
    return tuple(found)
