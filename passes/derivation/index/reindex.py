"""The one step that all rules on output iterators share: a definition over other iterators, and back.

T[x] = f(x)      =      U[u] = f(g(u));  T[x] = U[h(x)]        where g(h(x)) = x
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from tcomp.ir.integer import FloorDiv, Int, Iter, Mod
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Statement,
    Tensor,
    postorder,
    substitute,
)
from tcomp.ir.tensor.nodes import (
    depends_on_data as depends_on_data,
)
from tcomp.passes.derivation.rule import (
    Application,
    DefinitionRule,
    at_definitions,
    with_statement,
)
from tcomp.passes.inline import guarded, inlined, zero
from tcomp.passes.scoping import fresh_name
from tcomp.passes.views import free_views


def on_definitions(rule: DefinitionRule) -> Application:
    """Lifts a rule that replaces one definition to programs; what only rearranges moves into its readers."""
    return at_definitions(rule, placed)


def placed(program: Program, position: int, made: tuple[Statement, ...]) -> Program:
    """The program with a definition replaced; readers of a mere rearrangement read what it rearranges, but
    for views of larger tensors, which cost nothing.

    Else planning would take a rearranged product for the product's epilogue, and undo the rule.
    """
    result = with_statement(program, position, made)
    free = free_views(result) if len(made) > 2 else frozenset()
    moved = [
        d.tensor
        for d in made
        if isinstance(d, Definition)
        and isinstance(d.body, Read)
        and d.tensor not in program.results
        and d not in free
    ]
    for tensor in moved:
        definition = next(d for d in result.definitions() if d.tensor is tensor)
        result = inlined(result, definition) or result
    return result


def reindexed(
    definition: Definition,
    iters: tuple[Iter, ...],
    forward: Mapping[Iter, Int],
    backward: tuple[Int, ...],
    taken: set[str],
    *,
    onto: bool,
    otherwise: Expr | None = None,
) -> tuple[Definition, ...] | None:
    """A definition over `iters`, and the old tensor as a rearrangement of it.

    `forward` says what the old iterators are at the new ones, `backward` where an old point is found.
    Unless every new point belongs to an old one (`onto`), the new definition makes points that nobody
    reads; its reads are guarded there, and None is given where a guard would hide a fault of data.
    `otherwise` is the old value outside the new ranges.
    """
    body = substitute(definition.body, forward)
    if not onto:
        if depends_on_data(definition.body):
            return None
        body = guarded(body)
    tensor = Tensor(
        fresh_name(definition.tensor.name, taken),
        definition.tensor.dtype,
        tuple((it.lo, it.hi) for it in iters),
    )
    back = Definition(definition.tensor, definition.iters, Read(tensor, backward, otherwise))
    return Definition(tensor, iters, body), back


def fresh(name: str, lo: int | Int, hi: int | Int, taken: set[str]) -> Iter:
    """An iterator with a name of its own."""
    return Iter(fresh_name(name, taken), Int.of(lo), Int.of(hi))


def indices(expr: Expr) -> tuple[Int, ...]:
    """Every position in an expression: those of reads, and index values."""
    facts = expr._facts  # type: ignore[attr-defined]
    if "indices" not in facts:
        found: list[Int] = []
        for node in postorder(expr):
            if isinstance(node, Read):
                found += node.index
            elif isinstance(node, IndexValue):
                found.append(node.index)
        facts["indices"] = tuple(found)
    known: tuple[Int, ...] = facts["indices"]
    return known


def positions(expr: Expr) -> tuple[Int, ...]:
    """Every position once."""
    facts = expr._facts  # type: ignore[attr-defined]
    if "positions" not in facts:
        facts["positions"] = tuple(dict.fromkeys(indices(expr)))
    known: tuple[Int, ...] = facts["positions"]
    return known


def divisors(expr: Expr, it: Iter) -> list[int]:
    """The constants by which something that moves with `it` is divided, or its remainder taken."""
    facts = expr._facts  # type: ignore[attr-defined]
    if "divisors" not in facts:
        facts["divisors"] = _divisors(expr)
    return sorted(facts["divisors"].get(it, ()))


def _divisors(expr: Expr) -> dict[object, set[int]]:
    found: dict[object, set[int]] = {}
    pending = list(positions(expr))
    while pending:
        for atom in pending.pop().atoms():
            if not isinstance(atom, FloorDiv | Mod):
                continue
            pending.append(atom.left)
            if atom.right.is_constant and atom.right.constant > 1:
                common = gcd(atom.right.constant, *(c for _, c in atom.left.terms))
                for leaf in atom.left.leaves():
                    found.setdefault(leaf, set()).add(atom.right.constant // common)
    return found


def spans(it: Iter) -> int:
    """The number of values of an iterator of a bound program."""
    return it.extent.constant


def summed(expr: Expr) -> bool:
    """Whether an expression is a sum."""
    return isinstance(expr, Reduce) and expr.op == "sum"


def where(condition: Expr, value: Expr) -> Expr:
    """The value where the condition holds, else 0."""
    return Apply("where", (condition, value, zero(value)), value.dtype)
