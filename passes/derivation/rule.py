"""Rules as data: a name, both sides in the language, when it holds, where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    Program,
    Scan,
    Statement,
    postorder,
    rewrite,
)
from tcomp.ir.tensor.tables import table_iters
from tcomp.passes.scoping import names_of

Application: TypeAlias = Callable[[Program], Iterator[tuple[str, Program]]]
LocalRule: TypeAlias = Callable[[Expr, set[str]], Iterator[Expr]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One equality of tensor programs.

    `before` and `after` are right sides of a definition in the language; `precondition` says when they
    are equal. `apply` yields every program that one application gives, with the name of the tensor at
    which it happened. `reassociates` marks rules that change the rounding of floats, which the accuracy
    class `strict` forbids; all rules are exact over the integers and over any field. `always` marks rules
    that only ever help: a program to which one applies is not rewritten in another way. `certain`
    marks rules whose saving is known well, however little it is: they change what is computed at a point
    and no loop, or apply only where they were measured to be faster.
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


@dataclass(frozen=True, slots=True)
class Step:
    """One application in a derivation: the rule, the tensor at which it was applied, the program after."""

    rule: str
    tensor: str
    program: Program


def everywhere(local: LocalRule) -> Application:
    """Lifts a rule on expressions to programs: one result for each place and each way to apply it."""

    def apply(program: Program) -> Iterator[tuple[str, Program]]:
        for position, statement in enumerate(program.body):
            if isinstance(statement, Scan) or is_barren(local, statement):
                continue
            taken = names_of(program)
            found = False
            for node in postorder(statement.body):
                for replacement in local(node, set(taken)):
                    found = True
                    body = replaced(statement.body, node, replacement)
                    fresh = Definition(statement.tensor, statement.iters, body)
                    yield statement.tensor.name, with_statement(program, position, (fresh,))
            if not found:
                remember_barren(local, statement)

    return apply


_barren: set[tuple[object, Definition]] = set()  # where a rule was tried and did not apply
_REMEMBERED = 1 << 14


def is_barren(rule: object, definition: Definition) -> bool:
    """Whether a rule is known not to apply to a definition; a table is as its lemma made it."""
    return (rule, definition) in _barren or bool(table_iters(definition))


def remember_barren(rule: object, definition: Definition) -> None:
    """Notes that a rule does not apply to a definition, which does not depend on the program around."""
    if len(_barren) >= _REMEMBERED:
        _barren.clear()
    _barren.add((rule, definition))


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
