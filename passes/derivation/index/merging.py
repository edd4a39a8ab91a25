"""Expression merging: products that share an operand become one product with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.index.residues import less
from tcomp.passes.derivation.rule import with_body
from tcomp.passes.inline import zero
from tcomp.passes.lift import is_product_sum
from tcomp.passes.scoping import free_iters, fresh_name, names_of


@dataclass(frozen=True, slots=True)
class _Product:
    """`tensor[..., own, ...] = sum[inner](shared * other)`, where only `other` moves with `own`."""

    definition: Definition
    total: Reduce
    shared: Read
    other: Read
    own: Iter


def merge_products(program: Program) -> Iterator[tuple[str, Program]]:
    """P[i, j] = sum[k](X[i, k] * V[k, j]); Q[i, j] = sum[k](X[i, k] * W[k, j])
    =  M[i, j] = sum[k](X[i, k] * (V beside W)[k, j]); P[i, j] = M[i, j]; Q[i, j] = M[i, |V| + j].

    All products that have the first one's shared operand, up to the names of iterators, and that depend on
    none of each other.
    """
    products = [p for s in program.body if not isinstance(s, Scan) for p in _products(s)]
    used: set[Tensor] = set()
    for number, first in enumerate(products):
        if first.definition.tensor in used:
            continue
        group = [first]
        for later in products[number + 1 :]:
            aligned = _aligned(first, later)
            if aligned is not None and _independent(group, later, program):
                group.append(aligned)
        if len(group) > 1:
            used |= {p.definition.tensor for p in group}
            yield first.definition.tensor.name, _merged(program, group)


def _products(definition: Definition) -> Iterator[_Product]:
    total = definition.body
    if not isinstance(total, Reduce) or not is_product_sum(total):
        return
    factors = factors_of(total.body)
    for shared, other in (factors, factors[::-1]) if len(factors) == 2 else ():
        if isinstance(shared, Read) and isinstance(other, Read):
            missing = (it for it in definition.iters if it not in free_iters(shared))
            own = [it for it in missing if it.extent.constant > 1]
            if len(own) == 1 and own[0] in free_iters(other):
                yield _Product(definition, total, shared, other, own[0])


def _aligned(first: _Product, later: _Product) -> _Product | None:
    """`later` with the iterators of `first`, but for its own; None where their shared operands differ."""
    if later.definition is first.definition or later.shared.tensor is not first.shared.tensor:
        return None
    moves: dict[Iter, Int] = {}
    for mine, yours in zip(later.shared.index, first.shared.index, strict=True):
        for it in mine.leaves():
            step = mine.coefficient(it) if isinstance(it, Iter) else None
            for new in yours.leaves():
                if isinstance(it, Iter) and isinstance(new, Iter) and step:
                    same = (it.lo, it.hi, step) == (new.lo, new.hi, yours.coefficient(new))
                    if same and it not in moves and Int.of(new) not in moves.values():
                        moves[it] = Int.of(new)
    for mine_unit, your_unit in zip(later.definition.iters, first.definition.iters, strict=False):
        if mine_unit.extent.constant == your_unit.extent.constant == 1:
            moves[mine_unit] = Int.of(your_unit)
    axes = [i for i in first.definition.iters if i is not first.own]
    mine_axes = [i for i in later.definition.iters if i is not later.own]
    if [moves.get(i) for i in mine_axes] != [Int.of(i) for i in axes]:
        return None
    if first.definition.iters.index(first.own) != later.definition.iters.index(later.own):
        return None
    if {moves.get(i) for i in later.total.iters} != {Int.of(i) for i in first.total.iters}:
        return None
    other = substitute(later.other, moves)
    if substitute(later.shared, moves) is not first.shared or other.dtype is not first.other.dtype:
        return None
    assert isinstance(other, Read)
    return _Product(later.definition, first.total, first.shared, other, later.own)


def _independent(group: list[_Product], later: _Product, program: Program) -> bool:
    """Whether a later product needs nothing that a member of the group makes."""
    made = {p.definition.tensor for p in group}
    if later.definition.tensor in made:
        return False
    for definition in program.definitions():
        reads = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
        if reads & made:
            made.add(definition.tensor)
    return later.definition.tensor not in made


def _merged(program: Program, group: list[_Product]) -> Program:
    taken = names_of(program)
    first = group[0]
    extent = sum(int(p.own.extent) for p in group)
    column = Iter(fresh_name(first.own.name, taken), Int.of(0), Int.of(extent))
    beside: Expr | None = None
    starts: dict[Tensor, Int] = {}
    end = extent
    for product in reversed(group):
        start = end - int(product.own.extent)
        position = Int.of(column) - start + product.own.lo
        starts[product.definition.tensor] = start - product.own.lo
        part = substitute(product.other, {product.own: position})
        assert isinstance(part, Read)
        guarded = Read(part.tensor, part.index, part.otherwise or zero(part))
        if beside is None:
            beside = guarded
        else:
            beside = Apply(
                "where", (less(Int.of(column), Int.of(end)), guarded, beside), part.dtype
            )
        end = start
    assert beside is not None
    iters = tuple(column if it is first.own else it for it in first.definition.iters)
    tensor = Tensor(
        fresh_name(f"{first.definition.tensor.name}_all", taken),
        first.definition.tensor.dtype,
        tuple((it.lo, it.hi) for it in iters),
    )
    product_of = Apply("mul", (first.shared, beside), first.total.dtype)
    merged = Definition(tensor, iters, Reduce("sum", first.total.iters, product_of))

    def part_of(definition: Definition) -> Definition:
        axis = iters.index(column)
        index = [Int.of(it) for it in definition.iters]
        index[axis] = index[axis] + starts[definition.tensor]
        return Definition(definition.tensor, definition.iters, Read(tensor, tuple(index)))

    body: list[Statement] = []
    last = max(program.body.index(p.definition) for p in group)
    needed_by_others = {p.definition for p in group}
    moved: list[Statement] = []
    for number, statement in enumerate(program.body):
        if isinstance(statement, Definition) and statement in needed_by_others:
            moved.append(part_of(statement))
        elif moved and _reads_any(statement, {t for s in moved for t in _made_by(s)}):
            moved.append(statement)
        else:
            body.append(statement)
        if number == last:
            body += [merged, *moved]
            moved = []
    return with_body(program, tuple(body))


def _made_by(statement: Statement) -> set[Tensor]:
    members = statement.definitions if isinstance(statement, Scan) else (statement,)
    return {d.tensor for d in members}


def _reads_any(statement: Statement, tensors: set[Tensor]) -> bool:
    members = statement.definitions if isinstance(statement, Scan) else (statement,)
    return any(
        isinstance(n, Read) and n.tensor in tensors for d in members for n in postorder(d.body)
    )
