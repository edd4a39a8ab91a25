"""Conversions that LLVM has an instruction for, and that no processor turns into a library call."""

from __future__ import annotations

import numpy as np

from tcomp.codegen.ssa import FunctionBuilder, Ssa
from tcomp.codegen.types import literal, mangled, register
from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import DType, bf16, boolean, f16, f32, f64, u32, u64
from tcomp.target import Target


def cast(
    builder: FunctionBuilder, value: Ssa, source: DType, goal: DType, lanes: int, target: Target
) -> Ssa:
    """`value` of type `source` as `goal`. Raises InternalError where LLVM has no plain instruction."""
    type_ = register(goal, lanes)
    if source is goal:
        return value
    if goal.is_bool:
        return _to_bool(builder, value, source, lanes)
    if source.is_float and goal.is_float:
        return _between_floats(builder, value, source, goal, lanes, target)
    if goal.is_float and goal in (f32, f64):
        if source.is_bool and lanes == 1:
            return chosen_constant(builder, goal, (1.0, 0.0), value)
        name = "sitofp" if source.is_signed else "uitofp"
        return builder.pure(f"{name} {value.typed} to {type_}", type_, [value])
    if source in (f32, f64) and goal.is_integer:
        name = f"llvm.fpto{'s' if goal.is_signed else 'u'}i.sat"
        full = f"{name}.{mangled(type_)}.{mangled(value.type)}"
        return builder.call_exact(full, type_, [value])
    if not source.is_float and goal.is_integer:
        return _between_integers(builder, value, source, goal, type_)
    raise _not_primitive(source, goal)


def bitcast(builder: FunctionBuilder, value: Ssa, type_: str) -> Ssa:
    """The same bits as another type; nothing where both are the same LLVM type."""
    if value.type == type_:
        return value
    return builder.pure(f"bitcast {value.typed} to {type_}", type_, [value])


def chosen_constant(
    builder: FunctionBuilder, dtype: DType, values: tuple[float, float], condition: Ssa
) -> Ssa:
    """One of two scalar float constants, by its bits.

    LLVM 22 makes a select of float constants, and the conversion of a boolean, a load from a table; where it
    finds out later that the condition is known, and the value is broadcast, it aborts (APInt::insertBits,
    X86 constant folding).
    """
    bits = u32 if dtype is f32 else u64
    raw = [int(np.asarray(value, dtype.numpy).view(bits.numpy)) for value in values]
    words = [Ssa(literal(word, bits), register(bits)) for word in raw]
    text = "select " + ", ".join(a.typed for a in (condition, *words))
    return bitcast(
        builder, builder.pure(text, register(bits), [condition, *words]), register(dtype)
    )


def _to_bool(builder: FunctionBuilder, value: Ssa, source: DType, lanes: int) -> Ssa:
    if source.is_float and source not in (f16, f32, f64):
        raise _not_primitive(source, source)
    compare = "fcmp une" if source.is_float else "icmp ne"
    zero = literal(0, source, lanes)
    return builder.pure(f"{compare} {value.typed}, {zero}", register(boolean, lanes), [value])


def _between_integers(
    builder: FunctionBuilder, value: Ssa, source: DType, goal: DType, type_: str
) -> Ssa:
    width = 1 if source.is_bool else source.bits
    if width == goal.bits:
        return value
    name = "trunc" if width > goal.bits else "sext" if source.is_signed else "zext"
    return builder.pure(f"{name} {value.typed} to {type_}", type_, [value])


def _between_floats(
    builder: FunctionBuilder, value: Ssa, source: DType, goal: DType, lanes: int, target: Target
) -> Ssa:
    type_ = register(goal, lanes)
    if source is bf16 and goal in (f32, f64):
        wide = register(u32, lanes)
        bits = builder.pure(f"zext {value.typed} to {wide}", wide, [value])
        high = builder.pure(f"shl {bits.typed}, {literal(16, u32, lanes)}", wide, [bits])
        single = bitcast(builder, high, register(f32, lanes))
        return cast(builder, single, f32, goal, lanes, target)
    if (source, goal) == (f16, f64):  # in two exact steps: half to double is a library call
        single = cast(builder, value, f16, f32, lanes, target)
        return cast(builder, single, f32, f64, lanes, target)
    if (source, goal) in ((f32, f64), (f16, f32)):
        return builder.pure(f"fpext {value.typed} to {type_}", type_, [value])
    if (source, goal) in ((f64, f32), (f32, f16)):
        return builder.pure(f"fptrunc {value.typed} to {type_}", type_, [value])
    raise _not_primitive(source, goal)


def _not_primitive(source: DType, goal: DType) -> InternalError:
    return InternalError(f"cast from {source} to {goal} is not a primitive", code="TC099")
