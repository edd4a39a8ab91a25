"""Equalities between definitions: merging a producer into its readers, pairwise products."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    postorder,
    tensors_read,
)
from tcomp.passes.contraction_order import ordered_sums
from tcomp.passes.derivation.algebra import merge_sums
from tcomp.passes.derivation.rule import replaced, with_body
from tcomp.passes.inline import inlined
from tcomp.passes.scoping import names_of


def merge_traversals(program: Program) -> Iterator[tuple[str, Program]]:
    """A local tensor's definition moves into all of its readers, and sums that meet become one.

    Without the latter a loop-invariant inner sum would be lifted out again at once. Sums do not move into
    scans: all steps' sums at once are one large product, each step's alone is a small one. Nor do they move
    behind guards, where they could not meet another sum.
    """
    for statement in program.body:
        if isinstance(statement, Scan) or statement.tensor in program.results:
            continue
        if _is_sum_for_scan(statement, program) or _is_guarded_sum(statement, program):
            continue
        merged = inlined(program, statement)
        if merged is not None:
            yield statement.tensor.name, _with_sums_merged(merged)


def _is_sum_for_scan(definition: Definition, program: Program) -> bool:
    """Whether a definition reduces, and a scan reads it."""
    scanned = (d for s in program.body if isinstance(s, Scan) for d in s.definitions)
    return any(isinstance(n, Reduce) for n in postorder(definition.body)) and any(
        definition.tensor in tensors_read(d.body) for d in scanned
    )


def _is_guarded_sum(definition: Definition, program: Program) -> bool:
    """Whether a definition reduces, and is read with a guard."""
    return any(isinstance(n, Reduce) for n in postorder(definition.body)) and any(
        isinstance(n, Read) and n.tensor is definition.tensor and n.otherwise is not None
        for d in program.definitions()
        for n in postorder(d.body)
    )


def _with_sums_merged(program: Program) -> Program:
    taken = names_of(program)
    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Scan):
            body.append(statement)
            continue
        merged = statement.body
        while (step := _first_merge(merged, taken)) is not None:
            merged = step
        body.append(Definition(statement.tensor, statement.iters, merged))
    return with_body(program, tuple(body))


def _first_merge(body: Expr, taken: set[str]) -> Expr | None:
    for node in postorder(body):
        for merged in merge_sums(node, taken):
            return replaced(body, node, merged)
    return None


def reassociate(definition: Definition, taken: set[str]) -> Iterator[tuple[Statement, ...]]:
    """Sums of three or more factors become pairwise sums in the cheapest order."""
    ordered = ordered_sums(definition, taken)
    if ordered != [definition]:
        yield tuple(ordered)
