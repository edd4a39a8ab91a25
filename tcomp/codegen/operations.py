"""The primitive operations as LLVM instructions; everything else has been expanded into these.

Floating-point instructions carry no fast-math flags: what is written is what is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tcomp.codegen.conversions import bitcast, cast, chosen_constant
from tcomp.codegen.dots import emit_dot
from tcomp.codegen.scalef import emit_scalef
from tcomp.codegen.ssa import FunctionBuilder, Ssa
from tcomp.codegen.types import literal, register
from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import DType, f32, f64
from tcomp.ir.loop.nodes import Const, Op
from tcomp.ops.dots import DOTS
from tcomp.target import Target

Instruction: TypeAlias = Callable[[FunctionBuilder, Op, list[Ssa]], Ssa]

_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INTEGER = {
    "add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or",
    "bit_and": "and", "bit_or": "or", "bit_xor": "xor", "shift_left": "shl",
}  # fmt: skip
_BY_SIGN = {
    "shift_right": ("ashr", "lshr"), "truncdiv": ("sdiv", "udiv"), "truncmod": ("srem", "urem"),
}  # fmt: skip
_FLOAT_COMPARE = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_ORDERED = {"lt", "le", "gt", "ge"}
_FLOAT_INTRINSICS = {
    "sqrt": "llvm.sqrt", "floor": "llvm.floor", "ceil": "llvm.ceil", "trunc": "llvm.trunc",
    "round": "llvm.roundeven", "abs": "llvm.fabs",
}  # fmt: skip


def emit_operation(builder: FunctionBuilder, target: Target, node: Op, args: list[Ssa]) -> Ssa:
    """The value of a primitive operation on operands that are already emitted.

    Raises InternalError for an operation that is not primitive.
    """
    type_ = register(node.dtype, node.lanes)
    operand = node.args[0].dtype
    match node.op:
        case "where":
            return _select(builder, type_, node, args)
        case "cast":
            return cast(builder, args[0], operand, node.dtype, node.lanes, target)
        case "bitcast":
            return bitcast(builder, args[0], type_)
        case "not":
            return _instruction(builder, "xor", type_, [args[0], _true(type_, node)])
        case "fma":
            name = "llvm.fma" if target.has_fma else "llvm.fmuladd"
            return builder.call(name, type_, args)
        case "exact_fma":
            return builder.call("llvm.fma", type_, args)
        case "ldexp":
            return emit_scalef(builder, node.dtype, node.lanes, args)
    if node.op in DOTS:
        return emit_dot(builder, target, node, args)
    if node.op in _FLOAT_COMPARE:
        return _compare(builder, node.op, operand, type_, args)
    if node.dtype.is_float:
        found = _float_operation(builder, node.op, type_, args)
    else:
        found = _integer_operation(builder, node.op, node.dtype, type_, args)
    if found is None:
        names = ", ".join(a.dtype.name for a in node.args)
        raise InternalError(f"'{node.op}' on ({names}) is not a primitive", code="TC099")
    return found


def _float_operation(builder: FunctionBuilder, op: str, type_: str, args: list[Ssa]) -> Ssa | None:
    if op == "neg":
        return builder.pure(f"fneg {args[0].typed}", type_, args)
    if op in _FLOAT:
        return _instruction(builder, _FLOAT[op], type_, args)
    if op in _FLOAT_INTRINSICS:
        return builder.call(_FLOAT_INTRINSICS[op], type_, args)
    return None


def _integer_operation(
    builder: FunctionBuilder, op: str, dtype: DType, type_: str, args: list[Ssa]
) -> Ssa | None:
    if op == "neg":
        return builder.pure(f"sub {type_} zeroinitializer, {args[0]}", type_, args)
    if op in _INTEGER:
        return _instruction(builder, _INTEGER[op], type_, args)
    if op in _BY_SIGN:
        return _instruction(builder, _BY_SIGN[op][not dtype.is_signed], type_, args)
    if op in ("minimum", "maximum"):
        return builder.call(f"llvm.{'s' if dtype.is_signed else 'u'}{op[:3]}", type_, args)
    if op == "abs":
        return _absolute(builder, type_, args[0]) if dtype.is_signed else args[0]
    return None


def _instruction(builder: FunctionBuilder, name: str, type_: str, args: list[Ssa]) -> Ssa:
    return builder.pure(f"{name} {args[0].typed}, {args[1]}", type_, args)


def _select(builder: FunctionBuilder, type_: str, node: Op, args: list[Ssa]) -> Ssa:
    _, then, otherwise = node.args
    scalar = node.lanes == 1 and node.dtype in (f32, f64)
    if scalar and isinstance(then, Const) and isinstance(otherwise, Const):
        return chosen_constant(builder, node.dtype, (then.value, otherwise.value), args[0])
    return builder.pure("select " + ", ".join(a.typed for a in args), type_, args)


def _compare(builder: FunctionBuilder, op: str, operand: DType, type_: str, args: list[Ssa]) -> Ssa:
    if operand.is_float:
        name = f"fcmp {_FLOAT_COMPARE[op]}"
    else:
        sign = ("s" if operand.is_signed else "u") if op in _ORDERED else ""
        name = f"icmp {sign}{op}"
    return _instruction(builder, name, type_, args)


def _absolute(builder: FunctionBuilder, type_: str, value: Ssa) -> Ssa:
    return builder.call("llvm.abs", type_, [value, Ssa("false", "i1")])


def _true(type_: str, node: Op) -> Ssa:
    return Ssa(literal(True, node.dtype, node.lanes), type_)
