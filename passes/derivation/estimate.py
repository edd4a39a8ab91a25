"""Cycles of one definition, by what the code generators make of it.

A sum of products with reuse becomes a packed matrix product: its speed depends on how its iterators occur
in the factors (batch, rows, columns, inner) and on how regularly the operands lie in memory. All else is
a loop nest in vectors, whose speed depends on how its reads move along the vector. What a core does in a
cycle is the `Machine`'s; the other constants are cycles of one AVX-512 core, fitted to measurements of the
derivation cases (docs/derivation.md); orders of magnitude are enough, as only different forms of one
program are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TypeGuard

from tcomp.ir.integer import FloorDiv, Int, Iter, Mod
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Read,
    Reduce,
    Tensor,
    postorder,
)
from tcomp.ir.tensor.orientation import vector_iter
from tcomp.ir.tensor.tables import table_iters
from tcomp.ops import OPS
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.machine import AVX512, Machine
from tcomp.passes.lift import is_product_sum, postorder_outside_reductions
from tcomp.passes.scoping import free_iters, index_iters

START = 150.0  # beginning a loop nest

# Cycles an element: read along a vector, or packed
CONTIGUOUS, BROADCAST, STRIDED, SCATTERED = 0.08, 0.03, 0.7, 2.0
GUARD = 0.1
HORIZONTAL = 8.0  # adding up the elements of a vector
PACK, PACK_IRREGULAR, PACK_STRIDED = 0.3, 0.7, 3.5
TABLE_READ = 0.2  # short strides are shuffled from whole vectors


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The iterators of a sum of products by the factors that depend on them.

    `left` are the factors without the iterator that vectors run along, `right` those with it.
    """

    batch: tuple[Iter, ...]
    rows: tuple[Iter, ...]
    columns: tuple[Iter, ...]
    inner: tuple[Iter, ...]
    left: tuple[Expr, ...]
    right: tuple[Expr, ...]

    @property
    def products(self) -> float:
        """How many products are summed in all."""
        return extent(self.batch) * extent(self.rows) * extent(self.columns) * extent(self.inner)


@dataclass(frozen=True, slots=True)
class Known:
    """What a program says of the tensors of a definition, and the machine.

    Vectors of operands that `bound` tensors alone decide were packed before any call. `handed` tensors are
    handed from a definition to the next one block by block.
    """

    bound: frozenset[Tensor] = frozenset()
    handed: frozenset[Tensor] = frozenset()
    machine: Machine = AVX512


NOTHING = Known()


@lru_cache(1 << 14)
def cycles(definition: Definition, known: Known = NOTHING) -> float:
    """Estimated cycles of a definition that is a loop nest of its own, or one of a block (`passes.blocks`)."""
    found = occurrence(definition)
    memory = _memory(definition, known)
    if found is None and (loads := _streamed(definition, known.bound)) is not None:
        return START + max(loads, memory) + _outside(definition) / known.machine.operations
    if found is None:
        # Loads wait for bytes, or bytes for loads: copies, transforms and tiles of a 3 x 3 convolution (128 channels,
        # 56 x 56, stride 2) took half the sum of both.
        computing, loading = _nest(definition, known.machine)
        return START + computing + max(loading, memory)
    work = _multiplying(definition, found, known.machine)
    # Bound operands are asked for ahead, so that they arrive while others are multiplied.
    ahead = any(_is_bound(side, known.bound) for side in (found.left, found.right))
    both = max(work, memory) if ahead else work + memory
    return START + both + _around(definition, found, known)


@lru_cache(1 << 14)
def least_cycles(definition: Definition, known: Known = NOTHING) -> float:
    """What the definition would take if its product were perfectly regular: what further steps may reach."""
    node = _one_sum(definition)
    if node is None:
        return cycles(definition, known)
    reached = 1.0
    for group in _by_output(node, frozenset(definition.iters)):
        reached *= group
    points = extent(definition.iters)
    products = min(points, reached) * extent(node.iters) / _periods(node.body)
    rate = known.machine.products * known.machine.lanes(definition.tensor.dtype)
    regular = START + products / rate + _memory(definition, known)
    return min(cycles(definition, known), regular)


@lru_cache(1 << 14)
def mismatches(definition: Definition) -> int:
    """How far a definition is from what the generators do well: positions that several iterators of a
    product move together, guards of its factors, remainders, and divisions."""
    node = _one_sum(definition)
    if node is None:
        return 0
    count = 0
    for each in postorder(node.body):
        if isinstance(each, Read):
            count += each.otherwise is not None
            for index in each.index:
                count += max(0, len(index_iters((index,))) - 1)
                count += sum(isinstance(a, FloorDiv | Mod) for a in index.atoms())
        elif isinstance(each, Apply) and each.op == "where":
            count += 2
    return count


def occurrence(definition: Definition) -> Occurrence | None:
    """How the iterators of a product sum occur; None for a definition without reuse of both operands."""
    node = _one_sum(definition)
    if node is None:
        return None
    factors = factors_of(node.body)
    vector = vector_iter(definition.iters, [f for f in factors if not isinstance(f, Const)])
    left = tuple(f for f in factors if vector not in free_iters(f))
    right = tuple(f for f in factors if vector in free_iters(f))
    if not right or all(isinstance(f, Const) for f in left):
        return None
    in_left, in_right = (frozenset().union(*map(free_iters, side)) for side in (left, right))
    output = definition.iters
    both = in_left & in_right
    lonely = [it for it in output if it not in in_left | in_right and _several(it)]
    rows = tuple(it for it in output if it in in_left - both)
    if lonely or (extent(rows) == 1 and not _reads_codes(right)):
        return None
    return Occurrence(
        batch=tuple(it for it in output if it in both),
        rows=rows,
        columns=tuple(it for it in output if it in in_right - both),
        inner=node.iters,
        left=left,
        right=right,
    )


def extent(iters: tuple[Iter, ...] | frozenset[Iter]) -> float:
    """Points of a range product."""
    total = 1.0
    for it in iters:
        total *= it.extent.constant
    return total


# -- contractions ------------------------------------------------------------------------------------


def _multiplying(definition: Definition, found: Occurrence, machine: Machine) -> float:
    """Cycles of the multiplications."""
    lanes = machine.lanes(definition.tensor.dtype)
    rows, inner = extent(found.rows), extent(found.inner)
    # Vectors fill where columns are one range of memory of the result; so do rows if they are one.
    runs = [_innermost(definition, found.columns)]
    runs += [rows] if _innermost(definition, found.rows) == rows else []
    filled = max(n / (lanes * ceil(n / lanes)) for n in runs)
    tile = rows / (ceil(rows / machine.rows) * min(machine.rows, rows) + 1.0)
    depth = inner / (inner + 8.0)
    return found.products / (machine.products * lanes * filled * tile * depth)


def _around(definition: Definition, found: Occurrence, known: Known) -> float:
    """Cycles of packing, of what factors compute, and of the epilogue."""
    machine = known.machine
    kept = _in_place(found) or _is_bound(found.left, known.bound)
    left = 0.0 if kept else _packed(found.left, found.rows, found)
    together = _innermost(definition, found.rows) == extent(found.rows)
    packed = extent(found.batch) * (left + _right(found, known.bound, together))
    vectors = machine.products * machine.lanes(definition.tensor.dtype)
    return packed + _inside(found) / machine.operations + _outside(definition) / vectors


def _is_bound(factors: tuple[Expr, ...], bound: frozenset[Tensor]) -> bool:
    reads = {n.tensor for f in factors for n in postorder(f) if isinstance(n, Read)}
    return bool(reads) and reads <= bound


def _innermost(definition: Definition, iters: tuple[Iter, ...]) -> float:
    """The points of the innermost of some iterators that are neighbours among those of the result."""
    run, rest = 1.0, list(definition.iters)
    while rest and rest[-1] not in iters:
        rest.pop()
    for it in reversed(rest):
        if it not in iters and _several(it):
            break
        run *= it.extent.constant
    return run


def _right(found: Occurrence, bound: frozenset[Tensor], together: bool) -> float:
    """Cycles of packing the right operand. One that slides is copied by place only where rows are `together`, one
    range of the result, and the left one is plain or packed before any call."""
    if _is_bound(found.right, bound) or _reads_codes(found.right):  # codes are moved as they are
        return 0.0
    if not all(map(_is_regular, found.right)):
        elements = extent(found.columns) * extent(found.inner)
        if not all(map(_is_regular, found.left)) and not _is_bound(found.left, bound):
            return elements * PACK_STRIDED
        if not together:
            return elements * PACK_IRREGULAR
    return _packed(found.right, found.columns, found)


def _in_place(found: Occurrence) -> bool:
    """Whether the left operand is broadcast from where it lies: one read, contiguous along the sum."""
    if len(found.left) != 1 or not isinstance(read := found.left[0], Read) or not _is_regular(read):
        return False
    moving = next((i for i in reversed(read.index) if not i.is_constant), None)
    return moving is not None and any(moving.coefficient(it) == 1 for it in found.inner)


def _packed(factors: tuple[Expr, ...], own: tuple[Iter, ...], found: Occurrence) -> float:
    """Cycles of bringing an operand into panels, once for each number of the batch; what slides is copied by
    place, however often it is met."""
    rate = _packing(factors, own, found.inner)
    elements = extent(own) * extent(found.inner)
    if rate == PACK_IRREGULAR:
        moving = frozenset((*own, *found.inner))
        reads = [n for f in factors for n in postorder(f) if isinstance(n, Read)]
        elements = min(elements, max((_places(r, moving) for r in reads), default=elements))
    return elements * rate


def _places(read: Read, moving: frozenset[Iter]) -> float:
    """The elements of a tensor that a read can meet while some iterators move."""
    total = 1.0
    for index, axis in zip(read.index, read.tensor.shape, strict=True):
        total *= min(axis.constant, _values(index, index_iters((index,)) & moving))
    return total


def _inside(found: Occurrence) -> float:
    """Operations of the factors, once for each of their points, while operands are packed."""
    return sum(
        extent(free_iters(factor)) * sum(OPS[n.op].cost for n in postorder(factor) if _counts(n))
        for factor in (*found.left, *found.right)
    )


def _counts(node: Expr) -> TypeGuard[Apply]:
    return isinstance(node, Apply) and node.op not in ("cast", "where")


def _reads_codes(factors: tuple[Expr, ...]) -> bool:
    """Whether a factor has elements of 4 bits, or of more that another one scales: tiles decode them."""
    reads = [n.tensor.dtype for f in factors for n in postorder(f) if isinstance(n, Read)]
    return any(t.is_packed or (t.bits <= 16 and len(factors) > 1) for t in reads)


def _packing(factors: tuple[Expr, ...], own: tuple[Iter, ...], inner: tuple[Iter, ...]) -> float:
    """Cycles an element of bringing an operand into panels, by the iterator it is contiguous along."""
    if not all(map(_is_regular, factors)):
        return PACK_IRREGULAR
    for node in (n for f in factors for n in postorder(f) if isinstance(n, Read)):
        last = next((i for i in reversed(node.index) if not i.is_constant), None)
        if last is None:
            continue
        moving = [it for it in (*own, *inner) if last.coefficient(it)]
        if moving and moving[0] not in (own[-1:] + inner[-1:]):
            return PACK_STRIDED
    return PACK


def _is_regular(factor: Expr) -> bool:
    """Whether a factor is one read whose positions each move with one iterator, without a guard."""
    reads = [n for n in postorder(factor) if isinstance(n, Read)]
    return all(
        r.otherwise is None and all(len(i.leaves()) <= 1 and not _divided(i) for i in r.index)
        for r in reads
    ) and not any(isinstance(n, Apply) and n.op == "where" for n in postorder(factor))


def _outside(definition: Definition) -> float:
    """Operations of the epilogue, which finds its sums in registers."""
    points = extent(definition.iters)
    outside = postorder_outside_reductions(definition.body)
    return points * sum(OPS[n.op].cost for n in outside if isinstance(n, Apply))


def _streamed(definition: Definition, bound: frozenset[Tensor]) -> float | None:
    """Cycles of the loads of a bound matrix times a vector: its panels are asked for ahead, and multiply-adds
    hide behind them. None for other definitions."""
    node = _one_sum(definition)
    if node is None or table_iters(definition):
        return None
    factors = factors_of(node.body)
    reads = [f for f in factors if isinstance(f, Read) and _is_regular(f)]
    if len(reads) < len(factors) or not any(_is_bound((f,), bound) for f in factors):
        return None
    points = extent(definition.iters) * extent(node.iters)
    around = (*definition.iters, *node.iters)
    return points * sum(_read(r, around) for r in reads)


# -- loop nests --------------------------------------------------------------------------------------


def _nest(definition: Definition, machine: Machine) -> tuple[float, float]:
    """Cycles of the operations of a loop nest, and of its loads."""
    tables = frozenset(table_iters(definition))
    if tables:
        return _table(definition, tables, machine)
    return _walk(
        definition.body, definition.iters, (), extent(definition.iters), machine.operations
    )


def _walk(
    expr: Expr, around: tuple[Iter, ...], summed: tuple[Iter, ...], points: float, rate: float
) -> tuple[float, float]:
    computing = loading = 0.0
    for node in postorder_outside_reductions(expr):
        match node:
            case Apply(op, _, _):
                computing += points * OPS[op].cost / rate
            case Read():
                loading += points * _read(node, around, summed)
            case Reduce():
                inside, reduced = (*around, *node.iters), (*summed, *node.iters)
                inner = points * extent(node.iters)
                within = _walk(node.body, inside, reduced, inner, rate)
                computing += inner / rate + within[0]
                loading += within[1]
    return computing, loading


def _table(
    definition: Definition, tables: frozenset[Iter], machine: Machine
) -> tuple[float, float]:
    """A table is made at all its positions at once, and what they have in common once."""
    around = tuple(it for it in definition.iters if it not in tables)
    computing = loading = 0.0
    for node in postorder(definition.body):
        each = extent(free_iters(node) & tables)
        match node:
            case Apply(op, _, dtype) if op != "where" and not dtype.is_bool:
                computing += each * OPS[op].cost / machine.table_operations
            case Read():
                loading += each * min(_read(node, around), TABLE_READ)
    return extent(around) * computing, extent(around) * loading


def _read(node: Read, around: tuple[Iter, ...], summed: tuple[Iter, ...] = ()) -> float:
    """Cycles of one element of a read, along the best vector around it. Where that runs along what is summed,
    its elements are added up in the end."""
    wide = [it for it in around if it.extent.constant >= 8] or [it for it in around if _several(it)]
    guard = 0.0 if node.otherwise is None else GUARD
    ways = [(_along(node, it), it, float(it.extent.constant)) for it in wide[-2:]]
    last, run = _run(node, around)
    if last is not None and run > 1:
        ways.append((CONTIGUOUS * max(1.0, 8.0 / run), last, run))
    costs = [each + (HORIZONTAL / length if it in summed else 0.0) for each, it, length in ways]
    return min(costs, default=BROADCAST) + guard


def _run(node: Read, around: tuple[Iter, ...]) -> tuple[Iter | None, float]:
    """Elements side by side in memory that iterators one after the other run through as one, and the last of those
    iterators."""
    run, last = 1.0, None
    after: int | None = None
    for index, (lo, hi) in zip(reversed(node.index), reversed(node.tensor.axes), strict=True):
        if (hi - lo).constant == 1:
            continue
        it = next((it for it in index.leaves() if index == Int.of(it)), None)
        if it not in around or (after is not None and around.index(it) != after - 1):
            break
        after = around.index(it)
        last = last or it
        run *= it.extent.constant
        if (it.lo, it.hi) != (lo, hi):
            break
    return last, run


def _along(node: Read, it: Iter) -> float:
    steps = [index.coefficient(it) for index in node.index]
    if any(step is None for step in steps):
        return SCATTERED
    if not any(steps):
        return BROADCAST
    # A fraction of a vector is filled where the range is short.
    short = max(1.0, 8.0 / it.extent.constant)
    return (CONTIGUOUS if steps[-1] == 1 and not any(steps[:-1]) else STRIDED) * short


# -- parts -------------------------------------------------------------------------------------------


def _memory(definition: Definition, known: Known) -> float:
    """Cycles to bring in each distinct element that is read, and to write the result. What is handed on
    never goes further than the shared cache."""
    size = extent(definition.iters) * definition.tensor.dtype.bytes
    near, total = size * (definition.tensor in known.handed), size
    reads: dict[Tensor, float] = {}
    for node in postorder(definition.body):
        if isinstance(node, Read):
            reads[node.tensor] = reads.get(node.tensor, 0.0) + _reached(node)
    for tensor, reached in reads.items():
        size = min(reached, extent_of(tensor)) * tensor.dtype.bytes
        near, total = near + size * (tensor in known.handed), total + size
    rate = known.machine.rate(total)
    return near / max(rate, known.machine.shared_rate) + (total - near) / rate


def extent_of(tensor: Tensor) -> float:
    """Elements of a tensor."""
    size = 1.0
    for axis in tensor.shape:
        size *= axis.constant
    return size


def _reached(node: Read) -> float:
    """Elements in the box of all positions of a read."""
    reached = 1.0
    for index, axis in zip(node.index, node.tensor.shape, strict=True):
        reached *= min(axis.constant, _values(index, index_iters((index,))))
    return reached


def _one_sum(definition: Definition) -> Reduce | None:
    """The only sum of a definition, if it is one of products."""
    sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
    return sums[0] if len(sums) == 1 and is_product_sum(sums[0]) else None


def _by_output(node: Reduce, output: frozenset[Iter]) -> list[float]:
    """For each factor, how many of its rows the output points can tell apart."""
    found = []
    for factor in factors_of(node.body):
        distinct = extent(free_iters(factor) & output)
        for each in postorder(factor):
            if isinstance(each, Read):
                reach = 1.0
                for index, axis in zip(each.index, each.tensor.shape, strict=True):
                    moving = index_iters((index,)) & output
                    if moving:
                        reach *= min(axis.constant, _values(index, moving))
                distinct = min(distinct, reach)
        found.append(distinct)
    return found


def _values(index: Int, moving: frozenset[Iter]) -> float:
    fixed = {it: it.lo for it in index_iters((index,)) - moving}
    low, high = index.sub(fixed).bounds() if fixed else index.bounds()
    return float("inf") if low is None or high is None else high + 1.0 - low


def _periods(body: Expr) -> float:
    """The product of moduli of the remainders that conditions ask for: the share of terms that count."""
    total = 1.0
    for node in postorder(body):
        if isinstance(node, Apply) and node.op == "eq":
            for index in (a.index for a in node.args if isinstance(a, IndexValue)):
                for atom in index.atoms():
                    if isinstance(atom, Mod) and atom.right.is_constant:
                        total *= max(1, atom.right.constant)
    return total


def _divided(index: Int) -> bool:
    return any(isinstance(a, FloorDiv | Mod) for a in index.atoms())


def _several(it: Iter) -> bool:
    return it.extent.constant > 1
