"""Seams: tensors through which no rule passes, so that what makes them and what reads them are derived apart.

    H = relu(sum[k](X * V));  Y = sum[j](H * W)      H is a seam: neither sum meets the other

A seam is the result of a program; what a function makes that no product distributes over; what a function takes
inside a sum; a sum that is read as it stands beside other readers, as residual connections do: it has to be
made in any case; and one that is added to another sum and has no operand in common with that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from tcomp.ir.integer import Iter
from tcomp.ir.tensor.graph import definitions_of
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
    tensors_read,
)
from tcomp.ir.tensor.tables import table_iters
from tcomp.passes.lift import is_product_sum, postorder_outside_reductions
from tcomp.passes.scoping import free_iters

# What sums and products pass through, the numerator of a quotient among it.
_LINEAR = frozenset({"add", "sub", "mul", "neg", "div", "cast", "fma", "where"})
_EXPONENTIALS = frozenset({"exp", "exp2"})  # of sums they are products, and softmax is made of them
_LOGARITHMS = frozenset({"log", "log2"})
# The operations that are additions of another semiring, by the reduction that passes through them.
_ADDITIONS = {"maximum": "max", "minimum": "min", "or": "any", "and": "all"}
_PRODUCTS = {"and": "any", "or": "all"}  # those that are products, beyond the linear ones


@dataclass(frozen=True, slots=True)
class _Use:
    """How a definition reads a tensor: in which innermost reduction, and through what functions.

    What does not move with a reduction's iterators counts as outside: it can be pulled out.
    """

    reduction: str = ""  # "" for none
    inner: frozenset[Iter] = frozenset()
    opaque: bool = False  # through a function inside it that no rule passes
    exponential: bool = False


def seams(program: Program, constants: Collection[Tensor]) -> frozenset[Tensor]:
    """The tensors made in a program at which it is cut. `constants` are known before a call."""
    readers: dict[Tensor, list[Definition]] = {}
    scanned = frozenset(
        d.tensor for s in program.body if isinstance(s, Scan) for d in s.definitions
    )
    summed = _behind_sums(program)
    for definition in program.definitions():
        for tensor in tensors_read(definition.body):
            readers.setdefault(tensor, []).append(definition)
    found = set(program.results) | scanned | _added(program)
    for definition in program.definitions():
        tensor = definition.tensor
        own = readers.get(tensor, [])
        if tensor in constants:
            if len(own) > 1:
                found.add(tensor)
        elif (
            table_iters(definition)
            or (any(r.tensor in scanned for r in own) and _reduces(definition))
            or not all(_passes(definition, reader, summed) for reader in own)
            or _stays(definition, own)
        ):
            found.add(tensor)
    return frozenset(found)


def elementwise(statement: Statement) -> bool:
    """Whether a statement makes each point from points alone, with no reduction."""
    return isinstance(statement, Definition) and not _reduces(statement)


def _behind_sums(program: Program) -> frozenset[Tensor]:
    """What a reduction is before: functions of inputs alone separate nothing that is worth it."""
    found: set[Tensor] = set()
    for statement in program.body:
        group = definitions_of(statement)
        if any(_reduces(d) or not found.isdisjoint(tensors_read(d.body)) for d in group):
            found.update(d.tensor for d in group)
    return frozenset(found)


def _passes(made: Definition, reader: Definition, summed: frozenset[Tensor]) -> bool:
    """Whether rules may pass from a definition to one that reads it."""
    if table_iters(reader):
        return False
    uses = _uses(reader, made.tensor)
    inside = [u for u in uses if u.reduction]
    if any(u.opaque for u in inside) and made.tensor in summed:
        return False
    orders = _orders(made)
    if orders and any(u.reduction not in orders and not u.exponential for u in inside):
        return False
    functions = _functions(made, summed)
    if not functions:
        return True
    if all(op in _ADDITIONS for op in functions):
        return all(u.reduction in {_ADDITIONS[op] for op in functions} for u in uses)
    return not inside and elementwise(reader)  # a longer epilogue


def _orders(made: Definition) -> set[str]:
    """The reductions that make a definition where they are all of other semirings than sums."""
    found = {n.op for n in postorder_outside_reductions(made.body) if isinstance(n, Reduce)}
    return found if "sum" not in found else set()


def _stays(made: Definition, readers: list[Definition]) -> bool:
    """Whether a sum of products has several readers and one of them adds to it or multiplies it as it is."""
    return (
        len(readers) > 1
        and _multiplies(made)
        and any(
            not use.reduction and not use.exponential
            for reader in readers
            for use in _uses(reader, made.tensor)
        )
    )


def _added(program: Program) -> set[Tensor]:
    """Sums of products that are added to a later one with which they have no operand in common."""
    operands: dict[
        Tensor, frozenset[Tensor]
    ] = {}  # of the sums, or of those that an elementwise one is made of
    found: set[Tensor] = set()
    for definition in program.definitions():
        read = tensors_read(definition.body)
        added = [t for t in operands if t in read and _outside(definition, t)]
        last = read if _multiplies(definition) else operands[added.pop()] if added else None
        if last is None:
            continue
        apart = {t for t in added if operands[t].isdisjoint(last)}
        found |= apart
        if _multiplies(definition) or elementwise(definition):
            operands[definition.tensor] = last.union(
                *(operands[t] for t in added if t not in apart)
            )
    return found


def _outside(reader: Definition, tensor: Tensor) -> bool:
    return any(not use.reduction for use in _uses(reader, tensor))


def _uses(reader: Definition, tensor: Tensor) -> list[_Use]:
    found: list[_Use] = []
    stack: list[tuple[Expr, _Use]] = [(reader.body, _Use())]
    seen: set[tuple[Expr, _Use]] = set()
    while stack:
        node, use = stack.pop()
        if (node, use) in seen or tensor not in tensors_read(node):
            continue
        seen.add((node, use))
        if use.reduction and use.inner.isdisjoint(free_iters(node)):
            use = _Use(exponential=use.exponential)
        opaque = replace(use, opaque=True)
        match node:
            case Read():
                if node.tensor is tensor:
                    found.append(use)
                stack += [(c, opaque) for c in node.children()]
            case Reduce(op, iters, body):
                stack.append((body, _Use(op, frozenset(iters))))
            case Apply(op, args, _):
                if op in _EXPONENTIALS or op in _LOGARITHMS:
                    stack.append((args[0], replace(use, exponential=True)))
                elif op == "where":
                    stack += [(args[0], opaque), *((a, use) for a in args[1:])]
                elif op == "div":
                    stack += [(args[0], use), (args[1], use if use.reduction == "" else opaque)]
                else:
                    kept = op in _LINEAR or use.reduction in (_ADDITIONS.get(op), _PRODUCTS.get(op))
                    stack += [(a, use if kept else opaque) for a in args]
            case _:
                stack += [(c, opaque) for c in node.children()]
    return found


def _functions(made: Definition, summed: frozenset[Tensor]) -> set[str]:
    """The functions at every point of a definition, outside its sums and of what depends on sums, that no
    product distributes over."""
    free = _exponents(made.body)
    every = {it for it in made.iters if it.extent.constant > 1}
    return {
        node.op
        for node in postorder_outside_reductions(made.body)
        if isinstance(node, Apply)
        and node.op not in _LINEAR
        and node not in free
        and _covers(node, every)
        and _depends(node, summed)
    }


def _covers(node: Expr, every: set[Iter]) -> bool:
    return every <= free_iters(node)


def _depends(node: Expr, summed: frozenset[Tensor]) -> bool:
    return not summed.isdisjoint(tensors_read(node)) or any(
        isinstance(n, Reduce) for n in postorder(node)
    )


def _exponents(body: Expr) -> set[Expr]:
    """The exponentials that are factors of an expression."""

    def factors(node: Expr) -> Iterator[Expr]:
        if isinstance(node, Apply) and node.op in ("mul", "div", "neg"):
            yield from factors(node.args[0])
            if node.op == "mul":
                yield from factors(node.args[1])
        elif isinstance(node, Apply) and node.op in _EXPONENTIALS:
            yield node

    return set(factors(body))


def _multiplies(definition: Definition) -> bool:
    return any(is_product_sum(n) for n in postorder(definition.body))


def _reduces(definition: Definition) -> bool:
    return any(isinstance(n, Reduce) for n in postorder(definition.body))
