"""Constants: expressions of integers, sizes and integer parameters, as exact polynomials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tcomp.diagnostics import nearest
from tcomp.ir.integer import Int
from tcomp.ir.tensor.nodes import Expr
from tcomp.lang.syntax import Application, Binary, Expression, Literal, Name, Unary
from tcomp.lang.weak import WeakInt

if TYPE_CHECKING:
    from tcomp.lang.frame import Frame

_LARGEST_POWER = 64


def constant(node: Expression, frame: Frame, what: str) -> Int:
    """The value of a constant; `what` says what it is for ("a size", "the end of a range").

    Raises CompileError: an unknown name (TC010), something that is no constant (TC054), a fraction
    (TC054), a division by zero (TC066).
    """
    match node:
        case Literal(_, _, value):
            if isinstance(value, bool) or not isinstance(value, int):
                frame.fail(f"{what} is an integer, not {value}", "TC054", node)
            return Int.of(value)
        case Name(_, _, name):
            return _named(node, name, frame, what)
        case Unary(_, _, "neg", operand):
            return -constant(operand, frame, what)
        case Unary(_, _, "pos", operand):
            return constant(operand, frame, what)
        case Binary(_, _, op, left, right):
            return _operation(node, op, constant(left, frame, what), constant(right, frame, what),
                              frame, what)  # fmt: skip
        case Application(_, _, ("minimum" | "maximum") as op, None, (left, right)):
            first, second = constant(left, frame, what), constant(right, frame, what)
            return first.min(second) if op == "minimum" else first.max(second)
    frame.fail(f"{what} is an expression of integers, sizes and integer parameters", "TC054", node)


def divide(op: str, left: Int, right: Int, frame: Frame, node: Expression) -> Int:
    """`//` or `%` by a constant. Raises CompileError (TC066) where that is 0."""
    if right is Int.of(0):
        frame.fail("division by zero", "TC066", node)
    return left // right if op == "floordiv" else left % right


def _operation(
    node: Binary, op: str, left: Int, right: Int, frame: Frame, what: str
) -> Int:  # fmt: skip
    match op:
        case "add":
            return left + right
        case "sub":
            return left - right
        case "mul":
            return left * right
        case "floordiv" | "mod":
            return divide(op, left, right, frame, node)
        case "pow" if right.is_constant and 0 <= right.constant <= _LARGEST_POWER:
            made = Int.of(1)
            for _ in range(right.constant):
                made = made * left
            return made
        case "div":
            frame.fail(f"{what} is an integer: '/' gives a fraction", "TC054", node, "write '//'")
    frame.fail(f"{what} is made with + - * // %", "TC054", node)


def _named(node: Name, name: str, frame: Frame, what: str) -> Int:
    if name in frame.sizes:
        return frame.sizes[name]
    if name in frame.parameters:
        value = frame.parameters[name]
        if isinstance(value, WeakInt):
            return value.value
        kind = "bool" if isinstance(value, Expr) else "float"
        frame.fail(f"{what} is an integer; the parameter '{name}' is a {kind}", "TC054", node)
    if name in frame.tensors or name in frame.results:
        frame.fail(
            f"{what} is constant and cannot depend on the tensor '{name}'",
            "TC054",
            node,
            "only integers, sizes and integer parameters are known when kernels are made",
        )
    known: Mapping[str, object] = {**frame.sizes, **frame.parameters}
    frame.fail(
        f"{what} uses '{name}', which is no size or parameter of '{frame.definition.name}' known here",
        "TC054" if not nearest(name, known) else "TC010",
        node,
        nearest(name, known) or "a size is bound where it stands alone, first in the signature",
    )
