"""Rules as data: a name, both sides in the language, when it holds, where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from tcomp.ir.tensor.graph import definitions_of
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    Program,
    Reduce,
    Scan,
    Statement,
    postorder,
    rewrite,
    tensors_read,
)
from tcomp.ir.tensor.tables import table_iters
from tcomp.passes.scoping import iterator_names, names_of

Application: TypeAlias = Callable[[Program], Iterator[tuple[str, Program]]]
LocalRule: TypeAlias = Callable[[Expr, set[str]], Iterator[Expr]]
DefinitionRule: TypeAlias = Callable[[Definition, set[str]], Iterator[tuple[Statement, ...]]]
Placement: TypeAlias = Callable[[Program, int, tuple[Statement, ...]], Program]


@dataclass(frozen=True, slots=True)
class Rule:
    """One equality of tensor programs.

    `before` and `after` are right sides of a definition in the language; `precondition` says when they
    are equal. `apply` yields every program that one application gives, with the name of the tensor at
    which it happened. `reassociates` marks rules that change the rounding of floats, which the accuracy
    class `strict` forbids; all rules are exact over the integers and over any field. `always` marks rules
    that only ever help: a program to which one applies is not rewritten in another way. `certain`
    marks rules whose saving is known well, however little it is: they change what is computed at a point
    and no loop, or apply only where they were measured to be faster. `cancels` marks rules whose errors are
    often more than `standard` allows.
    """

    name: str
    before: str
    after: str
    precondition: str
    reference: str
    apply: Application
    reassociates: bool = True
    always: bool = False
    certain: bool = False
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One application in a derivation: the rule, the tensor at which it was applied, the program after.

    Where a program was derived in parts, `part` is the number of the part that `program` is.
    """

    rule: str
    tensor: str
    program: Program
    part: int = 0


def everywhere(local: LocalRule, op: str, *more: str) -> Application:
    """Lifts a rule on expressions to programs: one result for each place and each way to apply it.

    `op` and `more` are the operations and reductions that it may rewrite.
    """

    def rule(definition: Definition, taken: set[str]) -> Iterator[tuple[Statement, ...]]:
        nodes = operations(definition)
        for node in (n for name in (op, *more) for n in nodes.get(name, ())):
            for replacement in local(node, set(taken)):
                body = replaced(definition.body, node, replacement)
                yield (Definition(definition.tensor, definition.iters, body),)

    return at_definitions(rule)


@lru_cache(1 << 12)
def operations(definition: Definition) -> Mapping[str, tuple[Expr, ...]]:
    """The operations and reductions of a definition by name, children first."""
    found: dict[str, list[Expr]] = {}
    for node in postorder(definition.body):
        if isinstance(node, Apply | Reduce):
            found.setdefault(node.op, []).append(node)
    return {op: tuple(nodes) for op, nodes in found.items()}


def at_definitions(rule: DefinitionRule, placed: Placement | None = None) -> Application:
    """Lifts a rule that replaces one definition to programs; scans and tables are as they were made.

    What a rule makes of a definition does not depend on the program around but for fresh names, so it is
    remembered, and used wherever its names are free.
    """

    known: dict[Statement, tuple[_Made, ...]] = {}
    place = with_statement if placed is None else placed

    def apply(program: Program) -> Iterator[tuple[str, Program]]:
        for position, statement in enumerate(program.body):
            found = known.get(statement)
            if found is None:
                if len(known) >= _REMEMBERED:
                    known.clear()
                found = known[statement] = _alone(rule, statement)
            if not found or not isinstance(statement, Definition):
                continue
            if not all(each.fits(program) for each in found):
                found = _made(rule, statement, names_of(program))
            for each in found:
                yield statement.tensor.name, place(program, position, each.statements)

    return apply


_REMEMBERED = 1 << 12


@dataclass(frozen=True, slots=True)
class _Made:
    """Statements in place of a definition, with the names that they introduce."""

    statements: tuple[Statement, ...]
    tensors: frozenset[str]
    iters: frozenset[str]

    def fits(self, program: Program) -> bool:
        """Whether the new names are free: an iterator's may be one of another definition's iterators."""
        every, tensors = _names(program)
        return self.tensors.isdisjoint(every) and self.iters.isdisjoint(tensors)


def _alone(rule: DefinitionRule, statement: Statement) -> tuple[_Made, ...]:
    """What a rule makes of a definition where only the definition's own names are taken."""
    if isinstance(statement, Scan) or table_iters(statement):
        return ()
    return _made(rule, statement, set(_own_names(statement)))


@lru_cache(1 << 12)
def _own_names(definition: Definition) -> frozenset[str]:
    read = {t.name for t in tensors_read(definition.body)}
    return frozenset({definition.tensor.name, *iterator_names(definition), *read})


def _made(rule: DefinitionRule, old: Definition, taken: set[str]) -> tuple[_Made, ...]:
    found = []
    for statements in rule(old, taken):
        fresh = [d for s in statements for d in definitions_of(s)]
        tensors = {d.tensor.name for d in fresh} - {old.tensor.name}
        iters = frozenset().union(*map(iterator_names, fresh)) - iterator_names(old)
        found.append(_Made(statements, frozenset(tensors), iters))
    return tuple(found)


@lru_cache(64)
def _names(program: Program) -> tuple[frozenset[str], frozenset[str]]:
    """All names of a program, and those that are no iterators'."""
    tensors = {t.name for t in program.inputs} | {d.tensor.name for d in program.definitions()}
    return frozenset(names_of(program)), frozenset(tensors | {s.name for s in program.sizes})


def with_statement(program: Program, position: int, statements: tuple[Statement, ...]) -> Program:
    """The program with one statement replaced by others."""
    body = (*program.body[:position], *statements, *program.body[position + 1 :])
    return with_body(program, body)


def with_body(program: Program, body: tuple[Statement, ...]) -> Program:
    """The program with another body."""
    return Program(program.name, program.sizes, program.inputs, program.results, body)


def replaced(body: Expr, old: Expr, new: Expr) -> Expr:
    """The expression with every occurrence of one node replaced."""
    return rewrite(body, lambda node: new if node is old else None)
