"""Which def a name means: the file's own, else the standard library's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tcomp.diagnostics import CompileError, nearest
from tcomp.lang.parser import parse
from tcomp.lang.syntax import Def, Module

_FOLDER = Path(__file__).with_name("stdlib")


@dataclass(frozen=True, slots=True)
class Defs:
    """The defs that calls in a file can mean."""

    module: Module

    def find(self, name: str, caller: Def | None = None) -> Def | None:
        """A file's def hides the library's of that name, but not from the library itself."""
        if caller is None or not caller.source.library:
            for each in self.module.defs:
                if each.name == name:
                    return each
        return library_def(name)

    def names(self) -> list[str]:
        """Every name that a call can have."""
        return [*(d.name for d in self.module.defs), *library_index()]


def entry_def(module: Module, entry: str | None) -> Def:
    """The def that `entry` names; None means the last. Raises CompileError (TC015)."""
    if entry is None:
        return module.defs[-1]
    for each in module.defs:
        if each.name == entry:
            return each
    names = [d.name for d in module.defs]
    raise CompileError(
        f"{module.source.file} has no def '{entry}'; it has {', '.join(names)}",
        code="TC015",
        hint=nearest(entry, names),
    )


@cache
def library_index() -> dict[str, str]:
    """The library's defs: name to file. Found without parsing: most programs need none of them."""
    index: dict[str, str] = {}
    for file in sorted(_FOLDER.glob("*.tc")):
        text = file.read_text(encoding="utf-8")
        index.update((name, file.name) for name in re.findall(r"^def (\w+)", text, re.M))
    return index


def library_def(name: str) -> Def | None:
    """The library's def of that name."""
    file = library_index().get(name)
    return None if file is None else _parsed(file)[name]


@cache
def _parsed(file: str) -> dict[str, Def]:
    text = (_FOLDER / file).read_text(encoding="utf-8")
    return {d.name: d for d in parse(text, f"<library>/{file}", library=True).defs}
