"""The scalar function registry: type rule, NumPy meaning, algebra and cost of every operation.

How an operation becomes machine code is in `tcomp.codegen`: primitives are printed as LLVM
instructions, the others expand into primitives (`tcomp.codegen.math`). A test checks that every row
has one or the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from tcomp.ir.dtypes import COMPUTE, DType, boolean, i32
from tcomp.ops import dots
from tcomp.ops import meaning as m

Meaning: TypeAlias = Callable[..., Any]


class TypeRule(Enum):
    """Which operand types an operation takes, and which type it gives. T is a compute type."""

    ARITHMETIC = "T, T -> T"
    FLOATING = "F, F -> F for f32 and f64"
    COMPARISON = "T, T -> bool"
    LOGICAL = "bool, bool -> bool"
    TEST = "F -> bool"
    SELECT = "bool, S, S -> S for any type S"
    BITS = "I, I -> I for compute integers"
    CONVERSION = "any -> any"
    WORDS = "i32, i32, i32 -> i32"


@dataclass(frozen=True, slots=True)
class ScalarOp:
    """One operation.

    `numpy` maps NumPy arrays of the operand types (or float64 for any float) to the result; it is what
    the operation means. `cost` is its weight beside an addition, in vector instructions.
    `public` operations can be written in programs; the others are made by the compiler.
    """

    name: str
    arity: int
    rule: TypeRule
    numpy: Meaning
    cost: float = 1.0
    symbol: str = ""  # infix or prefix spelling in the language
    commutative: bool = False
    associative: bool = False
    public: bool = True


def _table(*rows: ScalarOp) -> dict[str, ScalarOp]:
    return {row.name: row for row in rows}


_A, _F, _C, _L = TypeRule.ARITHMETIC, TypeRule.FLOATING, TypeRule.COMPARISON, TypeRule.LOGICAL
_T, _S, _B, _X = TypeRule.TEST, TypeRule.SELECT, TypeRule.BITS, TypeRule.CONVERSION
_W = TypeRule.WORDS

OPS: dict[str, ScalarOp] = _table(
    ScalarOp("add", 2, _A, m.add, 1, "+", commutative=True, associative=True),
    ScalarOp("sub", 2, _A, m.subtract, 1, "-"),
    ScalarOp("mul", 2, _A, m.multiply, 1, "*", commutative=True, associative=True),
    ScalarOp("div", 2, _F, m.divide, 4, "/"),
    ScalarOp("floordiv", 2, _A, m.floor_divide, 8, "//"),
    ScalarOp("mod", 2, _A, m.remainder, 10, "%"),
    ScalarOp("pow", 2, _A, m.power, 40, "**"),
    ScalarOp("neg", 1, _A, m.negative, 1, "-"),
    ScalarOp("eq", 2, _C, m.equal, 1, "==", commutative=True),
    ScalarOp("ne", 2, _C, m.not_equal, 1, "!=", commutative=True),
    ScalarOp("lt", 2, _C, m.less, 1, "<"),
    ScalarOp("le", 2, _C, m.less_equal, 1, "<="),
    ScalarOp("gt", 2, _C, m.greater, 1, ">"),
    ScalarOp("ge", 2, _C, m.greater_equal, 1, ">="),
    ScalarOp("and", 2, _L, m.logical_and, 1, "and", commutative=True, associative=True),
    ScalarOp("or", 2, _L, m.logical_or, 1, "or", commutative=True, associative=True),
    ScalarOp("not", 1, _L, m.logical_not, 1, "not"),
    ScalarOp("where", 3, _S, m.where, 1),
    ScalarOp("minimum", 2, _A, m.minimum, 2, commutative=True, associative=True),
    ScalarOp("maximum", 2, _A, m.maximum, 2, commutative=True, associative=True),
    ScalarOp("clip", 3, _A, m.clip, 4),
    ScalarOp("abs", 1, _A, m.absolute, 1),
    ScalarOp("sign", 1, _A, m.sign, 3),
    ScalarOp("floor", 1, _F, m.floor, 1),
    ScalarOp("ceil", 1, _F, m.ceil, 1),
    ScalarOp("round", 1, _F, m.round_half_even, 1),
    ScalarOp("trunc", 1, _F, m.trunc, 1),
    ScalarOp("sqrt", 1, _F, m.sqrt, 6),
    ScalarOp("rsqrt", 1, _F, m.rsqrt, 10),
    ScalarOp("exp", 1, _F, m.exp, 14),
    ScalarOp("exp2", 1, _F, m.exp2, 13),
    ScalarOp("expm1", 1, _F, m.expm1, 20),
    ScalarOp("log", 1, _F, m.log, 18),
    ScalarOp("log2", 1, _F, m.log2, 19),
    ScalarOp("log1p", 1, _F, m.log1p, 22),
    ScalarOp("sin", 1, _F, m.sin, 24),
    ScalarOp("cos", 1, _F, m.cos, 24),
    ScalarOp("tan", 1, _F, m.tan, 36),
    ScalarOp("asin", 1, _F, m.asin, 24),
    ScalarOp("acos", 1, _F, m.acos, 24),
    ScalarOp("atan", 1, _F, m.atan, 22),
    ScalarOp("atan2", 2, _F, m.atan2, 30),
    ScalarOp("sinh", 1, _F, m.sinh, 26),
    ScalarOp("cosh", 1, _F, m.cosh, 24),
    ScalarOp("tanh", 1, _F, m.tanh, 22),
    ScalarOp("erf", 1, _F, m.erf, 26),
    ScalarOp("erfc", 1, _F, m.erfc, 36),
    ScalarOp("sigmoid", 1, _F, m.sigmoid, 20),
    ScalarOp("relu", 1, _A, m.relu, 1),
    ScalarOp("gelu", 1, _F, m.gelu, 30),
    ScalarOp("gelu_tanh", 1, _F, m.gelu_tanh, 28),
    ScalarOp("silu", 1, _F, m.silu, 21),
    ScalarOp("softplus", 1, _F, m.softplus, 34),
    ScalarOp("isnan", 1, _T, m.isnan, 1),
    ScalarOp("isinf", 1, _T, m.isinf, 2),
    ScalarOp("cast", 1, _X, m.unused, 1),
    # Made by the compiler only.
    ScalarOp("fma", 3, _F, m.fused_multiply_add, 1, public=False),
    ScalarOp("exact_fma", 3, _F, m.fused_multiply_add, 1, public=False),  # rounded once everywhere
    ScalarOp("ldexp", 2, _F, m.load_exponent, 2, public=False),  # x * 2**n, n a whole float
    ScalarOp("rarely", 3, _S, m.where, 1, public=False),  # computes its 2nd operand only where needed
    ScalarOp("truncdiv", 2, _B, m.truncating_divide, 8, public=False),  # divisor not 0, no overflow
    ScalarOp("truncmod", 2, _B, m.truncating_remainder, 10, public=False),
    ScalarOp("bitcast", 1, _X, m.unused, 0, public=False),
    ScalarOp("bit_and", 2, _B, m.bit_and, 1, commutative=True, associative=True, public=False),
    ScalarOp("bit_or", 2, _B, m.bit_or, 1, commutative=True, associative=True, public=False),
    ScalarOp("bit_xor", 2, _B, m.bit_xor, 1, commutative=True, associative=True, public=False),
    ScalarOp("shift_left", 2, _B, m.shift_left, 1, public=False),
    ScalarOp("shift_right", 2, _B, m.shift_right, 1, public=False),  # arithmetic if signed
    ScalarOp("dot_u8_i8", 3, _W, dots.dot_u8_i8, 1, public=False),
    ScalarOp("dot_u7_i8", 3, _W, dots.dot_u7_i8, 1, public=False),
    ScalarOp(dots.PAIRS, 3, _W, dots.pairs_u4_i8, 1, public=False),
    ScalarOp("dot_i8_i8", 3, _W, dots.dot_i8_i8, 1, public=False),
    ScalarOp("dot_i16_i16", 3, _W, dots.dot_i16_i16, 1, public=False),
    ScalarOp("dot_bf16_bf16", 3, _W, dots.dot_bf16_bf16, 1, public=False),
)


def result_type(op: str, args: tuple[DType, ...], conversion: DType | None = None) -> DType:
    """The type of `op` applied to operands of the given types.

    `conversion` is the target type of `cast` and `bitcast`. Raises TypeError where the operands do not
    fit the operation's rule: the message says what was expected.
    """
    row = OPS[op]
    if len(args) != row.arity:
        raise TypeError(f"{op} takes {row.arity} operands, not {len(args)}")
    if row.rule is TypeRule.CONVERSION:
        if conversion is None:
            raise TypeError(f"{op} needs a target type")
        return conversion
    if row.rule is TypeRule.SELECT:
        _require(op, args[0].is_bool and args[1] is args[2], args, row.rule)
        return args[1]
    if row.rule is TypeRule.WORDS:
        sums = dots.DOTS[op].sums
        _require(op, args == (sums, i32, i32), args, row.rule)
        return sums
    _require(op, len(set(args)) == 1 and _fits(row.rule, args[0]), args, row.rule)
    return boolean if row.rule in (TypeRule.COMPARISON, TypeRule.TEST) else args[0]


def _fits(rule: TypeRule, operand: DType) -> bool:
    match rule:
        case TypeRule.LOGICAL:
            return operand.is_bool
        case TypeRule.FLOATING | TypeRule.TEST:
            return operand.is_float and operand in COMPUTE
        case TypeRule.BITS:
            return operand.is_integer and operand in COMPUTE
        case _:
            return operand in COMPUTE


def _require(op: str, holds: bool, args: tuple[DType, ...], rule: TypeRule) -> None:
    if not holds:
        given = ", ".join(t.name for t in args)
        raise TypeError(f"{op} has the rule '{rule.value}' and cannot take ({given})")
