"""Sharing: definitions that are equal but for the names of iterators are computed once."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
    rewrite,
    substitute,
    tensors_read,
)


def share_equal(program: Program) -> Program:
    """Definitions that are equal but for the names of iterators become one."""
    shapes = Counter((d.tensor.dtype, d.tensor.axes) for d in program.definitions())
    if len(shapes) == shapes.total():
        return program
    known: dict[tuple[object, ...], list[Definition]] = {}
    renamed: dict[Tensor, Tensor] = {}
    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Scan):
            members = tuple(_reading(d, renamed) for d in statement.definitions)
            body.append(Scan(statement.iter, members))
            continue
        definition = _reading(statement, renamed)
        tensor = definition.tensor
        if shapes[tensor.dtype, tensor.axes] > 1:
            reads = tensors_read(definition.body)
            similar = known.setdefault((tensor.dtype, tensor.axes, reads), [])
            first = next((d for d in similar if _nameless(d) is _nameless(definition)), None)
            if first is not None and tensor not in program.results:
                renamed[tensor] = first.tensor
                continue
            similar.append(definition)
        body.append(definition)
    return Program(
        program.name,
        program.sizes,
        program.inputs,
        program.results,
        tuple(body),
        spans=program.spans,
    )


def _reading(definition: Definition, renamed: dict[Tensor, Tensor]) -> Definition:
    if tensors_read(definition.body).isdisjoint(renamed):
        return definition

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Read) and node.tensor in renamed:
            return Read(renamed[node.tensor], node.index, node.otherwise)
        return None

    return Definition(definition.tensor, definition.iters, rewrite(definition.body, rule))


@lru_cache(1 << 14)
def _nameless(definition: Definition) -> Expr:
    """The body with iterators named by position; equal bodies become the same object."""
    names = {it: Int.of(Iter(f"_{n}", it.lo, it.hi)) for n, it in enumerate(definition.iters)}
    body = substitute(definition.body, names)
    count = 0

    def rule(node: Expr) -> Expr | None:
        nonlocal count
        if not isinstance(node, Reduce):
            return None
        fresh = tuple(Iter(f"_r{count + n}", it.lo, it.hi) for n, it in enumerate(node.iters))
        count += len(fresh)
        mapping = {a: Int.of(b) for a, b in zip(node.iters, fresh, strict=True)}
        return Reduce(node.op, fresh, substitute(node.body, mapping))

    return rewrite(body, rule)
