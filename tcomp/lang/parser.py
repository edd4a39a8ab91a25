"""Text to syntax tree."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from tcomp.diagnostics import CompileError, InternalError
from tcomp.forks import PARSER, held_across_forks
from tcomp.lang.grammar import make_parser
from tcomp.lang.source import Source
from tcomp.lang.syntax import Module
from tcomp.lang.words import RESERVED, kind_of_word

if TYPE_CHECKING:
    from lark import Lark

    from tcomp.lang.builder import TreeBuilder

_lock = threading.Lock()  # the indenter and the builder have state
held_across_forks(_lock, PARSER)


def parse(text: str, file: str = "<program>", *, library: bool = False) -> Module:
    """The syntax tree of a program. `file` is the name that messages show.

    Raises CompileError (TC001-TC029) where the text is not a program.
    """
    from lark.exceptions import LarkError, VisitError

    # A final line feed ends the last statement.
    source = Source(file, text.removeprefix("\ufeff").rstrip() + "\n", library)
    parser, builder = _parser()
    try:
        with _lock:
            builder.source = source
            module: Module = parser.parse(source.text)  # type: ignore[assignment]
    except VisitError as error:
        raise error.orig_exc from None
    except LarkError:
        module = Module(source, ())
    except RecursionError:
        raise CompileError("this is nested too deeply", code="TC029") from None
    if not module.defs:  # raised here, so that the parser's own failure is no cause
        raise _explained(source)
    _check_names(module)
    return module


def _check_names(module: Module) -> None:
    """Raises CompileError for a def whose name is reserved (TC013) or taken (TC011)."""
    known: set[str] = set()
    for each in module.defs:
        span = module.source.span(each.start, each.end)
        if each.name in RESERVED:
            message = f"'{each.name}' is {kind_of_word(each.name)} and cannot name a def"
            raise CompileError(message, code="TC013", span=span, hint="choose another name")
        if each.name in known:
            message = f"this file already has a def '{each.name}'"
            raise CompileError(message, code="TC011", span=span, hint="choose another name")
        known.add(each.name)


def _explained(source: Source) -> CompileError:
    """The mistake in a text that does not parse. Only this parser's states fit the examples'."""
    from lark.exceptions import LarkError

    from tcomp.lang.mistakes import explain_failure

    parser = _bare_parser()
    with _lock:
        try:
            parser.parse(source.text)
        except LarkError as failure:
            return explain_failure(failure, source, parser)
    raise InternalError("two parsers of one grammar differ", code="TC099")


@cache
def _parser() -> tuple[Lark, TreeBuilder]:
    from tcomp.lang.builder import TreeBuilder

    builder = TreeBuilder()
    return make_parser(builder), builder


@cache
def _bare_parser() -> Lark:
    return make_parser()
