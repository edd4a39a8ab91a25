"""Typed application of scalar operations: promotion, conversions, folding (product.md, "Arithmetic").

`apply` takes operands of any types and gives an operand: conversions become explicit `cast`s, so that
the operands of every `Apply` already have its compute type.
"""

from __future__ import annotations

from typing import Any

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import DType, f32, f64, i64, promote
from tcomp.ir.tensor.nodes import Apply, Const, Expr, IndexValue, truth
from tcomp.lang.powers import power
from tcomp.lang.weak import (
    Operand,
    Weak,
    WeakApply,
    WeakFloat,
    WeakInt,
    default_type,
    float_constant,
    is_weak,
    literal,
    realise,
)
from tcomp.ops import OPS, TypeRule, result_type

_ROUNDING = frozenset({"floor", "ceil", "round", "trunc"})


class WrongType(TypeError):
    """Operands that an operation does not take; the message is for the user."""


def apply(op: str, args: tuple[Operand, ...], expand: bool = True) -> Operand:
    """`op` on operands of any types. Raises WrongType and DoesNotFit.

    `expand` makes small powers products; only the function `pow` leaves them.
    """
    rule = OPS[op].rule
    if rule is TypeRule.LOGICAL:
        return _logical(op, args)
    if rule is TypeRule.SELECT:
        return _select(args)
    if op in _ROUNDING and not any(_is_floating(a) for a in args):
        return positive(args[0])  # integers are whole
    if op == "pow":
        return power(args[0], args[1], apply, expand)
    if all(map(is_weak, args)):
        return _weak(op, args)  # type: ignore[arg-type]
    dtype = common_type(args)
    if rule in (TypeRule.FLOATING, TypeRule.TEST) and not dtype.is_float:
        dtype = f32
    return make(op, *(convert(a, dtype) for a in args))


def positive(operand: Operand) -> Operand:
    """`+e`: the value as arithmetic reads it."""
    return operand if is_weak(operand) else convert(operand, default_type(operand))


def make(op: str, *args: Expr) -> Expr:
    """The operation on operands that already have its types."""
    try:
        return Apply(op, args, result_type(op, tuple(a.dtype for a in args)))
    except TypeError as error:
        raise InternalError(str(error), code="TC099") from error


def common_type(args: tuple[Operand, ...]) -> DType:
    """The type in which operands meet: typed ones promote, weak ones only decide int or float."""
    typed = [a.dtype for a in args if isinstance(a, Expr)]
    if not typed:
        return promote(*(default_type(a) for a in args))
    dtype = promote(*typed)
    if not dtype.is_float and any(_is_floating(a) for a in args):
        return f32
    return dtype


def convert(operand: Operand, dtype: DType) -> Expr:
    """The operand in another type, by an explicit conversion where its own differs."""
    if not isinstance(operand, Expr):
        return realise(operand, dtype)
    if operand.dtype is dtype:
        return operand
    if isinstance(operand, Const):
        return _cast_constant(dtype, operand.value)
    return Apply("cast", (operand,), dtype)


def store(operand: Operand, dtype: DType) -> Expr:
    """What is stored into a declared result: bool -> int -> float, and between widths.

    Raises WrongType where that takes an explicit `cast`, and DoesNotFit for a constant.
    """
    if not isinstance(operand, Expr):
        if dtype.is_bool:
            raise WrongType("a number is stored into a bool: compare it, as in e != 0")
        if operand.floating and not dtype.is_float:
            raise WrongType(f"a float is stored into {dtype}")
        return realise(operand, dtype)
    if operand.dtype.is_float and not dtype.is_float:
        raise WrongType(f"{operand.dtype} is stored into {dtype}")
    if dtype.is_bool and not operand.dtype.is_bool:
        raise WrongType(f"{operand.dtype} is stored into a bool: compare it, as in e != 0")
    return convert(operand, dtype)


def cast(dtype: DType, operand: Operand) -> Operand:
    """`cast(dtype, e)`: integers wrap, floats truncate and saturate, NaN gives 0."""
    if isinstance(operand, Expr):
        return convert(operand, dtype)
    if isinstance(operand, WeakInt) and not operand.value.is_constant:
        if (dtype.is_integer and dtype.bits < 32) or dtype.is_bool:
            return convert(IndexValue(operand.value, i64), dtype)
        return realise(operand, dtype)
    if dtype.is_float:
        return realise(operand, dtype)
    if isinstance(operand, WeakApply):
        source = f64 if operand.floating and operand.constant else operand.default
        return convert(realise(operand, source), dtype)
    known = operand.value.constant if isinstance(operand, WeakInt) else operand.value
    return _cast_constant(dtype, known)


def truth_value(operand: Operand, what: str) -> Expr:
    """A bool, or WrongType naming `what` needs one."""
    if isinstance(operand, Expr) and operand.dtype.is_bool:
        return operand
    given = operand.dtype if isinstance(operand, Expr) else "a number"
    raise WrongType(f"{what} takes bool, not {given}")


def _cast_constant(dtype: DType, value: int | float | bool) -> Expr:
    """A known number in another type: integers wrap, floats truncate and saturate."""
    import numpy as np

    from tcomp.ir.tensor import conversions

    if dtype.is_float:
        return float_constant(float(value), dtype)
    if dtype.is_bool:
        return truth(value != 0)
    if isinstance(value, int):
        wrapped = int(value) % (1 << dtype.bits)
        if dtype.is_signed and wrapped >> (dtype.bits - 1):
            wrapped -= 1 << dtype.bits
        return Const(wrapped, dtype)
    with np.errstate(all="ignore"):
        converted = conversions.convert(np.asarray(value), f64, dtype)
    return Const(converted.item(), dtype)


def _is_floating(operand: Operand) -> bool:
    return operand.dtype.is_float if isinstance(operand, Expr) else operand.floating


def _logical(op: str, args: tuple[Operand, ...]) -> Expr:
    values = tuple(truth_value(a, f"'{op}'") for a in args)
    known = [v.value for v in values if isinstance(v, Const)]
    if len(known) == len(values):
        return truth(bool(OPS[op].numpy(*known)))
    return make(op, *values)


def _select(args: tuple[Operand, ...]) -> Operand:
    condition = truth_value(args[0], "the condition of 'where'")
    yes, no = args[1:]
    if is_weak(yes) and is_weak(no):
        floating = _is_floating(yes) or _is_floating(no)
        default = promote(default_type(yes), default_type(no))
        return WeakApply("where", (condition, yes, no), floating, default)
    if all(isinstance(a, Expr) and a.dtype.is_bool for a in (yes, no)):
        return make("where", condition, yes, no)  # type: ignore[arg-type]
    dtype = common_type((yes, no))
    return make("where", condition, convert(yes, dtype), convert(no, dtype))


# -- weak operands -------------------------------------------------------------------------------------


def _weak(op: str, args: tuple[Weak, ...]) -> Operand:
    if all(_number(a) is not None for a in args):
        return _fold(op, [_number(a) for a in args])
    exact = _polynomial(op, args)
    if exact is not None:
        return exact
    rule = OPS[op].rule
    if rule in (TypeRule.COMPARISON, TypeRule.TEST):
        dtype = common_type(args)
        if dtype is f32 and all(a.constant for a in args):
            dtype = f64
        if rule is TypeRule.TEST and not dtype.is_float:
            dtype = f64
        return make(op, *(realise(a, dtype) for a in args))
    floating = rule is TypeRule.FLOATING or any(a.floating for a in args)
    return WeakApply(op, args, floating, f32 if floating else common_type(args))


def _number(operand: Weak) -> int | float | None:
    match operand:
        case WeakInt(value, _) if value.is_constant:
            return value.constant
        case WeakFloat(value):
            return value
    return None


def _fold(op: str, values: list[Any]) -> Operand:
    """Integers exactly, all else in float64 by the operation's meaning."""
    if all(isinstance(v, int) for v in values):
        whole = _fold_integers(op, values)
        if whole is not None:
            return truth(whole) if isinstance(whole, bool) else literal(whole)
        if op == "div" and values[1]:
            return WeakFloat(values[0] / values[1])
    import numpy as np

    with np.errstate(all="ignore"):
        folded = OPS[op].numpy(*(np.float64(v) for v in values))
    return truth(bool(folded)) if OPS[op].rule in (
        TypeRule.COMPARISON, TypeRule.TEST
    ) else WeakFloat(float(folded))  # fmt: skip


def _fold_integers(op: str, values: list[int]) -> int | bool | None:
    first = values[0]
    second = values[-1]
    match op:
        case "add":
            return first + second
        case "sub":
            return first - second
        case "mul":
            return first * second
        case "neg":
            return -first
        case "floordiv":
            return first // second if second else 0
        case "mod":
            return first % second if second else 0
        case "minimum":
            return min(values)
        case "maximum":
            return max(values)
        case "clip":
            return min(max(first, values[1]), second)
        case "abs":
            return abs(first)
        case "sign":
            return (first > 0) - (first < 0)
        case "relu":
            return max(first, 0)
        case "eq" | "ne" | "lt" | "le" | "gt" | "ge":
            return bool(OPS[op].numpy(first, second))
        case "isnan" | "isinf":
            return False
    return None


def _polynomial(op: str, args: tuple[Weak, ...]) -> WeakInt | None:
    whole = [a for a in args if isinstance(a, WeakInt)]
    if len(whole) < len(args):
        return None
    first, second = whole[0].value, whole[-1].value
    default = promote(*(a.default for a in whole))
    match op:
        case "add":
            return WeakInt(first + second, default)
        case "sub":
            return WeakInt(first - second, default)
        case "mul":
            return WeakInt(first * second, default)
        case "neg":
            return WeakInt(-first, default)
        case "floordiv" if second.is_constant and second.constant:
            return WeakInt(first // second, default)
        case "mod" if second.is_constant and second.constant:
            return WeakInt(first % second, default)
    return None
