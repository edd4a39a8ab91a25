"""What a def's first line declares: parameters, sizes, element types, inputs and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tcomp.diagnostics import CompileError, nearest
from tcomp.ir.dtypes import DType, dtype, i64
from tcomp.ir.integer import Int
from tcomp.ir.tensor.nodes import Const, truth
from tcomp.lang.constants import constant
from tcomp.lang.frame import Frame
from tcomp.lang.scalars import Scalars
from tcomp.lang.syntax import Declaration, Expression, Keyword, Name, Parameter, Ranged
from tcomp.lang.weak import Operand, WeakFloat, WeakInt
from tcomp.lang.words import GENERICS, TYPES

Number: TypeAlias = int | float | bool


def declare_parameters(frame: Frame, given: Mapping[str, Number]) -> None:
    """Fixes every parameter at its given or default value.

    Raises CompileError: an unknown parameter (TC020), a value of another type (TC039), a default that
    is no constant (TC028).
    """
    known = [p.name for p in frame.definition.parameters]
    for name in given:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise CompileError(
                f"'{frame.definition.name}' has no parameter '{name}'; it has {listed}",
                code="TC020",
                span=frame.call,
                hint=nearest(name, known),
            )
    for parameter in frame.definition.parameters:
        frame.check_new(parameter.name, parameter, "a parameter")
        default = default_value(parameter, frame)
        value = given.get(parameter.name, default)
        frame.parameters[parameter.name] = _operand(parameter.name, value, default, frame)


def default_value(parameter: Parameter, frame: Frame) -> Number:
    """The number or truth value after `=` in the brackets of a def."""
    value = number_of(Scalars(frame, {}).operand(parameter.default))
    if value is None:
        frame.fail(
            f"the default of '{parameter.name}' is not an integer, a float or a bool",
            "TC028",
            parameter.default,
        )
    return value


def number_of(operand: Operand) -> Number | None:
    """The Python value of a known constant."""
    match operand:
        case WeakInt(value, _) if value.is_constant:
            return value.constant
        case WeakFloat(value):
            return value
        case Const(value, _):
            return value
    return None


def _operand(name: str, value: Number, default: Number, frame: Frame) -> Operand:
    if isinstance(default, bool):
        if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):
            _refuse(name, "a bool", value, frame)
        return truth(bool(value))
    if isinstance(default, int):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            _refuse(name, "an integer", value, frame)
        return WeakInt(Int.of(value.__index__()), i64)  # type: ignore[union-attr]
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        _refuse(name, "a float", value, frame)
    return WeakFloat(float(value))


def _refuse(name: str, wanted: str, value: object, frame: Frame) -> None:
    raise CompileError(
        f"the parameter '{name}' of '{frame.definition.name}' is {wanted}, not {value!r}",
        code="TC039",
        span=frame.call,
    )


def element_type(declaration: Declaration, frame: Frame) -> DType | str:
    """The declared type; `float`, `int` and `element` as they are written. Raises (TC030)."""
    node = declaration.type
    name = node.id if isinstance(node, Name) else node.name
    if name in GENERICS:
        return name
    if name in TYPES:
        return dtype(name)
    aliases = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16",
               "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
               "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
               "double": "f64", "half": "f16", "boolean": "bool"}  # fmt: skip
    close = f"did you mean '{aliases[name]}'?" if name in aliases else nearest(name, TYPES)
    frame.fail(
        f"'{name}' is no element type",
        "TC030",
        node,
        close or f"the types are {', '.join(sorted(TYPES))}",
    )


def declared_sizes(declaration: Declaration, frame: Frame) -> tuple[Expression, ...]:
    """The size expressions of a declaration. Raises CompileError (TC054) for anything else."""
    node = declaration.type
    if isinstance(node, Name):
        return ()
    for item in node.items:
        if isinstance(item, Ranged | Keyword):
            frame.fail("a size is an expression: axes start at 0", "TC054", item)
    return node.items  # type: ignore[return-value]


def is_new_size(node: Expression, frame: Frame) -> bool:
    """True for a name alone that has no meaning yet: here it becomes a size."""
    return isinstance(node, Name) and node.id not in frame.sizes and node.id not in frame.parameters


def extent(node: Expression, frame: Frame) -> Int:
    """A size that the signature computes. Raises CompileError (TC061) if it is negative."""
    made = constant(node, frame, "a size")
    if made.is_constant and int(made) < 0:
        frame.fail(f"a size cannot be {made}", "TC061", node)
    return made
