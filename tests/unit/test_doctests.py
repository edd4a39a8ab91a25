"""The examples in docstrings, and the programs in the documentation."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from tcomp.lang import lower, parse

ROOT = Path(__file__).resolve().parents[2]
ROOTS = {
    "tcomp": ROOT / "tcomp",
    "tcomp.passes": ROOT / "passes",
    "tcomp.cost_model": ROOT / "cost_model",
}


def modules_with_examples():
    found = []
    for name, folder in ROOTS.items():
        for path in sorted(folder.rglob("*.py")):
            inside = path.relative_to(folder)
            linked = name == "tcomp" and inside.parts[0] in ("passes", "cost_model")
            if not linked and ">>> " in path.read_text():
                found.append(".".join((name, *inside.with_suffix("").parts)))
    return [m.removesuffix(".__init__") for m in found]


@pytest.mark.parametrize("name", modules_with_examples())
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed


def programs(document):
    """Code blocks that define something in the language."""
    blocks = re.findall(r"```(?:tc)?\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    return [b for b in blocks if re.search(r"^def .*->", b, re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize("document", ["docs/language.md", "README.md"])
def test_programs_in_the_documentation_compile(document):
    found = programs(document)
    assert found
    for text in found:
        module = parse(text, file=document)
        for name in re.findall(r"^def (\w+)", text, re.MULTILINE):
            lower(module, name)
