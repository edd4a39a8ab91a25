"""Writes the parts of docs/ that the code knows best: settings, error codes, standard library.

python tools/document.py            writes them
python tools/document.py --check    fails where a page is out of date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def settings() -> str:
    """docs/settings.md"""
    from tcomp import config

    return (
        "# Settings\n\nEach setting is an environment variable; arguments of functions and options of commands "
        f"win over it.\n\n{config.table()}\n"
    )


def errors() -> str:
    """docs/errors.md"""
    from tcomp.explanations import EXPLANATIONS

    parts = ["# Error codes\n\nAlso shown by `tcomp explain-error CODE`.\n"]
    for code, each in EXPLANATIONS.items():
        parts.append(f"## {code}: {each.title}\n\n{each.text}\n")
        for heading, example in (("Fails:", each.failing), ("Instead:", each.fixed)):
            if example:
                parts.append(f"{heading}\n\n```text\n{example.rstrip()}\n```\n")
    return "\n".join(parts)


def library() -> str:
    """docs/library.md"""
    parts = [
        "# The standard library\n\nWritten in the language; the text is in `tcomp/lang/stdlib`. Leading axes of "
        "arguments are batched.\n"
    ]
    for path in sorted((ROOT / "tcomp" / "lang" / "stdlib").glob("*.tc")):
        parts.append(f"## {path.stem}\n\n```text")
        parts += [
            _joined(s) for s in re.findall(r"^def .*?:\n(?= )", path.read_text(), re.M | re.S)
        ]
        parts.append("```\n")
    return "\n".join(parts)


def _joined(signature: str) -> str:
    return re.sub(r"\s*\n\s*", " ", signature.rstrip().removesuffix(":"))


PAGES = {"settings.md": settings, "errors.md": errors, "library.md": library}


def main(check: bool) -> int:
    stale = []
    for name, page in PAGES.items():
        path = ROOT / "docs" / name
        text = page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{'out of date' if check else 'written'}: {', '.join(stale)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
