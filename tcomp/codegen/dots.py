"""Dot products inside words: an instruction where the processor has one, else shifts and products."""

from __future__ import annotations

from tcomp.codegen.conversions import bitcast
from tcomp.codegen.ssa import FunctionBuilder, Ssa
from tcomp.codegen.types import literal, vector
from tcomp.ir.dtypes import DType, bf16, f32, i16, i32, u32
from tcomp.ir.loop.nodes import Const, Expr, Op, rewrite
from tcomp.ops.dots import DOTS, PAIRS, Dot, DotInstruction, instruction
from tcomp.target import Target

_OPERAND = {
    "pmaddubs": "i8",
    "pmadd.ub": "i8",
    "pmadd": "i16",
    "bf16": "bfloat",
    "bfdot": "bfloat",
    "dot": "i8",
}  # of intrinsics with these words, the first that fits: element types that LLVM wants to see


def without_dots(expr: Expr, target: Target) -> Expr:
    """Dots that the target has no instruction for, in elementary operations."""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Op) or node.op not in DOTS:
            return None
        if instruction(node.op, node.lanes, target.has) is not None:
            return None
        return _spelled_out(node)

    return rewrite(expr, rule)


def emit_dot(builder: FunctionBuilder, target: Target, node: Op, args: list[Ssa]) -> Ssa:
    """A dot whose instruction the target has."""
    row = instruction(node.op, node.lanes, target.has)
    assert row is not None  # `without_dots` has taken the others away
    sums, *words = args
    operands = [_as_elements(builder, row, word) for word in words]
    if row.accumulates:
        return builder.call_exact(row.intrinsic, sums.type, [sums, *operands])
    halves = vector("i16", 2 * row.lanes)
    if row.op == PAIRS:
        pairs = builder.call_exact(row.intrinsic, halves, operands)
        held = bitcast(builder, sums, halves)
        found = builder.pure(f"add {held.typed}, {pairs}", halves, [held, pairs])
        return bitcast(builder, found, sums.type)
    if row.pairs:
        pairs = builder.call_exact(row.intrinsic, halves, operands)
        ones = Ssa(literal(1, i16, 2 * row.lanes), halves)
        product = builder.call_exact(row.pairs, sums.type, [pairs, ones])
    else:
        product = builder.call_exact(row.intrinsic, sums.type, operands)
    return builder.pure(f"add {sums.typed}, {product}", sums.type, [sums, product])


def _as_elements(builder: FunctionBuilder, row: DotInstruction, word: Ssa) -> Ssa:
    for part, element in _OPERAND.items():
        if part in row.intrinsic:
            bits = {"i8": 8, "i16": 16, "bfloat": 16}[element]
            return bitcast(builder, word, vector(element, row.lanes * 32 // bits))
    return word


def _spelled_out(node: Op) -> Expr:
    dot = DOTS[node.op]
    sums, left, right = node.args
    if node.op == PAIRS:
        return _pairs(dot, sums, left, right)
    for k in range(dot.group):
        product = Op("mul", (_element(left, dot.left, k), _element(right, dot.right, k)), dot.sums)
        sums = Op("add", (sums, product), dot.sums)
    return sums


def _pairs(dot: Dot, sums: Expr, left: Expr, right: Expr) -> Expr:
    """Sums of two products in each half of a word."""
    bits = Const(16, i32, sums.lanes)
    low, high = sums, Op("shift_right", (sums, bits), i32)
    for k in range(2):
        for half in (0, 1):
            at = 2 * half + k
            factors = (_element(left, dot.left, at), _element(right, dot.right, at))
            product = Op("mul", factors, i32)
            if half:
                high = Op("add", (high, product), i32)
            else:
                low = Op("add", (low, product), i32)
    low = Op("bit_and", (low, Const(0xFFFF, i32, sums.lanes)), i32)
    return Op("bit_or", (low, Op("shift_left", (high, bits), i32)), i32)


def _element(word: Expr, dtype: DType, k: int) -> Expr:
    """Element k of each word, extended to i32 or f32."""
    if dtype is bf16:
        high = Const(16, i32, word.lanes)
        upper = Const(-1 << 16, i32, word.lanes)
        bits = Op("bit_and", (word, upper), i32) if k else Op("shift_left", (word, high), i32)
        return Op("bitcast", (bits,), f32)
    above = 32 - dtype.bits * (k + 1)
    kind = i32 if dtype.is_signed else u32
    value = word if kind is i32 else Op("bitcast", (word,), u32)
    if above:
        value = Op("shift_left", (value, Const(above, kind, word.lanes)), kind)
    value = Op("shift_right", (value, Const(32 - dtype.bits, kind, word.lanes)), kind)
    return value if kind is i32 else Op("bitcast", (value,), i32)
