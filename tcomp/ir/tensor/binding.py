"""Binding sizes: from a program over size symbols to one whose extents are all constant.

What depends on sizes is judged here, once: constraints, extents, overflow, empty reductions, and that
every unguarded read stays inside its tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from tcomp.diagnostics import CompileError, Span, nearest
from tcomp.ir.integer import Int, Iter, Size
from tcomp.ir.tensor.nodes import (
    Constraint,
    Definition,
    Expr,
    Program,
    Reduce,
    Scan,
    Statement,
    Tensor,
    substitute,
    substitute_iter,
    substitute_tensor,
)
from tcomp.ir.tensor.reach import check_reads
from tcomp.ops import REDUCTIONS

Sizes: TypeAlias = Mapping[Size, Int]
Spans: TypeAlias = Mapping[Expr, Span]

_LARGEST = (1 << 63) - 1


def bind(program: Program, sizes: Mapping[str, int]) -> Program:
    """The program with every size symbol replaced by its value; it has no sizes and no constraints.

    Raises CompileError: sizes missing, unknown or negative (TC065), division by zero (TC064), a broken
    constraint (its own code), a negative extent (TC061), a tensor beyond 2**63 - 1 bytes (TC062), max,
    min, argmax or argmin over nothing (TC063), an unguarded read that can leave its tensor (TC060).
    """
    values = _values(program, sizes)
    try:
        for constraint in program.constraints:
            _check_constraint(constraint, values)
        bound = _substituted(program, values)
    except ZeroDivisionError as error:
        message = f"a size expression of '{program.name}' divides by zero with {_shown(values)}"
        raise CompileError(message, code="TC064", hint="choose other sizes") from error
    for tensor in (*bound.inputs, *(d.tensor for d in bound.definitions())):
        _check_tensor(tensor, program.name, values)
    for definition in bound.definitions():
        _check_ranges(definition, bound.spans)
        check_reads(definition, bound.spans)
    return bound


def _values(program: Program, sizes: Mapping[str, int]) -> dict[Size, Int]:
    names = [s.name for s in program.sizes]
    for name, value in sizes.items():
        if name not in names:
            message = f"'{program.name}' has no size '{name}'; it has {', '.join(names) or 'none'}"
            raise CompileError(message, code="TC065", hint=nearest(name, names))
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise CompileError(f"size '{name}' must be an integer, not {value!r}", code="TC065")
        if not 0 <= value <= _LARGEST:
            raise CompileError(f"size '{name}' cannot be {value}", code="TC065")
    missing = [name for name in names if name not in sizes]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        message = f"the size{'s' * (len(missing) > 1)} {listed} of '{program.name}' must be given"
        raise CompileError(message, code="TC065")
    return {s: Int.of(sizes[s.name].__index__()) for s in program.sizes}


def _check_constraint(constraint: Constraint, values: Sizes) -> None:
    left, right = int(constraint.left.sub(values)), int(constraint.right.sub(values))
    if left == right or (constraint.relation == ">=" and left > right):
        return
    message = f"{constraint.message}: {constraint.left} is {left}, {constraint.right} is {right}"
    raise CompileError(message, code=constraint.code, span=constraint.span)


def _substituted(program: Program, values: Sizes) -> Program:
    done: dict[Expr, Expr] = {}  # shared, so that the bodies' expressions keep their spans

    def definition(old: Definition) -> Definition:
        iters = tuple(substitute_iter(i, values) for i in old.iters)
        return Definition(
            substitute_tensor(old.tensor, values), iters, substitute(old.body, values, done)
        )

    def statement(old: Statement) -> Statement:
        if isinstance(old, Scan):
            return Scan(substitute_iter(old.iter, values), tuple(map(definition, old.definitions)))
        return definition(old)

    body = tuple(map(statement, program.body))
    return Program(
        program.name,
        (),
        tuple(substitute_tensor(t, values) for t in program.inputs),
        tuple(substitute_tensor(t, values) for t in program.results),
        body,
        (),
        {done[e]: span for e, span in program.spans.items() if e in done},
    )


def _check_tensor(tensor: Tensor, program: str, values: Sizes) -> None:
    for axis, extent in enumerate(map(int, tensor.shape)):
        if extent < 0:
            message = f"axis {axis} of '{tensor.name}' in '{program}' has the extent {extent}"
            hint = f"the sizes are {_shown(values)}" if values else ""
            raise CompileError(message, code="TC061", hint=hint)
    if math.prod(map(int, tensor.shape)) * tensor.dtype.bytes > _LARGEST:
        shape = ", ".join(str(int(n)) for n in tensor.shape)
        message = f"'{tensor.name}' of shape [{shape}] takes more than 2**63 - 1 bytes"
        raise CompileError(message, code="TC062")


def _check_ranges(definition: Definition, spans: Spans) -> None:
    if not all(map(int, definition.tensor.shape)):
        return
    for node in _reductions(definition.body):
        for it in node.iters:
            if int(it.extent) < 0:
                message = f"the range {it.lo}:{it.hi} of '{it.name}' ends before it begins"
                raise CompileError(message, code="TC061", span=spans.get(node))
        if not all(int(i.extent) for i in node.iters) and not REDUCTIONS[node.op].has_identity:
            message = f"'{node.op}' over an empty range has no value: {_ranges(node.iters)}"
            raise CompileError(message, code="TC063", span=spans.get(node))


def _reductions(body: Expr) -> Iterator[Reduce]:
    stack, seen = [body], {body}
    while stack:
        node = stack.pop()
        if isinstance(node, Reduce):
            yield node
        fresh = [c for c in node.children() if c not in seen]
        seen.update(fresh)
        stack.extend(fresh)


def _ranges(iters: Iterable[Iter]) -> str:
    return ", ".join(f"{i.name} in {i.lo}:{i.hi}" for i in iters)


def _shown(values: Sizes) -> str:
    return ", ".join(f"{s.name}={v}" for s, v in values.items()) or "constants"
