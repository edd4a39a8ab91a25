"""LLVM IR that lies beside the modules as text, with names in dollar signs where numbers go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def fill(file: str, values: Mapping[str, object]) -> str:
    """The text of a file of this folder with each `$NAME$` replaced by its value."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"${name}$", str(value))
    return text
