"""Lifting: a reduction that does not depend on every iterator around it becomes a definition of its own.

    P[i, j] = E[i, j] / sum[k](E[i, k])      s[i] = sum[k](E[i, k]);  P[i, j] = E[i, j] / s[i]

The work falls from |i| |j| |k| to |i| |k|. Reductions that use every iterator around them stay: lifting
those would only add memory.
"""

from __future__ import annotations

from functools import lru_cache

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
    fact,
    postorder,
)
from tcomp.passes.scoping import free_iters, fresh_name, names_of


def lift(program: Program) -> Program:
    """Lifts loop-invariant reductions of a bound program."""
    if not any(map(_has_invariant, program.definitions())):
        return program
    lifter = _Lifter(names_of(program))
    body: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Scan):
            before, inside = lifter.scan(statement)
            body.extend((*before, Scan(statement.iter, tuple(inside))))
        else:
            body.extend(lifter.definition(statement))
    return Program(
        program.name,
        program.sizes,
        program.inputs,
        program.results,
        tuple(body),
        spans=program.spans,
    )


def split_products(program: Program) -> Program:
    """Leaves one sum of products in each definition outside scans: contraction kernels make one at a time."""
    if not any(count_products(s) > 1 for s in program.body if not isinstance(s, Scan)):
        return program
    lifter = _Lifter(names_of(program))
    body: list[Statement] = []
    for statement in program.body:
        body.extend([statement] if isinstance(statement, Scan) else lifter.products(statement))
    return Program(
        program.name,
        program.sizes,
        program.inputs,
        program.results,
        tuple(body),
        spans=program.spans,
    )


class _Lifter:
    def __init__(self, taken: set[str]) -> None:
        self.taken = taken

    def definition(self, definition: Definition) -> list[Definition]:
        """The lifted definitions in order, then the definition itself."""
        if not _has_invariant(definition):
            return [definition]
        lifted: list[Definition] = []
        body = self._walk(definition.body, definition.iters, definition, lifted, {})
        return [*lifted, Definition(definition.tensor, definition.iters, body)]

    def products(self, definition: Definition) -> list[Definition]:
        """The definition with all but its last sum of products lifted, behind those."""
        body = definition.body
        products = [n for n in postorder_outside_reductions(body) if is_product_sum(n)]
        lifted: list[Definition] = []
        done: dict[Expr, Expr] = {
            n: self._lift(n, definition.iters, definition, lifted) for n in products[:-1]
        }
        for node in postorder_outside_reductions(body):
            if node not in done:
                kept = isinstance(node, Reduce)
                done[node] = node if kept else node.rebuild(tuple(done[c] for c in node.children()))
        return [*lifted, Definition(definition.tensor, definition.iters, done[body])]

    def scan(self, scan: Scan) -> tuple[list[Definition], list[Definition]]:
        made = {d.tensor for d in scan.definitions}
        before: list[Definition] = []
        inside: list[Definition] = []
        for definition in scan.definitions:
            *lifted, last = self.definition(definition)
            for each in lifted:
                (inside if scan.iter in each.iters or _reads(each, made) else before).append(each)
                if each in inside:
                    made.add(each.tensor)
            inside.append(last)
        return before, inside

    def _walk(
        self,
        expr: Expr,
        around: tuple[Iter, ...],
        definition: Definition,
        lifted: list[Definition],
        done: dict[Expr, Expr],
    ) -> Expr:
        """`expr` with its invariant reductions replaced by reads; recursion follows nested reductions only."""
        for node in postorder_outside_reductions(expr):
            if isinstance(node, Reduce):
                inner = self._walk(node.body, (*around, *node.iters), definition, lifted, {})
                result: Expr = Reduce(node.op, node.iters, inner)
                if any(_counts(it) for it in set(around) - free_iters(result)):
                    result = self._lift(result, around, definition, lifted)
            else:
                result = node.rebuild(tuple(done[c] for c in node.children()))
            done[node] = result
        return done[expr]

    def _lift(
        self, node: Expr, around: tuple[Iter, ...], definition: Definition, lifted: list[Definition]
    ) -> Expr:
        free = free_iters(node)
        iters = tuple(it for it in around if it in free)
        for known in lifted:
            if known.body is node and known.iters == iters:
                return Read(known.tensor, tuple(Int.of(it) for it in iters))
        op = node.op if isinstance(node, Reduce | Apply) else "part"
        name = fresh_name(f"{definition.tensor.name}_{op}", self.taken)
        tensor = Tensor(name, node.dtype, tuple((it.lo, it.hi) for it in iters))
        lifted.append(Definition(tensor, iters, node))
        return Read(tensor, tuple(Int.of(it) for it in iters))


@lru_cache(1 << 14)
def count_products(definition: Definition) -> int:
    """The number of sums of products outside of sums."""
    return sum(map(is_product_sum, postorder_outside_reductions(definition.body)))


def is_product_sum(node: Expr) -> bool:
    """Whether a node is a sum of products of at least two factors over iterators that make it worthwhile."""
    if not isinstance(node, Reduce) or node.op != "sum":
        return False
    product = node.body
    while isinstance(product, Apply) and product.op == "cast":
        product = product.args[0]
    return isinstance(product, Apply) and product.op == "mul"


def has_product_sum(expr: Expr) -> bool:
    """Whether such a sum is anywhere in an expression."""
    found: bool = fact(expr, "has product sum", _has_product_sum)
    return found


def _has_product_sum(node: Expr) -> bool:
    return is_product_sum(node) or any(map(has_product_sum, node.children()))


def postorder_outside_reductions(expr: Expr) -> list[Expr]:
    """Sub-expressions, children first, that are not inside a reduction's body (the reductions are included)."""
    facts = expr._facts  # type: ignore[attr-defined]
    if "outside" not in facts:
        facts["outside"] = tuple(_outside_reductions(expr)[:-1])  # no node refers to itself
    return [*facts["outside"], expr]


def _outside_reductions(expr: Expr) -> list[Expr]:
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if not isinstance(node, Reduce):
                stack.extend((c, False) for c in reversed(node.children()) if c not in seen)
    return order


@lru_cache(1 << 14)
def _has_invariant(definition: Definition) -> bool:
    """Whether a reduction does not depend on every iterator around it."""
    pending = [(definition.body, frozenset(definition.iters))]
    while pending:
        body, around = pending.pop()
        for node in postorder_outside_reductions(body):
            if isinstance(node, Reduce):
                if any(map(_counts, around - free_iters(node))):
                    return True
                pending.append((node.body, around.union(node.iters)))
    return False


def _counts(it: Iter) -> bool:
    return not it.extent.is_constant or it.extent.constant > 1


def _reads(definition: Definition, tensors: set[Tensor]) -> bool:
    return any(isinstance(n, Read) and n.tensor in tensors for n in postorder(definition.body))
