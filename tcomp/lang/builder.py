"""From the parser's reductions to the syntax tree."""

from __future__ import annotations

from typing import Any, TypeAlias

from lark import Token, Transformer

from tcomp.diagnostics import CompileError
from tcomp.lang.operators import resolve, signed
from tcomp.lang.source import Source
from tcomp.lang.syntax import (
    Application,
    Assignment,
    Declaration,
    Def,
    Guarded,
    Keyword,
    Literal,
    Module,
    Name,
    Parameter,
    Ranged,
    Reference,
    ScanBlock,
)

Parts: TypeAlias = list[Any]  # tokens and nodes already made


class TreeBuilder(Transformer[Token, Any]):
    """One method for each rule of grammar.lark."""

    def __init__(self) -> None:
        super().__init__()
        self.source = Source("", "")

    def fail(self, message: str, code: str, start: int, end: int, hint: str = "") -> CompileError:
        return CompileError(message, code=code, span=self.source.span(start, end), hint=hint)

    # -- files -------------------------------------------------------------------------------------

    def start(self, parts: Parts) -> Module:
        return Module(self.source, tuple(p for p in parts if isinstance(p, Def)))

    def version(self, parts: Parts) -> None:
        (number,) = parts
        if str(number) != "1":
            raise self.fail(
                f"this is tcomp language version 1, the file asks for {number}",
                "TC022",
                number.start_pos,
                number.end_pos,
                "a newer tcomp may know it",
            )

    def definition(self, parts: Parts) -> Def:
        keyword, name, *rest = parts
        parameters: tuple[Parameter, ...] = ()
        if isinstance(rest[0], tuple) and rest[0] and isinstance(rest[0][0], Parameter):
            parameters = rest.pop(0)
        inputs: tuple[Declaration, ...] = ()
        if not isinstance(rest[0], Token):
            inputs = rest.pop(0)
        _, results, colon, *body = rest
        return Def(
            keyword.start_pos, colon.end_pos, str(name), parameters, inputs, results, tuple(body),
            self.source,
        )  # fmt: skip

    def parameters(self, parts: Parts) -> tuple[Parameter, ...]:
        return tuple(parts)

    def parameter(self, parts: Parts) -> Parameter:
        name, default = parts
        return Parameter(name.start_pos, name.end_pos, str(name), default)

    def declarations(self, parts: Parts) -> tuple[Declaration, ...]:
        return tuple(parts)

    def declaration(self, parts: Parts) -> Declaration:
        name, type_ = parts
        return Declaration(name.start_pos, type_.end, str(name), type_)

    def results(self, parts: Parts) -> tuple[Declaration, ...]:
        (given,) = parts
        return given if isinstance(given, tuple) else (given,)

    # -- statements --------------------------------------------------------------------------------

    def assignment(self, parts: Parts) -> Assignment:
        target, value = parts
        targets = target if isinstance(target, tuple) else (target,)
        return Assignment(targets[0].start, value.end, targets, value)

    def unpacking(self, parts: Parts) -> tuple[Name, ...]:
        return tuple(parts)

    def scan(self, parts: Parts) -> ScanBlock:
        keyword, iterator, *assignments = parts
        return ScanBlock(keyword.start_pos, assignments[-1].end, iterator, tuple(assignments))

    # -- expressions -------------------------------------------------------------------------------

    def chain(self, parts: Parts) -> Any:
        return resolve(parts, self.source)

    def number(self, parts: Parts) -> Literal:
        (token,) = parts
        text = str(token)
        try:
            value: int | float = int(text) if text.isdecimal() else float(text)
        except ValueError as error:  # more digits than Python converts
            raise self.fail(
                "this number has too many digits", "TC033", token.start_pos, token.end_pos
            ) from error
        return Literal(token.start_pos, token.end_pos, value)

    def name(self, parts: Parts) -> Name | Literal:
        (token,) = parts
        text = str(token)
        if text in ("True", "False"):
            return Literal(token.start_pos, token.end_pos, text == "True")
        return Name(token.start_pos, token.end_pos, text)

    def reference(self, parts: Parts) -> Reference:
        name, items, bracket = parts
        return Reference(name.start_pos, bracket.end_pos, str(name), items)

    def items(self, parts: Parts) -> tuple[Any, ...]:
        return tuple(parts)

    def ranged(self, parts: Parts) -> Ranged:
        name, lo, hi = parts
        return Ranged(name.start_pos, hi.end, str(name), lo, hi)

    def keyword(self, parts: Parts) -> Keyword:
        name, value = parts
        return Keyword(name.start_pos, value.end, str(name), value)

    def application(self, parts: Parts) -> Application:
        function, *rest = parts
        arguments = rest[0] if len(rest) == 2 else ()
        end = rest[-1].end_pos
        if isinstance(function, Reference):
            return Application(function.start, end, function.name, function.items, arguments)
        return Application(function.start_pos, end, str(function), None, arguments)

    def arguments(self, parts: Parts) -> tuple[Any, ...]:
        return tuple(parts)

    def guarded(self, parts: Parts) -> Guarded:
        read, otherwise = parts
        return Guarded(read.start, otherwise.end, read, otherwise)

    def signed(self, parts: Parts) -> Any:
        sign, operand = parts
        return signed("neg" if str(sign) == "-" else "pos", sign.start_pos, operand)
