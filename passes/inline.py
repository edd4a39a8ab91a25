"""Inlining (traversal merging): a tensor that is read at most as often as it has points needs no memory.

    H[i, j] = sum[k](X[i, k] * W[k, j]) + b[j]
    Y[i, j] = gelu(H[i, j])                        Y[i, j] = gelu(sum[k](X[i, k] * W[k, j]) + b[j])

A producer without reductions goes into every reader while that does not repeat costly work. A producer
with a reduction goes into its only reader where that reads each point once: it becomes that reader's
prologue, the reader its epilogue. Guarded reads keep their guard as a `where`, and what the producer
read is then guarded too (OLLIE, arXiv 2208.02025, "traversal merging"; here with exact borders).
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int, Iter, Value
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
    count,
    postorder,
    rewrite,
    substitute,
    tensors_read,
)
from tcomp.ir.tensor.tables import table_iters
from tcomp.ops import OPS
from tcomp.passes.lift import is_product_sum, postorder_outside_reductions
from tcomp.passes.scoping import index_iters, iterator_names, plain_iter, rename_bound
from tcomp.passes.views import free_views

CHEAP = 4.0  # operations that may be repeated at every read instead of stored and loaded
MAX_NODES = 200  # a body larger than this takes in nothing more


def inline(program: Program) -> Program:
    """Inlines producers of a bound program until none qualifies; unread definitions go away."""
    while (producer := _candidate(program)) is not None:
        program = _substituted(program, producer)
    return program


def drop_unread(program: Program) -> Program:
    """Removes definitions that no result depends on; a scan stays whole while any of it is needed."""
    needed = set(program.results)
    kept: list[Statement] = []
    for statement in reversed(program.body):
        group = statement.definitions if isinstance(statement, Scan) else (statement,)
        if any(d.tensor in needed for d in group):
            kept.append(statement)
            needed.update(*(tensors_read(d.body) for d in group))
    if len(kept) == len(program.body):
        return program
    body = tuple(reversed(kept))
    return Program(
        program.name, program.sizes, program.inputs, program.results, body, spans=program.spans
    )


def evaluation_cost(expr: Expr) -> float:
    """Operations of one evaluation of an expression outside its reductions, as `ScalarOp.cost` counts."""
    return sum(OPS[n.op].cost for n in postorder_outside_reductions(expr) if isinstance(n, Apply))


def _candidate(program: Program) -> Definition | None:
    """The first producer that may be inlined into all of its readers."""
    free = free_views(program)
    readers: dict[Tensor, list[tuple[Definition, Iter | None]]] = {}
    for statement in program.body:
        step = statement.iter if isinstance(statement, Scan) else None
        for definition in statement.definitions if isinstance(statement, Scan) else (statement,):
            for tensor in tensors_read(definition.body):
                readers.setdefault(tensor, []).append((definition, step))
    for statement in program.body:
        if isinstance(statement, Scan) or statement.tensor in program.results or statement in free:
            continue
        uses = readers.get(statement.tensor)
        if uses and _qualifies(statement, tuple(uses)):
            return statement
    return None


@lru_cache(1 << 14)
def _qualifies(producer: Definition, uses: tuple[tuple[Definition, Iter | None], ...]) -> bool:
    if any(count(reader.body) > MAX_NODES for reader, _ in uses):
        return False
    if table_iters(producer) or any(table_iters(reader) for reader, _ in uses):
        return False
    reads = [n for reader, _ in uses for n in _reads(reader) if n.tensor is producer.tensor]
    guarded = any(n.otherwise is not None for n in reads)
    if guarded and any(_is_data_dependent(n.index) for n in _reads(producer)):
        return False  # the producer's own index would be checked where the reader must not read
    if any(isinstance(n, Reduce) for n in postorder(producer.body)):
        return len(uses) == 1 and uses[0][1] is None and _is_epilogue(producer, uses[0][0], reads)
    if _reads(producer) and any(_repeats(producer, *use) for use in uses):
        return False
    if any(_is_data_dependent(n.index) for n in reads) and evaluation_cost(producer.body) > CHEAP:
        return False
    if evaluation_cost(producer.body) <= CHEAP and not _calls(producer.body):
        return len(reads) <= 2 or evaluation_cost(producer.body) <= 1.0 or _only_indices(producer)
    points = _size(producer)
    evaluations = sum(_evaluations(reader, producer.tensor) for reader, _ in uses)
    return evaluations <= points


def _repeats(producer: Definition, reader: Definition, step: Iter | None) -> bool:
    """Whether every step of a scan reads the same of a producer, which is better made once."""
    reads = (n for n in _reads(reader) if n.tensor is producer.tensor)
    return step is not None and any(step not in index_iters(n.index) for n in reads)


def _is_epilogue(producer: Definition, reader: Definition, reads: list[Read]) -> bool:
    """The reader reads each point once, at its own point, and makes no sum of its own."""
    if len(reads) != 1 or reads[0].otherwise is not None:
        return False
    outside = postorder_outside_reductions(reader.body)
    if any(isinstance(n, Reduce) for n in outside) or reads[0] not in outside:
        return False
    iters = [plain_iter(i) for i in reads[0].index]
    extents = zip(iters, producer.tensor.axes, strict=True)
    return set(iters) == set(reader.iters) and all(
        it is not None and (it.lo, it.hi) == axis for it, axis in extents
    )


def _evaluations(reader: Definition, tensor: Tensor) -> float:
    """How often the reader would evaluate what it now reads from `tensor`.

    Inside a sum of products each factor is evaluated once for each point of its own iterators, because
    contraction kernels pack their operands; elsewhere at every point of the loops around it.
    """
    total = 0.0
    around: dict[Iter, int] = {it: it.extent.constant for it in reader.iters}

    def visit(expr: Expr, extents: dict[Iter, int], packed: bool) -> None:
        nonlocal total
        for node in postorder_outside_reductions(expr):
            if isinstance(node, Reduce):
                inner = {**extents, **{it: it.extent.constant for it in node.iters}}
                visit(node.body, inner, packed or is_product_sum(node))
            elif isinstance(node, Read) and node.tensor is tensor:
                own = index_iters(node.index)
                points = 1.0
                for it, extent in extents.items():
                    if not packed or it in own:
                        points *= extent
                total += points

    visit(reader.body, around, False)
    return total


def inlined(program: Program, producer: Definition) -> Program | None:
    """The program with one producer moved into all of its readers, whatever that costs.

    None where it is not legal (a guarded read of a producer whose own index depends on data) or would spoil
    a table.
    """
    readers = [d for d in program.definitions() if producer.tensor in tensors_read(d.body)]
    if table_iters(producer) or any(map(table_iters, readers)):
        return None
    reads = [n for d in readers for n in _reads(d) if n.tensor is producer.tensor]
    guarded_reads = any(n.otherwise is not None for n in reads)
    if guarded_reads and any(_is_data_dependent(n.index) for n in _reads(producer)):
        return None
    return _substituted(program, producer)


def _substituted(program: Program, producer: Definition) -> Program:
    body: list[Statement] = []
    for statement in program.body:
        if statement is producer:
            continue
        if isinstance(statement, Scan):
            members = tuple(_into(d, producer) for d in statement.definitions)
            body.append(Scan(statement.iter, members))
        else:
            body.append(_into(statement, producer))
    return Program(
        program.name,
        program.sizes,
        program.inputs,
        program.results,
        tuple(body),
        spans=program.spans,
    )


@lru_cache(1 << 12)
def _into(reader: Definition, producer: Definition) -> Definition:
    if producer.tensor not in tensors_read(reader.body):
        return reader
    clashing = frozenset(iterator_names(reader))
    taken = set(clashing | iterator_names(producer))

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Read) or node.tensor is not producer.tensor:
            return None
        body = rename_bound(producer.body, clashing, taken)
        value = substitute(body, dict(zip(producer.iters, node.index, strict=True)))
        if node.otherwise is None:
            return value
        inside = condition_inside(node)
        return Apply("where", (inside, guarded(value), node.otherwise), node.dtype)

    return Definition(reader.tensor, reader.iters, rewrite(reader.body, rule))


def condition_inside(read: Read) -> Expr:
    """The bool expression that says a read's index is inside its tensor."""
    condition: Expr = Const(True, boolean)
    for position, (lo, hi) in zip(read.index, read.tensor.axes, strict=True):
        low, high = position.bounds()
        if low is None or low < lo.constant:
            condition = _and(condition, "ge", position, lo)
        if high is None or high >= hi.constant:
            condition = _and(condition, "lt", position, hi)
    return condition


def guarded(expr: Expr) -> Expr:
    """The expression with reads that may leave their tensors guarded by 0; where that 0 matters the
    caller does not select the value."""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Read) or node.otherwise is not None:
            return None
        for position, (lo, hi) in zip(node.index, node.tensor.axes, strict=True):
            low, high = position.bounds()
            if low is None or high is None or low < lo.constant or high >= hi.constant:
                return Read(node.tensor, node.index, zero(node))
        return None

    return rewrite(expr, rule)


def zero(expr: Expr) -> Const:
    """The zero of an expression's type."""
    if expr.dtype.is_bool:
        return Const(False, expr.dtype)
    return Const(0.0 if expr.dtype.is_float else 0, expr.dtype)


def _and(condition: Expr, op: str, position: Int, limit: Int) -> Expr:
    term = Apply(op, (IndexValue(position, i64), Const(limit.constant, i64)), boolean)
    if isinstance(condition, Const):
        return term
    return Apply("and", (condition, term), boolean)


@lru_cache(1 << 14)
def _reads(definition: Definition) -> tuple[Read, ...]:
    return tuple(n for n in postorder(definition.body) if isinstance(n, Read))


def _is_data_dependent(index: tuple[Int, ...]) -> bool:
    return any(isinstance(a, Value) for i in index for a in i.leaves())


def _calls(expr: Expr) -> bool:
    """Whether an expression holds a function that is more than a few instructions."""
    return any(isinstance(n, Apply) and OPS[n.op].cost > CHEAP for n in postorder(expr))


def _only_indices(producer: Definition) -> bool:
    """A rearrangement: one read and nothing computed."""
    kinds = Counter(type(n) for n in postorder(producer.body))
    return kinds[Apply] == 0


def _size(definition: Definition) -> float:
    total = 1.0
    for it in definition.iters:
        total *= it.extent.constant
    return total
