"""Precedence of operators, applied to a chain of operands and operator tokens.

Python's levels: `or`, `and`, `not`, comparisons (which do not chain here), sums, products, signs, `**`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from tcomp.diagnostics import CompileError
from tcomp.lang.source import Source
from tcomp.lang.syntax import Binary, Expression, Literal, Unary

Part: TypeAlias = Any  # an Expression or a lark Token

_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER = range(1, 9)

_INFIX = {
    "or": ("or", _OR), "and": ("and", _AND),
    "==": ("eq", _COMPARE), "!=": ("ne", _COMPARE), "<": ("lt", _COMPARE), "<=": ("le", _COMPARE),
    ">": ("gt", _COMPARE), ">=": ("ge", _COMPARE),
    "+": ("add", _SUM), "-": ("sub", _SUM),
    "*": ("mul", _PRODUCT), "/": ("div", _PRODUCT), "//": ("floordiv", _PRODUCT),
    "%": ("mod", _PRODUCT), "**": ("pow", _POWER),
}  # fmt: skip
_PREFIX = {"-": ("neg", _SIGN), "+": ("pos", _SIGN), "not": ("not", _NOT)}


def resolve(parts: Sequence[Part], source: Source) -> Expression:
    """The tree of `[prefix...] operand (infix [prefix...] operand)...`.

    Raises CompileError (TC006) where comparisons are chained.
    """
    return _Chain(parts, source).parse(0)


class _Chain:
    """Precedence climbing."""

    def __init__(self, parts: Sequence[Part], source: Source) -> None:
        self.parts = parts
        self.source = source
        self.at = 0

    def parse(self, level: int) -> Expression:
        """An expression of operators that bind at least as tightly as `level`."""
        left = self.prefixed()
        while self.at < len(self.parts):
            token = self.parts[self.at]
            op, binding = _INFIX[str(token)]
            if binding < level:
                return left
            self.at += 1
            # `**` groups to the right; its right side may carry a sign, which binds more loosely.
            right = self.parse(binding if op == "pow" else binding + 1)
            left = Binary(left.start, right.end, op, left, right)
            if binding == _COMPARE:
                self.refuse_chain(left)
        return left

    def prefixed(self) -> Expression:
        token = self.parts[self.at]
        self.at += 1
        if isinstance(token, str):
            op, binding = _PREFIX[str(token)]
            operand = self.parse(binding)
            return signed(op, token.start_pos, operand)  # type: ignore[attr-defined]
        operand = token
        return operand  # type: ignore[no-any-return]

    def refuse_chain(self, comparison: Binary) -> None:
        if self.at < len(self.parts) and _INFIX[str(self.parts[self.at])][1] == _COMPARE:
            token = self.parts[self.at]
            raise CompileError(
                f"comparisons do not chain: '{token}' follows another comparison",
                code="TC006",
                span=self.source.span(token.start_pos, token.end_pos),
                hint="join two comparisons with 'and', as in a < b and b < c",
            )


def signed(op: str, start: int, operand: Expression) -> Expression:
    """A prefix operation; a sign before a number makes a number."""
    if isinstance(operand, Literal) and not isinstance(operand.value, bool):
        if op == "neg":
            return Literal(start, operand.end, -operand.value)
        if op == "pos":
            return Literal(start, operand.end, operand.value)
    return Unary(start, operand.end, op, operand)
