"""Carrying over: a program with other names, and parts put together as one program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.canonical_expression import renamed_tensors
from tcomp.ir.tensor.nodes import Definition, Program, Scan, Statement, Tensor, substitute
from tcomp.passes.derivation.partition import Part
from tcomp.passes.scoping import fresh_name, iterator_names, names_of, rename_bound


def carried(
    program: Program, outside: Mapping[Tensor, Tensor], names: Mapping[str, str]
) -> Program:
    """The program between other inputs and results; its own tensors are called after `names`, which tells what
    the beginnings of their names become."""
    taken = names_of(program) | {t.name for t in outside.values()}
    renamed = dict(outside)
    for definition in program.definitions():
        tensor = definition.tensor
        if tensor not in renamed:
            name = fresh_name(called(tensor.name, names), taken)
            renamed[tensor] = Tensor(name, tensor.dtype, tensor.axes)
    return Program(
        program.name,
        program.sizes,
        tuple(renamed[t] for t in program.inputs),
        tuple(renamed[t] for t in program.results),
        tuple(_statement(s, renamed) for s in program.body),
    )


def together(source: Program, parts: Sequence[Program]) -> Program:
    """One program of parts in order, which share inputs and results by name. Names of their own stay apart."""
    shared = {t for p in parts for t in (*p.inputs, *p.results)} | {*source.inputs, *source.results}
    tensors = {t.name for t in shared}
    taken = tensors | {name for p in parts for d in p.definitions() for name in iterator_names(d)}
    body: list[Statement] = []
    for part in parts:
        renamed = {}
        for definition in part.definitions():
            tensor = definition.tensor
            if tensor not in shared:
                name = fresh_name(tensor.name, taken)
                renamed[tensor] = Tensor(name, tensor.dtype, tensor.axes)
                tensors.add(name)
        body += [_statement(s, renamed) for s in part.body]
    body = [_apart(s, tensors, taken) for s in body]
    return Program(source.name, source.sizes, source.inputs, source.results, tuple(body))


def beginnings(old: Part, new: Part) -> dict[str, str]:
    """What the names of a part's tensors are in an equal part, by their places."""
    pairs = zip(old.program.definitions(), new.program.definitions(), strict=False)
    return {a.tensor.name: b.tensor.name for a, b in pairs}


def called(name: str, names: Mapping[str, str]) -> str:
    """The name of a part's tensor in an equal part."""
    known = [old for old in names if name == old or name.startswith(f"{old}_")]
    if not known:
        return name
    longest = max(known, key=len)
    return names[longest] + name[len(longest) :]


def _statement(statement: Statement, renamed: Mapping[Tensor, Tensor]) -> Statement:
    if isinstance(statement, Scan):
        return Scan(statement.iter, tuple(_definition(d, renamed) for d in statement.definitions))
    return _definition(statement, renamed)


def _definition(definition: Definition, renamed: Mapping[Tensor, Tensor]) -> Definition:
    tensor = renamed.get(definition.tensor, definition.tensor)
    return Definition(tensor, definition.iters, renamed_tensors(definition.body, renamed))


def _apart(statement: Statement, tensors: set[str], taken: set[str]) -> Statement:
    """The statement with iterators that are called like no tensor."""
    if isinstance(statement, Scan):
        return statement
    clashing = frozenset(iterator_names(statement) & tensors)
    if not clashing:
        return statement
    body = rename_bound(statement.body, clashing, taken)
    iters = tuple(
        Iter(fresh_name(it.name, taken), it.lo, it.hi) if it.name in clashing else it
        for it in statement.iters
    )
    moved = {a: Int.of(b) for a, b in zip(statement.iters, iters, strict=True) if a is not b}
    return Definition(statement.tensor, iters, substitute(body, moved))
