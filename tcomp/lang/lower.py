"""From a syntax tree to a tensor program: one def, with everything that it calls inlined."""

from __future__ import annotations

from collections.abc import Mapping

from tcomp.diagnostics import CompileError
from tcomp.ir.dtypes import DType
from tcomp.ir.integer import Int
from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.lang.declarations import Number
from tcomp.lang.definitions import assignments, lower_body, target_name
from tcomp.lang.frame import Context, Frame, Handle
from tcomp.lang.library import Defs, entry_def
from tcomp.lang.signature import Argument, Generic, declare
from tcomp.lang.syntax import Module
from tcomp.lang.words import FUNCTIONS


def lower(
    module: Module,
    entry: str | None = None,
    generics: Mapping[str, DType] | None = None,
    params: Mapping[str, Number] | None = None,
    functions: frozenset[str] = FUNCTIONS,
) -> Program:
    """The tensor program of the entry (None: the last def), with symbolic sizes and explicit types.

    `generics` says what `float`, `int` and `element` stand for (f32, i32 and f32 where it does not),
    `params` fixes parameters, `functions` are the scalar functions that may be called. Raises CompileError
    for every mistake that does not depend on sizes.
    """
    definition = entry_def(module, entry)
    frame = Frame(Context(Defs(module), set(), functions), definition, {})
    given = declare(frame, params or {})
    frame.types = {**given.bind_generics({}), **(generics or {})}
    inputs = tuple(_tensor(a, frame) for a in given.inputs)
    results = tuple(_tensor(a, frame) for a in given.results)
    frame.tensors = {t.name: Handle(t, t.axes) for t in inputs}
    frame.results = {t.name: Handle(t, t.axes) for t in results}
    locals_ = [target_name(t) for s in definition.body for a in assignments(s) for t in a.targets]
    frame.context.taken |= {*frame.sizes, *frame.tensors, *frame.results, *locals_}
    frame.context.active.append(definition.name)
    try:
        lower_body(frame)
    except RecursionError:
        span = definition.source.span(definition.start, definition.end)
        raise CompileError("an expression is nested too deeply", code="TC029", span=span) from None
    context = frame.context
    return Program(
        definition.name,
        given.sizes,
        inputs,
        tuple(frame.tensors[t.name].tensor for t in results),
        tuple(context.statements),
        tuple(context.constraints.values()),
        context.spans,
    )


def _tensor(argument: Argument, frame: Frame) -> Tensor:
    dtype = argument.dtype
    concrete = frame.types[dtype.name] if isinstance(dtype, Generic) else dtype
    return Tensor(argument.name, concrete, tuple((Int.of(0), e) for e in argument.shape))
