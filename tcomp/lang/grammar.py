"""The parser of grammar.lark, from tables that were computed beforehand where they fit.

Computing LALR tables takes lark some 50 ms, loading them 5 ms: a fifth of what a small program may take
from text to its first result. `write_tables` makes them anew after a change of the grammar; tables of
another grammar or another lark are ignored, so that a forgotten run costs time only.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark
    from lark.indenter import Indenter

_GRAMMAR = Path(__file__).with_name("grammar.lark")
_TABLES = Path(__file__).with_name("grammar.json")


def make_parser(transformer: Any = None) -> Lark:
    """A parser of programs. Without a transformer it only finds mistakes: its trees are lark's."""
    grammar = _GRAMMAR.read_text(encoding="utf-8")
    tables = _stored_tables(grammar)
    return compute(grammar, transformer) if tables is None else _restore(tables, transformer)


def compute(grammar: str, transformer: Any = None) -> Lark:
    """The parser, from the grammar's text."""
    from lark import Lark

    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        postlex=_blocks(),
        maybe_placeholders=False,
        transformer=transformer,
    )


def write_tables() -> None:
    """Computes grammar.json for the installed lark. State numbers differ from run to run."""
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = _GRAMMAR.read_text(encoding="utf-8")
    data, memo = compute(grammar).memo_serialize([TerminalDef, Rule])
    options = {k: v for k, v in data["options"].items() if k not in ("postlex", "transformer")}
    plain = {
        n: v for n, v in options.items() if isinstance(v, str | int | float | bool | list | None)
    }
    made = {"key": _key(grammar), "data": {**data, "options": plain}, "memo": memo}
    text = json.dumps(made, separators=(",", ":"), sort_keys=True, default=sorted)
    _TABLES.write_text(text + "\n", encoding="utf-8")


def _key(grammar: str) -> str:
    import lark

    return sha256(f"{lark.__version__}\n{grammar}".encode()).hexdigest()


def _stored_tables(grammar: str) -> dict[str, Any] | None:
    try:
        tables: dict[str, Any] = json.loads(_TABLES.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return tables if tables.get("key") == _key(grammar) else None


def _restore(tables: dict[str, Any], transformer: Any) -> Lark:
    """JSON has text as keys and lists where lark has integers and tuples."""
    from lark import Lark

    data = tables["data"]
    parser = data["parser"]["parser"]
    parser["states"] = {
        int(state): {token: tuple(action) for token, action in actions.items()}
        for state, actions in parser["states"].items()
    }
    memo = {int(number): value for number, value in tables["memo"].items()}
    made: Lark = Lark._load_from_dict(  # type: ignore[no-untyped-call]
        data, memo, postlex=_blocks(), transformer=transformer
    )
    return made


def _blocks() -> Indenter:
    from lark.indenter import Indenter

    class Blocks(Indenter):
        NL_type = "_NEWLINE"
        OPEN_PAREN_types = ["LPAR", "LSQB"]  # noqa: RUF012
        CLOSE_PAREN_types = ["RPAR", "RSQB"]  # noqa: RUF012
        INDENT_type = "_INDENT"
        DEDENT_type = "_DEDENT"
        tab_len = 8

    return Blocks()
