"""The syntax tree: what was written, before names, ranges and types are known.

Every node tells where it stands: `start` and `end` are offsets into the text of its module's `Source`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tcomp.lang.source import Source


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of program text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number or a truth value."""

    value: int | float | bool


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A size, parameter, iterator, tensor, type or named constant, used alone."""

    id: str


@dataclass(frozen=True, slots=True)
class Ranged(Node):
    """`name in lo:hi`."""

    name: str
    lo: Expression
    hi: Expression


@dataclass(frozen=True, slots=True)
class Keyword(Node):
    """`name=value` in brackets."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """`name[items]`: a read, the left side of a definition, or a type with its sizes."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Application(Node):
    """`function(arguments)` or `function[items](arguments)`: a function, a reduction or a call."""

    function: str
    items: tuple[Item, ...] | None
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Guarded(Node):
    """`read else otherwise`."""

    read: Reference
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """A prefix operation: `neg`, `pos` or `not`."""

    op: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An infix operation, by the name it has in `tcomp.ops`."""

    op: str
    left: Expression
    right: Expression


Expression: TypeAlias = Literal | Name | Reference | Application | Guarded | Unary | Binary
Item: TypeAlias = Expression | Ranged | Keyword


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """`targets = value`; several targets take the results of one call."""

    targets: tuple[Name | Reference, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class ScanBlock(Node):
    """`scan[iterator] assignment` or a block of assignments made jointly."""

    iterator: Item
    assignments: tuple[Assignment, ...]


Statement: TypeAlias = Assignment | ScanBlock


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """`name=default` of a def."""

    name: str
    default: Expression


@dataclass(frozen=True, slots=True)
class Declaration(Node):
    """`name: type` or `name: type[sizes]` of an input or a result."""

    name: str
    type: Name | Reference


@dataclass(frozen=True, slots=True)
class Def(Node):
    """One `def`. `start` to `end` is its first line, without the body."""

    name: str
    parameters: tuple[Parameter, ...]
    inputs: tuple[Declaration, ...]
    results: tuple[Declaration, ...]
    body: tuple[Statement, ...]
    source: Source


@dataclass(frozen=True, slots=True)
class Module:
    """A file's defs in textual order."""

    source: Source
    defs: tuple[Def, ...]


def children(node: Node) -> tuple[Node, ...]:
    """Direct sub-expressions and items, in textual order."""
    match node:
        case Ranged(_, _, _, lo, hi):
            return (lo, hi)
        case Keyword(_, _, _, value):
            return (value,)
        case Reference(_, _, _, items):
            return items
        case Application(_, _, _, items, arguments):
            return (*(items or ()), *arguments)
        case Guarded(_, _, read, otherwise):
            return (read, otherwise)
        case Unary(_, _, _, operand):
            return (operand,)
        case Binary(_, _, _, left, right):
            return (left, right)
    return ()


def walk(*roots: Node) -> Iterator[Node]:
    """Every expression node below and including `roots`, in textual order, parents first; iterative."""
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))
