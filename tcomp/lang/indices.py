"""Indices of reads: affine in iterators, quotients and remainders by constants, values of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcomp.ir.dtypes import i64
from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.tensor.nodes import Expr, truth
from tcomp.lang.arithmetic import make
from tcomp.lang.constants import divide
from tcomp.lang.syntax import (
    Application,
    Binary,
    Guarded,
    Item,
    Keyword,
    Literal,
    Name,
    Node,
    Ranged,
    Reference,
    Unary,
)
from tcomp.lang.weak import WeakInt, realise

if TYPE_CHECKING:
    from tcomp.lang.frame import Frame, Handle
    from tcomp.lang.scalars import Scalars


def index(node: Item, scalars: Scalars) -> Int:
    """A position along an axis. Raises CompileError (TC036, TC052, TC054, TC066)."""
    frame = scalars.frame
    match node:
        case Ranged() | Keyword():
            frame.fail("an index is an expression", "TC021", node)
        case Literal(_, _, value) if isinstance(value, int) and not isinstance(value, bool):
            return Int.of(value)
        case Unary(_, _, "neg", operand):
            return -index(operand, scalars)
        case Unary(_, _, "pos", operand):
            return index(operand, scalars)
        case Binary(_, _, "add", left, right):
            return index(left, scalars) + index(right, scalars)
        case Binary(_, _, "sub", left, right):
            return index(left, scalars) - index(right, scalars)
        case Binary(_, _, "mul", left, right):
            return _product(node, index(left, scalars), index(right, scalars), frame)
        case Binary(_, _, ("floordiv" | "mod") as op, left, right):
            return _quotient(node, op, index(left, scalars), index(right, scalars), frame)
        case Application(_, _, ("minimum" | "maximum" | "clip") as op, None, arguments):
            return _limited(node, op, [index(a, scalars) for a in arguments], frame)
    return _value(node, scalars)


def _value(node: Node, scalars: Scalars) -> Int:
    """Iterators, sizes and parameters are themselves; other integers are values known at run time."""
    made = scalars.operand(node)  # type: ignore[arg-type]
    if isinstance(made, WeakInt):
        return made.value
    if isinstance(made, Expr) and made.dtype.is_integer:
        return Int.of(Value(made))
    given = made.dtype if isinstance(made, Expr) else "a float"
    scalars.frame.fail(
        f"an index is an integer, not {given}",
        "TC036",
        node,
        "write '//' for a quotient, or cast(i32, e)"
        if isinstance(node, Binary | Application | Name | Reference | Guarded)
        else "",
    )


def _product(node: Node, left: Int, right: Int, frame: Frame) -> Int:
    if not _is_constant(left) and not _is_constant(right) and not _has_value(left * right):
        frame.fail(
            "an index is affine in iterators: this multiplies two of them",
            "TC052",
            node,
            "a factor is an integer, a size or a parameter",
        )
    return left * right


def _quotient(node: Binary, op: str, left: Int, right: Int, frame: Frame) -> Int:
    if not _is_constant(right):
        frame.fail(
            "an index divides by constants only",
            "TC052",
            node.right,
            "a divisor is an integer, a size or a parameter",
        )
    return divide(op, left, right, frame, node.right)


def _limited(node: Application, op: str, args: list[Int], frame: Frame) -> Int:
    wanted = 3 if op == "clip" else 2
    if len(args) != wanted:
        frame.fail(f"'{op}' takes {wanted} operands, not {len(args)}", "TC019", node)
    if op == "minimum":
        return args[0].min(args[1])
    if op == "maximum":
        return args[0].max(args[1])
    return args[0].max(args[1]).min(args[2])


def _is_constant(value: Int) -> bool:
    return not any(isinstance(a, Iter | Value) for a in value.leaves())


def _has_value(value: Int) -> bool:
    return any(isinstance(a, Value) for a in value.leaves())


# -- borders -------------------------------------------------------------------------------------------


def inside(handle: Handle, position: tuple[Int, ...]) -> Expr:
    """True where a position is in the tensor."""
    made: Expr = truth(True)
    for at, (lo, hi) in zip(position, handle.axes, strict=True):
        for op, left, right in (("le", lo, at), ("lt", at, hi)):
            test = make(op, *(realise(WeakInt(side, i64), i64) for side in (left, right)))
            made = test if made is truth(True) else make("and", made, test)
    return made


def check_inside(
    handle: Handle, position: tuple[Int, ...], node: Reference, scalars: Scalars
) -> None:
    """Raises CompileError (TC060) where an unguarded read leaves its tensor whatever the sizes are.

    All else is decided when sizes are bound (`tcomp.ir.tensor.binding`) or at run time. Nothing is read
    where an iterator in scope has no positions.
    """
    if any(map(_is_empty, scalars.iterators.values())):
        return
    for axis, (at, (lo, hi)) in enumerate(zip(position, handle.axes, strict=True)):
        iters = [a for a in at.leaves() if isinstance(a, Iter)]
        if any(isinstance(a, Value) for a in at.leaves()):
            continue
        least, most = _extremes(at, iters)
        below = least is not None and _is_negative(least - lo)
        above = most is not None and _is_negative(hi - 1 - most)
        if below or above:
            reached = f"down to {least}" if below else f"up to {most}"
            scalars.frame.fail(
                f"a read of '{node.name}' leaves the tensor: the index of axis {axis} goes "
                f"{reached}, the positions are {lo}:{hi}",
                "TC060",
                node,
                f"give the value outside, as in {node.name}[...] else 0, or narrow a range",
            )


def _is_empty(it: Iter) -> bool:
    """True for constant ranges without positions; symbolic ones are expected to have some."""
    return it.extent.is_constant and int(it.extent) <= 0


def _extremes(at: Int, iters: list[Iter]) -> tuple[Int | None, Int | None]:
    """The least and the greatest value of an affine index; None where it is not affine."""
    least, most = at, at
    for it in iters:
        factor = at.coefficient(it)
        if factor is None:
            return None, None
        first, last = {it: it.lo}, {it: it.hi - 1}
        least = least.sub(first if factor > 0 else last)
        most = most.sub(last if factor > 0 else first)
    return least, most


def _is_negative(value: Int) -> bool:
    high = value.bounds()[1]
    return high is not None and high < 0
