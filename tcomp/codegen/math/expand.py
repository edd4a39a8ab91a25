"""The table of expansions, and the rewriting of expressions by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

from tcomp.codegen.math import (
    composites,
    conversions,
    error_function,
    exponential,
    float_division,
    hyperbolic,
    integer_division,
    inverse_trigonometric,
    logarithm,
    power,
    trigonometric,
)
from tcomp.codegen.math.lanes import Lanes
from tcomp.ir.dtypes import f32, f64
from tcomp.ir.loop.nodes import Expr, Op, rewrite

Accuracy: TypeAlias = Literal["standard", "strict"]
Expansion: TypeAlias = Callable[..., Lanes]

# Functions of floats; and, of those on any compute type, the rule for floats.
FLOAT: dict[str, Expansion] = {
    "acos": inverse_trigonometric.acos,
    "asin": inverse_trigonometric.asin,
    "atan": inverse_trigonometric.atan,
    "atan2": inverse_trigonometric.atan2,
    "clip": composites.clip,
    "cos": trigonometric.cos,
    "cosh": hyperbolic.cosh,
    "erf": error_function.erf,
    "erfc": error_function.erfc,
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "floordiv": float_division.floor_divide,
    "gelu": error_function.gelu,
    "gelu_tanh": hyperbolic.gelu_tanh,
    "isinf": composites.isinf,
    "isnan": composites.isnan,
    "log": logarithm.log,
    "log1p": logarithm.log1p,
    "log2": logarithm.log2,
    "maximum": composites.maximum,
    "minimum": composites.minimum,
    "mod": float_division.remainder,
    "pow": power.power,
    "relu": composites.relu,
    "rsqrt": composites.rsqrt,
    "sigmoid": hyperbolic.sigmoid,
    "sign": composites.sign,
    "silu": hyperbolic.silu,
    "sin": trigonometric.sin,
    "sinh": hyperbolic.sinh,
    "softplus": hyperbolic.softplus,
    "tan": trigonometric.tan,
    "tanh": hyperbolic.tanh,
}

INTEGER: dict[str, Expansion] = {
    "clip": composites.clip,
    "floordiv": integer_division.floor_divide,
    "mod": integer_division.remainder,
    "pow": power.power,
    "relu": composites.relu,
    "sign": composites.sign,
}

# Where `FLOAT` is within 4 ULP only, "strict" (1 ULP; f64: 2) takes these ...
STRICT: dict[str, Expansion] = {
    "exp": exponential.exp_compensated,
    "exp2": exponential.exp2_compensated,
    "pow": partial(power.power, accuracy="strict"),
}
STRICT_F64 = {
    **STRICT,
    "sigmoid": hyperbolic.sigmoid_compensated,
    "tan": trigonometric.tan_compensated,
    "tanh": hyperbolic.tanh_compensated,
}
# ... and for f32 the f64 function, rounded once, for these.
THROUGH_F64 = frozenset(
    (
        *("acos", "asin", "atan", "atan2", "cosh", "sinh", "tanh", "erf", "erfc", "expm1"),
        *("gelu", "gelu_tanh", "rsqrt", "sigmoid", "silu", "softplus"),
    )
)


def expand(expr: Expr, accuracy: Accuracy = "standard") -> Expr:
    """`expr` with every operation that is not primitive written out, for any number of lanes.

    `accuracy` is that of `tcomp.compile`: elementary functions within 4 ULP ("standard"), or 1 ULP for
    f32 and 2 ULP for f64 ("strict").
    """
    return rewrite(expr, strict_rule if accuracy == "strict" else standard_rule)


def standard_rule(node: Expr) -> Expr | None:
    if not isinstance(node, Op):
        return None
    args = [Lanes(a) for a in node.args]
    if node.op == "cast":
        return conversions.cast(args[0], node.dtype).expr
    table = FLOAT if args[0].dtype.is_float else INTEGER
    return table[node.op](*args).expr if node.op in table else None


def strict_rule(node: Expr) -> Expr | None:
    if isinstance(node, Op) and node.dtype.is_float and node.op != "cast":
        args = [Lanes(a) for a in node.args]
        if node.op in THROUGH_F64 and node.dtype is f32:
            wide = (a.to(f64) for a in args)
            return FLOAT[node.op](*wide).to(f32).expr
        table = STRICT_F64 if node.dtype is f64 else STRICT
        if node.op in table:
            return table[node.op](*args).expr
    return standard_rule(node)
