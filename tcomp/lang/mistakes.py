"""What the user probably meant: from a parser's failure to a named mistake.

Three looks, the surest first: characters that no program has, brackets and blocks that do not match, and
the parser's state against those that examples of likely mistakes lead to.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput
from lark.indenter import DedentError

from tcomp.diagnostics import CompileError
from tcomp.lang.mistake_examples import CHARACTERS, MISTAKES, Mistake
from tcomp.lang.source import Source
from tcomp.lang.words import FUNCTIONS, REDUCTION_NAMES

_SHOWN = {
    "_NEWLINE": "the end of the line", "$END": "the end of the program", "_INDENT": "an indented block",
    "_DEDENT": "the end of the block", "NAME": "a name", "NUMBER": "a number", "EQUAL": "'='",
    "OPERATOR": "an operator", "SIGN": "a sign", "NOT": "'not'", "LPAR": "'('", "RPAR": "')'",
    "LSQB": "'['", "RSQB": "']'", "COMMA": "','", "COLON": "':'", "ARROW": "'->'", "DEF": "'def'",
    "SCAN": "'scan'", "IN": "'in'", "ELSE": "'else'", "TCOMP": "'tcomp 1'",
}  # fmt: skip


def explain_failure(failure: Exception, source: Source, parser: Lark) -> CompileError:
    """The user's mistake behind a failure of the parser."""
    if isinstance(failure, DedentError):
        return _indentation(source)
    if not isinstance(failure, UnexpectedInput):
        raise failure
    start, end = _place(failure, source)
    return (
        _unclosed(source, start)
        or _character(failure, source, start)
        or _by_text(source, start)
        or _by_example(failure, source, start, end, parser)
        or _generic(failure, source, start, end)
    )


def _made(
    source: Source, code: str, start: int, end: int, message: str, hint: str = ""
) -> CompileError:
    return CompileError(message, code=code, span=source.span(start, end), hint=hint)


def _place(failure: UnexpectedInput, source: Source) -> tuple[int, int]:
    """The characters at fault; the end of the line before for line ends and dedents."""
    token: Any = getattr(failure, "token", None)
    if token is None:
        at = failure.pos_in_stream or 0
        return at, at + 1
    if token.type in ("_NEWLINE", "_DEDENT", "$END"):
        at = token.start_pos if token.start_pos is not None else len(source.text) - 1
        at = at if token.type == "_NEWLINE" else len(source.text[:at].rstrip())
        return at, at
    if token.type == "_INDENT":
        at = token.end_pos
        return at, at + max(1, len(source.text[at:].split("\n", 1)[0].rstrip()))
    return token.start_pos, token.end_pos


def _indentation(source: Source) -> CompileError:
    """The first line that returns to a column in which no open block began."""
    columns = [0]
    offset = depth = 0
    for line in source.text.split("\n"):
        text = line.split("#", 1)[0]
        if text.strip() and depth == 0:
            column = len(text.expandtabs(8)) - len(text.expandtabs(8).lstrip())
            while columns[-1] > column:
                columns.pop()
            if columns[-1] < column and column < _deepest(columns, source, offset):
                break
            columns.append(column)
        depth += sum(text.count(c) for c in "([") - sum(text.count(c) for c in ")]")
        offset += len(line) + 1
    start = offset + len(line) - len(line.lstrip())
    hint = (
        "use spaces only" if "\t" in source.text else "lines of one block begin in the same column"
    )
    message = "this line is indented like none of the blocks around it"
    return _made(source, "TC003", start, start + len(line.strip()), message, hint)


def _deepest(columns: list[int], source: Source, offset: int) -> int:
    """The column of the line before `offset`."""
    before = [t for t in source.text[:offset].split("\n") if t.split("#", 1)[0].strip()]
    last = before[-1].expandtabs(8) if before else ""
    return max(len(last) - len(last.lstrip()), columns[-1])


def _unclosed(source: Source, at: int) -> CompileError | None:
    """A bracket opened on an earlier line, if the failure is the first thing on its line."""
    line_start = source.text.rfind("\n", 0, at) + 1
    ends = re.fullmatch(r"(\s|#[^\n]*)*", source.text[at:]) is not None
    if source.text[line_start:at].strip() and not ends:
        return None
    opened = _opened(source.text[: at + 1 if ends else at])
    if not opened:
        return None
    mark = source.text[opened[-1]]
    closing = ")" if mark == "(" else "]"
    return _made(
        source, "TC009", opened[-1], opened[-1] + 1, f"this '{mark}' is never closed",
        f"a '{closing}' is missing",
    )  # fmt: skip


def _opened(text: str) -> list[int]:
    """Where the brackets that are still open at the end of `text` stand."""
    opened: list[int] = []
    for match in re.finditer(r"#[^\n]*|[()\[\]]", text):
        mark = match.group()
        if mark in "([":
            opened.append(match.start())
        elif mark in ")]" and opened:
            opened.pop()
    return opened


def _character(failure: UnexpectedInput, source: Source, at: int) -> CompileError | None:
    if not isinstance(failure, UnexpectedCharacters):
        return None
    character = source.text[at]
    if character in CHARACTERS:
        code, message, hint = CHARACTERS[character]
        return _made(source, code, at, at + 1, message, hint)
    if character == "=" or character in ")]":
        return None
    return _made(source, "TC002", at, at + 1, f"{character!r} has no meaning in programs")


def _by_text(source: Source, at: int) -> CompileError | None:
    """Mistakes that the text just before the failure tells better than the parser's state."""
    line_start = source.text.rfind("\n", 0, at) + 1
    before = source.text[line_start:at]
    rest = source.text[at:]
    reduction = re.search(rf"\b({'|'.join(sorted(REDUCTION_NAMES))})\s*(\[[^\]]*\])?\s*$", before)
    if reduction and rest[:1] not in "=:)]":
        name, brackets = reduction.group(1), reduction.group(2)
        hint = f"write {name}{brackets or '[k]'}(...)"
        message = f"'{name}' takes its operand in parentheses"
        if not brackets:
            message = (
                f"'{name}' needs the iterators that it runs over, and its operand in parentheses"
            )
        start = line_start + reduction.start()
        return _made(source, "TC007", start, at, message, hint)
    if re.match(r"([+-]|\*\*?|//?|%)=", rest):
        end = at + rest.index("=") + 1
        message = "a tensor is defined once, with '='"
        hint = "to add up values, write a sum on the right side: Y[i] = sum[k](...)"
        return _made(source, "TC001", at, end, message, hint)
    if re.match(r":\s*=", rest):
        return _made(source, "TC005", at, at + 2, "a definition is written with '='", "write '='")
    call = re.search(r"\b(\w+)\((?:[^()]*,)?\s*\w+\s*$", before)
    if rest.startswith("=") and call and call.group(1) not in FUNCTIONS | REDUCTION_NAMES:
        hint = f"as in {call.group(1)}[name=value](...)"
        return _made(source, "TC020", at, at + 1, "parameters are given in brackets", hint)
    if rest[:1] in (")", "]") and not _opened(source.text[:at]):
        return _made(source, "TC009", at, at + 1, f"this '{rest[0]}' closes nothing")
    if not source.text.strip() or not re.search(r"^\s*[^#\s]", source.text, re.M):
        message, hint = "the program is empty", "begin with: def name(X: f32[N]) -> Y: f32[N]:"
        return _made(source, "TC024", 0, 1, message, hint)
    word = re.match(r"\s*(return|for|if|while|import|from|class|lambda|with|let|var)\b", before)
    if word:
        hint = {
            "return": "results are defined by name, as in Y[i] = ...",
            "for": "iterators loop by themselves: Y[i, j] = ...",
            "if": "choose values with where(c, a, b)",
        }.get(word.group(1), "a def holds definitions and scans only")
        start = line_start + word.start(1)
        message = f"there is no '{word.group(1)}' in this language"
        return _made(source, "TC001", start, start + len(word.group(1)), message, hint)
    return None


def _by_example(
    failure: UnexpectedInput, source: Source, start: int, end: int, parser: Lark
) -> CompileError | None:
    found = _examples(parser).get(_key(failure))
    if found is None:
        return None
    return _made(source, found.code, start, end, found.message, found.hint)


def _key(failure: UnexpectedInput) -> tuple[Any, str]:
    """The parser's state and the kind of token that it did not expect.

    lark's own `match_examples` also compares how deep the stack is, and so misses most of them.
    """
    state: Any = getattr(failure, "state", None)
    token: Any = getattr(failure, "token", None)
    return getattr(state, "position", None), getattr(token, "type", "")


@cache
def _examples(parser: Lark) -> dict[tuple[Any, str], Mistake]:
    """What each example of a mistake makes the parser fail at; earlier rows win."""
    table: dict[tuple[Any, str], Mistake] = {}
    for mistake in MISTAKES:
        for example in mistake.examples:
            try:
                parser.parse(example)
            except UnexpectedInput as failure:
                table.setdefault(_key(failure), mistake)
    return table


def _generic(failure: UnexpectedInput, source: Source, start: int, end: int) -> CompileError:
    token: Any = getattr(failure, "token", None)
    shown = _SHOWN.get(token.type, "") if token is not None else ""
    if not shown or (token is not None and token.type in ("NAME", "NUMBER", "OPERATOR", "SIGN")):
        shown = repr(source.text[start:end])
    expected: Any = getattr(failure, "accepts", None) or getattr(failure, "expected", ())
    wanted = sorted(_SHOWN[t] for t in expected if t in _SHOWN)
    if wanted:
        listed = wanted[0] if len(wanted) == 1 else f"{', '.join(wanted[:-1])} or {wanted[-1]}"
        return _made(source, "TC001", start, end, f"unexpected {shown}", f"expected {listed}")
    return _made(source, "TC001", start, end, f"unexpected {shown}")
