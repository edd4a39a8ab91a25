"""How a definition touches memory: the address step of every read along every iterator, and its trips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tcomp.ir.dtypes import COMPUTE, DType, boolean, compute_type, i64
from tcomp.ir.integer import Int, Iter, Value, row_major_strides
from tcomp.ir.tensor import nodes as t
from tcomp.ops import OPS


@dataclass(frozen=True, slots=True)
class Access:
    """One read or the write of a definition. `trips` is how often a point of the output performs it."""

    tensor: t.Tensor
    index: tuple[Int, ...]
    trips: int
    guarded: bool = False

    def step(self, it: Iter) -> int | None:
        """Address change when `it` advances by one; None where it is not constant."""
        total = 0
        strides = row_major_strides(self.tensor.shape)
        for index, stride in zip(self.index, strides, strict=True):
            if any(isinstance(a, Value) and it in a.expr.free_atoms() for a in index.leaves()):
                return None
            coefficient = index.coefficient(it)
            if coefficient is None:
                return None
            total += coefficient * int(stride)
        return total

    def merges(self, outer: Iter, inner: Iter, run: int) -> bool:
        """Whether `outer` goes on where a run of `run` positions along `inner` ends."""
        far, near = self.step(outer), self.step(inner)
        return far is not None and near is not None and far == near * run

    def depends(self, it: Iter) -> bool:
        """Whether the address changes with `it`."""
        return self.step(it) != 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What one point of a definition costs: operations (beside an addition), reads, the write."""

    work: float
    reads: tuple[Access, ...]
    write: Access
    bits: int  # of the widest type in which values are computed
    term_bits: int  # the same for the terms of reductions
    positions: frozenset[Iter]  # iterators whose positions are used as numbers or tested by guards

    @property
    def accesses(self) -> tuple[Access, ...]:
        return (*self.reads, self.write)


def profile(definition: t.Definition) -> Profile:
    """The costs of one point of the definition's output."""
    trips = _trips(definition.body)
    work, reads = 1.0, list[Access]()
    for node, count in trips.items():
        match node:
            case t.Apply(op, _, _):
                work += OPS[op].cost * count
            case t.Reduce(_, iters, _):
                work += 2 * count * _size(iters)
            case t.Read(tensor, index, otherwise):
                work += count * (1 if otherwise is None else 3)
                reads.append(Access(tensor, index, count, otherwise is not None))
    terms = [node.body for node in trips if isinstance(node, t.Reduce)]
    whole, inner = _widest(definition.body), max(map(_widest, terms), default=0)
    write = Access(definition.tensor, tuple(map(Int.of, definition.iters)), 1)
    tested = [a for r in reads if r.guarded for i in r.index for a in i.leaves()]
    tested += [a for n in trips if isinstance(n, t.IndexValue) for a in n.free_atoms()]
    positions = frozenset(a for a in tested if isinstance(a, Iter))
    bits = max(whole, _bits(definition.tensor.dtype))
    return Profile(work, tuple(reads), write, bits, inner or bits, positions)


def overlaps(costs: Profile, it: Iter, reductions: Sequence[t.Reduce]) -> bool:
    """Whether neighbours along `it` read some of the same elements: windows that slide, or factors that
    do not depend on `it` at all."""
    reduced = {r for reduce in reductions for r in reduce.iters}
    for access in costs.reads:
        if access.trips > 1 and not access.depends(it):
            return True
        for index in access.index:
            step = index.coefficient(it)
            if step and any(index.coefficient(r) == step for r in reduced):
                return True
    return False


def _trips(body: t.Expr) -> dict[t.Expr, int]:
    """How often each sub-expression is evaluated for one point, reductions taken where they stand."""
    trips: dict[t.Expr, int] = {body: 1}
    for node in reversed(t.postorder(body)):
        times = trips.setdefault(node, 1)
        if isinstance(node, t.Reduce):
            times *= _size(node.iters)
        for child in node.children():
            trips[child] = max(trips.get(child, 0), times)
    return trips


def _size(iters: tuple[Iter, ...]) -> int:
    total = 1
    for it in iters:
        total *= int(it.extent)
    return total


def _widest(body: t.Expr) -> int:
    """Bits of the widest type in which `body` is computed, positions and indices left out."""
    inside = _inside_indices(body)
    types = [_term_type(n) for n in t.postorder(body) if n not in inside]
    return max(_bits(dtype) for dtype in types if dtype is not None) if any(types) else 8


def _term_type(node: t.Expr) -> DType | None:
    """The type of a value; none for positions, and for results that are positions."""
    if isinstance(node, t.IndexValue) or (isinstance(node, t.Reduce) and node.dtype is i64):
        return node.body.dtype if isinstance(node, t.Reduce) else None
    return node.dtype


def _bits(dtype: DType) -> int:
    if dtype is boolean:
        return 8
    return dtype.bits if dtype in COMPUTE or dtype.bits == 8 else compute_type(dtype).bits


def _inside_indices(body: t.Expr) -> set[t.Expr]:
    """Sub-expressions of indices."""
    found: set[t.Expr] = set()
    for node in t.postorder(body):
        if isinstance(node, t.Read | t.IndexValue):
            indices = node.index if isinstance(node, t.Read) else (node.index,)
            for index in indices:
                for atom in index.leaves():
                    if isinstance(atom, Value):
                        found |= set(t.postorder(atom.expr))
    return found
