"""Scalar expressions and integer polynomials in the notation of the language.

Parentheses are those that Python's precedence needs. Literals and index values are weak: beside an
operand with a type of its own they are bare, elsewhere they carry a `cast`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import TypeAlias

from tcomp.ir.dtypes import DType, compute_type, f32, i32, i64, promote
from tcomp.ir.integer import Atom, FloorDiv, Int, Iter, Min, Mod, Value
from tcomp.ir.tensor.nodes import Apply, Const, Expr, IndexValue, Read, Reduce, postorder
from tcomp.ops import OPS, TypeRule

Names: TypeAlias = Mapping[Iter, str]
Text: TypeAlias = tuple[str, int]  # with the precedence of its outermost operation

OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(9)

_INFIX = {
    "or": OR, "and": AND,
    "eq": COMPARE, "ne": COMPARE, "lt": COMPARE, "le": COMPARE, "gt": COMPARE, "ge": COMPARE,
    "add": SUM, "sub": SUM, "mul": PRODUCT, "div": PRODUCT, "floordiv": PRODUCT, "mod": PRODUCT,
}  # fmt: skip
_LARGEST_F32 = 3.4028234663852886e38
_CONVERTING = (TypeRule.ARITHMETIC, TypeRule.FLOATING, TypeRule.COMPARISON)


def expression_text(expr: Expr, names: Names | None = None) -> str:
    """The expression as the language writes it. `names` renames iterators."""
    texts: dict[Expr, Text] = {}
    for node in postorder(expr):
        texts[node] = _text(node, texts, names or {})
    return texts[expr][0]


def int_text(index: Int, names: Names | None = None) -> str:
    """An index or a size as the language writes it.

    >>> from tcomp.ir.integer import Size
    >>> int_text((Int.of(Size("H")) * -2 + 7) // 3 - Size("W"))
    '(1 - 2*H)//3 + 2 - W'
    """
    return _polynomial(index, {}, names or {})[0]


def _text(node: Expr, texts: Mapping[Expr, Text], names: Names) -> Text:
    match node:
        case Const(value, dtype):
            return literal(_shortest(value) if dtype is f32 else value)
        case IndexValue(index, _):
            return _polynomial(index, texts, names)
        case Read():
            return _read(node, texts, names)
        case Reduce(op, iters, body):
            ranges = ", ".join(
                f"{names.get(i, i.name)} in {int_text(i.lo)}:{int_text(i.hi)}" for i in iters
            )
            return f"{op}[{ranges}]({_typed(body, texts)[0]})", ATOM
        case Apply("cast", (operand,), dtype):
            return f"cast({dtype}, {_typed(operand, texts)[0]})", ATOM
        case Apply():
            return _operation(node, texts)
    raise TypeError(type(node))


def literal(value: float | int | bool) -> Text:
    """A constant: `inf`, `nan` and the truth values have names; a negative one is a sign and a number."""
    if isinstance(value, bool):
        return ("True" if value else "False"), ATOM
    if isinstance(value, float) and not math.isfinite(value):
        name = "nan" if math.isnan(value) else "inf"
        return (name, ATOM) if name == "nan" or value > 0 else ("-inf", SIGN)
    text = repr(value)
    return text, SIGN if text.startswith("-") else ATOM


def _shortest(value: float | int | bool) -> float | int | bool:
    """The number with the fewest digits that single precision rounds to `value`."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if abs(short) < _LARGEST_F32 and struct.unpack("<f", struct.pack("<f", short))[0] == value:
            return short
    return value


def _operation(node: Apply, texts: Mapping[Expr, Text]) -> Text:
    op, args = node.op, node.args
    if op not in OPS:  # a malformed program is shown too
        return f"{op}({', '.join(texts[a][0] for a in args)})", ATOM
    operands = list(args[1:]) if op == "where" else list(args)
    weak = all(map(_is_weak, operands)) and not _compares_integers(op, operands)
    shown = [texts[a] for a in args]
    if OPS[op].rule in _CONVERTING:
        shown = [texts[_unread(a)] for a in args]
    if weak:  # nothing else fixes the type: the first operand does
        first = len(args) - len(operands)
        shown[first] = _typed(args[first], texts, always=True)
    if op in _INFIX:
        level = _INFIX[op]
        # Comparisons do not chain and the others group to the left.
        left = _at_least(shown[0], level + 1 if level == COMPARE else level)
        return f"{left} {OPS[op].symbol} {_at_least(shown[1], level + 1)}", level
    if op == "neg":
        return f"-{_at_least(shown[0], POWER)}", SIGN
    if op == "not":
        return f"not {_at_least(shown[0], NOT)}", NOT
    return f"{op}({', '.join(text for text, _ in shown)})", ATOM


def _compares_integers(op: str, operands: list[Expr]) -> bool:
    """A comparison of index values: as integers of their own types, nobody has to say it."""
    if OPS[op].rule is not TypeRule.COMPARISON or any(e.dtype.is_float for e in operands):
        return False
    if not any(isinstance(e, IndexValue) for e in operands):
        return False  # it would fold
    return promote(*(_default(e) for e in operands)) is operands[0].dtype


def _unread(operand: Expr) -> Expr:
    """A narrow tensor's element, which arithmetic converts by itself, without its conversion."""
    match operand:
        case Apply("cast", (Read() as read,), dtype) if not read.dtype.is_bool:
            if read.dtype is not dtype and dtype is compute_type(read.dtype):
                return read
    return operand


def _is_weak(expr: Expr) -> bool:
    return isinstance(expr, Const | IndexValue) and not expr.dtype.is_bool


def _typed(expr: Expr, texts: Mapping[Expr, Text], always: bool = False) -> Text:
    """An expression on its own, where a literal or an index value must say its type."""
    text = texts[expr]
    if not _is_weak(expr) or (not always and expr.dtype is _default(expr)):
        return text
    return f"cast({expr.dtype}, {text[0]})", ATOM


def _default(expr: Expr) -> DType:
    """The type that a weak expression has on its own."""
    if isinstance(expr, IndexValue):
        return i64
    return f32 if isinstance(expr.value, float) else i32  # type: ignore[attr-defined]


def _read(node: Read, texts: Mapping[Expr, Text], names: Names) -> Text:
    index = ", ".join(_polynomial(i, texts, names)[0] for i in node.index)
    text = node.tensor.name + (f"[{index}]" if node.index else "")
    if node.otherwise is None:
        return text, ATOM
    value, level = texts[node.otherwise]
    if isinstance(node.otherwise, IndexValue):
        value, level = _typed(node.otherwise, texts, always=True)
    bare = isinstance(node.otherwise, Const) or (
        level == ATOM and not (isinstance(node.otherwise, Read) and node.otherwise.otherwise)
    )
    return f"{text} else {value if bare else f'({value})'}", SUM - 1


def _polynomial(index: Int, texts: Mapping[Expr, Text], names: Names) -> Text:
    if not index.terms:
        return literal(index.constant)
    parts: list[tuple[int, str]] = []
    for monomial, factor in index.terms:
        atoms = [_atom(a, texts, names) for a in monomial]
        if len(atoms) == 1 and abs(factor) == 1:
            parts.append((factor, _at_least(atoms[0], PRODUCT)))
            continue
        shown = [_at_least(a, SIGN) for a in atoms]
        if abs(factor) != 1:
            shown.insert(0, str(abs(factor)))
        parts.append((factor, "*".join(shown)))
    if index.constant:
        parts.append((index.constant, str(abs(index.constant))))
    parts.sort(key=lambda part: part[0] < 0)  # a positive term first, where there is one
    first = ("-" if parts[0][0] < 0 else "") + parts[0][1]
    rest = "".join(f" {'-' if sign < 0 else '+'} {text}" for sign, text in parts[1:])
    if rest:
        return first + rest, SUM
    if parts[0][0] < 0:
        return first, SIGN if "*" not in first and "/" not in first else PRODUCT
    (monomial, factor), *_ = index.terms
    single = len(monomial) == 1 and factor == 1
    return first, _atom(monomial[0], texts, names)[1] if single else PRODUCT


def _atom(atom: Atom, texts: Mapping[Expr, Text], names: Names) -> Text:
    match atom:
        case Iter():
            return names.get(atom, atom.name), ATOM
        case FloorDiv(left, right) | Mod(left, right):
            by = _at_least(_polynomial(right, texts, names), SIGN)
            of = _at_least(_polynomial(left, texts, names), PRODUCT)
            return f"{of}{'//' if isinstance(atom, FloorDiv) else '%'}{by}", PRODUCT
        case Min(left, right):
            both = (_polynomial(side, texts, names)[0] for side in (left, right))
            return f"minimum({', '.join(both)})", ATOM
        case Value(expr):
            text = texts[expr] if expr in texts else (expression_text(expr, names), OR)
            return text
    return atom.key, ATOM


def _at_least(text: Text, level: int) -> str:
    return text[0] if text[1] >= level else f"({text[0]})"
