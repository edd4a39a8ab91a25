"""The canonical form of a program, and its hash: the key under which knowledge about it is kept.

Names are replaced by places: inputs by their position, axes by theirs, definitions by what they say
(a Merkle tree). Reduction iterators are ordered by colour refinement over how they occur; ties are
resolved by trying both orders and keeping the smallest text. Operands of commutative operations are
sorted, chains of associative ones flattened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.canonical_expression import Canonical, renamed_tensors
from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    Program,
    Read,
    Scan,
    Statement,
    Tensor,
    postorder,
)


def fingerprint(program: Program, *, associative: bool = True) -> str:
    """SHA-256, in hex, of the canonical form; stable across processes and machines.

    With `associative=False` the order in which floats are added and multiplied counts, as it does for
    the exact bits of a result; a commuted pair never changes them.
    """
    text = canonical_text(canonicalise(program, associative=associative))
    return hashlib.sha256(text.encode()).hexdigest()


def equivalent(a: Program, b: Program, *, associative: bool = True) -> bool:
    """True if the canonical forms are structurally equal: the check behind equal fingerprints."""
    return canonicalise(a, associative=associative) == canonicalise(b, associative=associative)


def canonicalise(program: Program, *, associative: bool = True) -> Program:
    """An equal program whose names and orders say nothing about how it was written.

    Equal definitions become one. Inputs are called a0, a1, ..., the others t0, t1, ... in an order of
    dependence. Size symbols keep their names.
    """
    maker = _Maker(associative)
    for position, tensor in enumerate(program.inputs):
        maker.tensors[tensor] = Tensor(f"a{position}", tensor.dtype, tensor.axes)
    statements: dict[Tensor, Statement] = {}  # by the tensors that they make, under digest names
    for statement in program.body:
        fresh = maker.statement(statement)
        for definition in _definitions(fresh):
            statements[definition.tensor] = fresh
    results = tuple(maker.tensors[t] for t in program.results)
    return _numbered(program, maker.tensors, statements, results)


def result_digests(program: Program, *, associative: bool = True) -> tuple[str, ...]:
    """For each result the digest of its canonical definition, which names what it reads by digests in turn.

    Programs with equal inputs and equal digests say the same; what no result needs does not count.
    """
    maker = _Maker(associative)
    for position, tensor in enumerate(program.inputs):
        maker.tensors[tensor] = Tensor(f"a{position}", tensor.dtype, tensor.axes)
    for statement in program.body:
        maker.statement(statement)
    return tuple(maker.tensors[t].name for t in program.results)


def canonical_text(program: Program) -> str:
    """Everything about a canonical program, types of constants included, as text."""
    lines = [
        "sizes " + ", ".join(s.name for s in program.sizes),
        *("input " + _declared(t) for t in program.inputs),
        *("result " + t.name for t in program.results),
    ]
    for statement in program.body:
        if isinstance(statement, Scan):
            lines.append(f"scan {statement.iter.name}")
        for d in _definitions(statement):
            iters = ",".join(i.name for i in d.iters)
            lines.append(f"{_declared(d.tensor)} [{iters}] = {d.body.key}")
    for c in program.constraints:
        lines.append(f"constraint {c.left.key} {c.relation} {c.right.key}")
    return "\n".join(lines)


_REMEMBERED = 1 << 13
_made: dict[tuple[object, ...], Definition] = {}


@lru_cache(_REMEMBERED)
def _tensors_read(body: Expr) -> tuple[Tensor, ...]:
    return tuple(dict.fromkeys(n.tensor for n in postorder(body) if isinstance(n, Read)))


class _Maker:
    """Rewrites statements in textual order; a tensor's new name is the digest of its definition."""

    def __init__(self, associative: bool) -> None:
        self.associative = associative
        self.tensors: dict[Tensor, Tensor] = {}

    def statement(self, statement: Statement) -> Statement:
        if not isinstance(statement, Scan):
            made = self.definition(statement, None)
            name = _digest(_declared(made.tensor), made.body.key)
            tensor = Tensor(name, made.tensor.dtype, made.tensor.axes)
            self.tensors[statement.tensor] = tensor
            return Definition(tensor, made.iters, made.body)
        ordered = Iter("t", statement.iter.lo, statement.iter.hi)
        for position, each in enumerate(statement.definitions):
            own = Tensor(f"s{position}", each.tensor.dtype, each.tensor.axes)
            self.tensors[each.tensor] = own
        members = [self.definition(each, statement.iter) for each in statement.definitions]
        name = _digest(*(f"{_declared(m.tensor)}{_names(m)}{m.body.key}" for m in members))
        final = {
            m.tensor: Tensor(f"{name}.{m.tensor.name}", m.tensor.dtype, m.tensor.axes)
            for m in members
        }
        for each, member in zip(statement.definitions, members, strict=True):
            self.tensors[each.tensor] = final[member.tensor]
        return Scan(ordered, tuple(_with_tensors(m, final) for m in members))

    def definition(self, definition: Definition, scanned: Iter | None) -> Definition:
        """The canonical definition; of those made last the results are remembered."""
        read = tuple(self.tensors.get(t, t) for t in _tensors_read(definition.body))
        old = definition.tensor
        key = (definition, scanned, read, self.tensors.get(old), self.associative)
        if key not in _made:
            if len(_made) >= _REMEMBERED:
                _made.clear()
            _made[key] = self._definition(definition, scanned)
        return _made[key]

    def _definition(self, definition: Definition, scanned: Iter | None) -> Definition:
        names = ["t" if it is scanned else f"x{p}" for p, it in enumerate(definition.iters)]
        iters = tuple(Iter(n, i.lo, i.hi) for n, i in zip(names, definition.iters, strict=True))
        environment = {old: Int.of(new) for old, new in zip(definition.iters, iters, strict=True)}
        body = Canonical(self.tensors, self.associative).form(definition.body, environment)
        old = definition.tensor
        tensor = self.tensors.get(old, Tensor("", old.dtype, old.axes))
        return Definition(tensor, iters, body)


def _numbered(
    program: Program,
    tensors: dict[Tensor, Tensor],
    statements: dict[Tensor, Statement],
    results: tuple[Tensor, ...],
) -> Program:
    """Definitions in an order of dependence from the results, dead ones last, called t0, t1, ..."""
    order: dict[int, Statement] = {}
    for root in (*results, *sorted(statements, key=lambda t: t.name)):
        _visit(root, statements, order)
    made = [d.tensor for s in order.values() for d in _definitions(s)]
    final = {t: Tensor(f"t{n}", t.dtype, t.axes) for n, t in enumerate(made)}
    return Program(
        "canonical",
        program.sizes,
        tuple(tensors[t] for t in program.inputs),
        tuple(final.get(t, t) for t in results),
        tuple(_statement_with_tensors(s, final) for s in order.values()),
        program.constraints,
    )


def _visit(root: Tensor, statements: dict[Tensor, Statement], order: dict[int, Statement]) -> None:
    stack = [(root, False)]
    begun: set[int] = set(order)
    while stack:
        tensor, done = stack.pop()
        statement = statements.get(tensor)
        if statement is None:
            continue
        if done:
            order.setdefault(id(statement), statement)
        elif id(statement) not in begun:
            begun.add(id(statement))
            stack.append((tensor, True))
            stack.extend((read, False) for read in reversed(_reads(statement)))


def _reads(statement: Statement) -> list[Tensor]:
    found: dict[Tensor, None] = {}
    for definition in _definitions(statement):
        for node in postorder(definition.body):
            if isinstance(node, Read):
                found[node.tensor] = None
    return list(found)


def _definitions(statement: Statement) -> Iterable[Definition]:
    return statement.definitions if isinstance(statement, Scan) else (statement,)


def _statement_with_tensors(statement: Statement, final: dict[Tensor, Tensor]) -> Statement:
    if isinstance(statement, Scan):
        return Scan(statement.iter, tuple(_with_tensors(d, final) for d in statement.definitions))
    return _with_tensors(statement, final)


def _with_tensors(definition: Definition, final: dict[Tensor, Tensor]) -> Definition:
    body: Expr = renamed_tensors(definition.body, final)
    return Definition(final[definition.tensor], definition.iters, body)


def _declared(tensor: Tensor) -> str:
    axes = ",".join(f"{lo.key}:{hi.key}" for lo, hi in tensor.axes)
    return f"{tensor.name}:{tensor.dtype}[{axes}]"


def _names(definition: Definition) -> str:
    return ",".join(i.name for i in definition.iters)


def _digest(*parts: str) -> str:
    return "d" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
