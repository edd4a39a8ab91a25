"""Where a program comes from: text, a `.tc` file, or an ONNX model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcomp.diagnostics import CompileError
from tcomp.lazy import lazy

if TYPE_CHECKING:
    from tcomp.lang import Module, Signature


@dataclass(frozen=True)
class Source:
    """The text of a program and the definition of it that is meant. Parsed when first needed."""

    text: str
    file: str
    entry: str | None

    @lazy
    def module(self) -> Module:
        """The syntax tree. Raises CompileError for what is not the language."""
        from tcomp.lang import parse

        return parse(self.text, file=self.file)

    @lazy
    def signature(self) -> Signature:
        """Parameters, sizes, inputs and results of the entry, parameters at their defaults."""
        return self.signature_with({})

    def signature_with(self, params: Mapping[str, int | float | bool]) -> Signature:
        """The same with other values of parameters, which declared shapes may depend on."""
        from tcomp.lang import signature

        return signature(self.module, self.entry, dict(params))


def read_source(source: Any, entry: str | None = None) -> Source:
    """The program that `source` names, by product rules: text has a newline or begins with `def`; any
    other string or path is a file. Raises CompileError where there is none."""
    if isinstance(source, str) and (
        "\n" in source or source.lstrip().startswith(("def ", "def\t"))
    ):
        return Source(source, "<text>", entry)
    if not isinstance(source, str | os.PathLike):
        raise CompileError(
            f"a program is text or a path, not {type(source).__name__}",
            code="TC091",
            hint="pass the program's text, or the path of a .tc file",
        )
    path = Path(source)
    if path.suffix == ".onnx":
        raise CompileError(
            f"{path}: ONNX models are not read by this version",
            code="TC091",
            hint="write the model as a .tc program",
        )
    try:
        return Source(path.read_text(encoding="utf-8"), str(path), entry)
    except UnicodeDecodeError as error:
        raise CompileError(f"{path} is not UTF-8 text: {error}", code="TC091") from error
    except OSError as error:
        raise CompileError(
            f"cannot read the program {path}: {error.strerror or error}",
            code="TC091",
            hint="a program's text has a newline or begins with 'def'; anything else is a path",
        ) from error
