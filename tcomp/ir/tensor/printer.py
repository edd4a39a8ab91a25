"""Programs as text of the language; the text parses back to the same program.

Ranges are explicit wherever inference could give another one, conversions wherever the language would
not make them itself. Iterators are renamed only where their names clash, which passes may cause.
"""

from __future__ import annotations

from collections.abc import Iterable

from tcomp.ir.dtypes import ALL, COMPUTE, boolean, i64
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.expression_text import Names, expression_text, int_text
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
    Tensor,
    postorder,
    rewrite,
)
from tcomp.ops import OPS, REDUCTIONS

# Words that the language keeps for itself (`tcomp.lang.words`, which is above this layer).
_WORDS = "def scan in else and or not True False float int mean inf nan pi"
_RESERVED = frozenset((*_WORDS.split(), *OPS, *REDUCTIONS, *(t.name for t in ALL)))

__all__ = ["definition_text", "expression_text", "int_text", "print_program"]


def print_program(program: Program) -> str:
    """The program as a `def`, bound or not. Constraints are not shown: explicit ranges imply them."""
    inputs = ", ".join(map(_declaration, program.inputs))
    results = [_declaration(t) for t in program.results]
    given = results[0] if len(results) == 1 else f"({', '.join(results)})"
    taken = _RESERVED | frozenset(
        [s.name for s in program.sizes]
        + [t.name for t in program.inputs]
        + [d.tensor.name for d in program.definitions()]
    )
    lines = [f"def {program.name}({inputs}) -> {given}:"]
    for statement in program.body:
        if not isinstance(statement, Scan):
            lines.append("    " + _definition(statement, program.results, taken))
            continue
        members = [
            _definition(d, program.results, taken, statement.iter) for d in statement.definitions
        ]
        head = f"scan[{_ranged(statement.iter)}]"
        if len(members) == 1:
            lines.append(f"    {head} {members[0]}")
        else:
            lines += [f"    {head}:", *(f"        {m}" for m in members)]
    return "\n".join(lines) + "\n"


def definition_text(definition: Definition) -> str:
    """One definition on a line, every range explicit."""
    return _definition(definition, (), _RESERVED | {definition.tensor.name})


def _declaration(tensor: Tensor) -> str:
    shape = f"[{', '.join(int_text(n) for n in tensor.shape)}]" if tensor.axes else ""
    return f"{tensor.name}: {tensor.dtype}{shape}"


def _definition(
    definition: Definition,
    results: Iterable[Tensor],
    taken: frozenset[str],
    scanned: Iter | None = None,
) -> str:
    declared = definition.tensor in results
    names = _distinct(definition, taken)
    axes = [
        names[it] if declared or it is scanned else _ranged(it, names[it])
        for it in definition.iters
    ]
    left = definition.tensor.name + (f"[{', '.join(axes)}]" if axes else "")
    body = _with_distinct_reductions(definition.body, taken | set(names.values()))
    text = expression_text(body, names)
    if not declared and not _has_own_type(body, definition.tensor if scanned else None):
        text = f"cast({body.dtype}, {text})"
    return f"{left} = {text}"


def _ranged(it: Iter, name: str = "") -> str:
    return f"{name or it.name} in {int_text(it.lo)}:{int_text(it.hi)}"


def _has_own_type(body: Expr, recurrent: Tensor | None) -> bool:
    """True if a local with this body gets the body's type without a conversion.

    `recurrent` is the local itself where a scan makes it: what it says of its own type proves nothing.
    """
    if isinstance(body, Const):
        return body.dtype.name in ("f32", "i32", "bool")
    if isinstance(body, Read):
        return body.dtype in (*COMPUTE, boolean) and body.tensor is not recurrent
    if isinstance(body, IndexValue):
        return body.dtype is i64
    return recurrent is None or any(_is_typed(node, recurrent) for node in postorder(body))


def _is_typed(node: Expr, recurrent: Tensor) -> bool:
    return (isinstance(node, Read) and node.tensor is not recurrent) or (
        isinstance(node, Apply) and node.op == "cast"
    )


def _distinct(definition: Definition, taken: frozenset[str]) -> Names:
    used = set(taken)
    names: dict[Iter, str] = {}
    for it in definition.iters:
        names[it] = _fresh(it.name, used)
        used.add(names[it])
    return names


def _with_distinct_reductions(body: Expr, taken: frozenset[str]) -> Expr:
    """Renames reduction iterators that clash with `taken` or with a reduction inside."""
    inner: dict[Expr, frozenset[str]] = {}
    every = {i.name for e in postorder(body) if isinstance(e, Reduce) for i in e.iters}

    def rule(node: Expr) -> Expr:
        below = frozenset().union(*(inner[c] for c in node.children()))
        if isinstance(node, Reduce):
            for it in node.iters:
                if it.name in taken or it.name in below:
                    name = _fresh(it.name, taken | below | every)
                    node = _renamed(node, it, Iter(name, it.lo, it.hi))
            below |= {i.name for i in node.iters}
        inner[node] = below
        return node

    return rewrite(body, rule)


def _renamed(node: Reduce, old: Iter, new: Iter) -> Reduce:
    iters = tuple(new if i is old else i for i in node.iters)
    return Reduce(node.op, iters, node.body.sub({old: Int.of(new)}))


def _fresh(name: str, used: Iterable[str]) -> str:
    taken = set(used)
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    return candidate
