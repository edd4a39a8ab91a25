"""What is rewritten before printing: horizontal folds become shuffles, composites become primitives."""

from __future__ import annotations

from functools import partial

from tcomp.codegen.dots import without_dots
from tcomp.codegen.half import converts_halves, without_halves
from tcomp.codegen.math import expand
from tcomp.codegen.math.expand import Accuracy
from tcomp.codegen.math.fused import without_fma
from tcomp.codegen.math.scaling import without_ldexp
from tcomp.codegen.scalef import has_scalef
from tcomp.ir.dtypes import i32, i64
from tcomp.ir.loop.nodes import Const, Expr, Horizontal, IntValue, Op, Shuffle, postorder, rewrite
from tcomp.target import Target

_COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))
_LIMIT = 1 << 31

# Never rewritten: a shortcut for the many expressions that hold nothing else.
_PLAIN = frozenset(("", "add", "sub", "mul", "fma", "where", "neg", "and", "or", "bitcast"))
_COMPARED = _PLAIN | _COMPARISONS  # whose integers may become narrower, and nothing else


def prepare(expr: Expr, target: Target, accuracy: Accuracy = "standard") -> Expr:
    """The expression in operations that the emitter prints itself."""
    ops = {_kind(node) for node in postorder(expr)}
    if ops <= _PLAIN:
        return expr
    if ops <= _COMPARED:
        return rewrite(expr, _simplify)
    primitive = expand(rewrite(without_dots(expr, target), _simplify), accuracy)
    primitive = without_ldexp(primitive, partial(has_scalef, target))
    primitive = primitive if target.has_fma else without_fma(primitive)
    return primitive if converts_halves(target) else without_halves(primitive)


def _kind(node: Expr) -> str:
    """The operation of a node; '' for one that is never rewritten."""
    if isinstance(node, Op):
        return node.op
    return "fold" if isinstance(node, Horizontal) else ""


def _simplify(node: Expr) -> Expr | None:
    match node:
        case Horizontal():
            return _fold(node)
        case Op(op, (left, right), _) if op in _COMPARISONS and left.dtype is i64:
            a, b = _in_32_bits(left), _in_32_bits(right)
            return Op(op, (a, b), node.dtype) if a is not None and b is not None else None
    return None


def _in_32_bits(value: Expr) -> Expr | None:
    """Lane numbers and constants as i32 where they fit: comparisons then take half the instructions."""
    match value:
        case Const(number, _, lanes) if abs(number) < _LIMIT:
            return Const(number, i32, lanes)
        case IntValue(base, _, lanes, stride):
            low, high = base.bounds()
            span = abs(stride) * (lanes - 1)
            if low is not None and high is not None and max(-low, high) + span < _LIMIT:
                return IntValue(base, i32, lanes, stride)
    return None


def _fold(node: Horizontal) -> Expr:
    """The upper lanes onto the lower ones until one is left, as the loop interpreter's `fold`."""
    value, dtype = node.value, node.dtype
    while value.lanes > 1:
        lanes = value.lanes
        half = 1 << (lanes - 1).bit_length() - 1
        rest = lanes - half
        low = Shuffle(value, value, tuple(range(half)))
        high = Shuffle(value, value, tuple(range(half, lanes)))
        if rest < half:
            kept = Shuffle(low, low, tuple(range(rest)))
            joined: Expr = Op(node.op, (kept, high), dtype)
            value = _append(joined, Shuffle(low, low, tuple(range(rest, half))))
        else:
            value = Op(node.op, (low, high), dtype)
    return value


def _append(left: Expr, right: Expr) -> Expr:
    """Two vectors of any lengths as one."""
    longest = max(left.lanes, right.lanes)
    picks = (*range(left.lanes), *(longest + k for k in range(right.lanes)))
    return Shuffle(_widen(left, longest), _widen(right, longest), picks)


def _widen(value: Expr, lanes: int) -> Expr:
    """Repeats the first lane at the end, to give two vectors one length."""
    if value.lanes == lanes:
        return value
    return Shuffle(value, value, (*range(value.lanes), *([0] * (lanes - value.lanes))))
