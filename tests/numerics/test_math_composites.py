"""Extrema, tests and signs of floats against NumPy; the table of expansions against the registry."""

from __future__ import annotations

import numpy as np
import pytest

from tcomp.codegen.math import expand
from tcomp.ir.dtypes import COMPUTE, DType, boolean, f32, f64, i32, u32
from tcomp.ir.loop.nodes import Const, Local, Op, postorder
from tcomp.ops import OPS, TypeRule
from tests.numerics.math_kernels import apply
from tests.numerics.math_reference import argument_samples

FLOATS = [f32, f64]
PRIMITIVES = frozenset(
    [
        "add",
        "sub",
        "mul",
        "neg",
        "div",
        "fma",
        "exact_fma",
        "ldexp",
        "sqrt",
        "floor",
        "ceil",
        "trunc",
        "round",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "and",
        "or",
        "not",
        "where",
        "rarely",
        "abs",
        "bit_and",
        "bit_or",
        "bit_xor",
        "shift_left",
        "shift_right",
        "cast",
        "bitcast",
        "truncdiv",
        "truncmod",
    ]
)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["minimum", "maximum"])
@pytest.mark.parametrize("constant", [None, 0.0, -1.5, float("inf"), float("nan")])
def test_extrema_propagate_nan(name: str, constant: float | None, dtype: DType) -> None:
    a, b = argument_samples("atan2", dtype.numpy, 2000)
    numpy = getattr(np, name)
    right = b if constant is None else constant
    wanted = numpy(a, np.full_like(a, right) if constant is not None else b)
    result = apply(name, a, right, sources=(dtype, dtype), result=dtype)
    assert np.array_equal(result, wanted, equal_nan=True)
    if constant is not None:
        result = apply(name, constant, a, sources=(dtype, dtype), result=dtype)
        assert np.array_equal(result, wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_unary_selections(dtype: DType) -> None:
    x, _ = argument_samples("atan2", dtype.numpy, 2000)
    relu = apply("relu", x, sources=(dtype,), result=dtype)
    assert np.array_equal(relu, np.maximum(x, 0), equal_nan=True)
    sign = apply("sign", x, sources=(dtype,), result=dtype)
    assert np.array_equal(sign, np.sign(x), equal_nan=True)
    for name in ("isnan", "isinf"):
        assert np.array_equal(
            apply(name, x, sources=(dtype,), result=boolean), getattr(np, name)(x)
        )
    clip = apply("clip", x, -1.0, 2.0, sources=(dtype,) * 3, result=dtype)
    assert np.array_equal(clip, np.clip(x, -1, 2), equal_nan=True)
    for name in ("round", "floor", "ceil", "trunc"):
        numpy = np.rint if name == "round" else getattr(np, name)
        assert np.array_equal(
            apply(name, x, sources=(dtype,), result=dtype), numpy(x), equal_nan=True
        )


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_operation_ends_in_primitives(name: str) -> None:
    """Of every type that the operation's rule admits, in both classes of accuracy."""
    row = OPS[name]
    if row.rule in (TypeRule.CONVERSION, TypeRule.WORDS):
        return  # see test_low_precision for words
    floats_only = row.rule in (TypeRule.FLOATING, TypeRule.TEST)
    for dtype in (f32, f64) if floats_only else COMPUTE:
        if (row.rule is TypeRule.BITS and dtype.is_float) or (
            name.endswith("fma") and not dtype.is_float
        ):
            continue
        operand = boolean if row.rule is TypeRule.LOGICAL else dtype
        args: tuple[Local, ...] = tuple(Local(f"x{k}", operand, 8) for k in range(row.arity))
        if row.rule is TypeRule.SELECT:
            args = (Local("c", boolean, 8), *args[1:])
        tests = (TypeRule.COMPARISON, TypeRule.TEST, TypeRule.LOGICAL)
        result = boolean if row.rule in tests else dtype
        for accuracy in ("standard", "strict"):
            expanded = expand(Op(name, args, result), accuracy)  # type: ignore[arg-type]
            for node in postorder(expanded):
                if isinstance(node, Op):
                    integer_extremum = node.op in ("minimum", "maximum") and node.dtype.is_integer
                    assert node.op in PRIMITIVES or integer_extremum, (name, dtype, node.op)


def test_expansion_inside_addresses_and_nested_calls() -> None:
    x = Local("x", f32, 4)
    nested = Op("exp", (Op("maximum", (Op("tanh", (x,), f32), Const(0.0, f32, 4)), f32),), f32)
    assert all(n.op in PRIMITIVES for n in postorder(expand(nested)) if isinstance(n, Op))


def test_shared_operands_are_shared() -> None:
    """sin and cos of one argument reduce it once; interning makes equal sub-expressions one."""
    x = Local("x", f32, 8)
    both = Op("add", (Op("sin", (x,), f32), Op("cos", (x,), f32)), f32)
    count = len(postorder(expand(both)))
    assert count < 1.35 * len(postorder(expand(Op("sin", (x,), f32))))


@pytest.mark.parametrize("dtype", [i32, u32], ids=str)
def test_integer_extrema_stay_primitive(dtype: DType) -> None:
    x = Op("maximum", (Local("x", dtype, 4), Local("y", dtype, 4)), dtype)
    assert expand(x) is x
