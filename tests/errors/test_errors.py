"""One failing program for each diagnostic: its code, and the place that the carets mark.

Each `.tc` file begins with `# error: CODE`. A comment of carets below a line marks where the error must be
(`#^^` begins at column 1, `#<` is column 1 alone). `# sizes: N=4` programs fail when those sizes are bound.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcomp.diagnostics import CompileError
from tcomp.explanations import EXPLANATIONS, explain
from tcomp.ir.tensor.binding import bind
from tcomp.lang import lower, parse

FILES = sorted(Path(__file__).parent.glob("*.tc"))


def expected_place(text: str) -> tuple[int, int, int] | None:
    """Line, first and last column of the carets, from 1."""
    for number, line in enumerate(text.split("\n")):
        if line == "#<":
            return number, 1, 1
        if re.fullmatch(r"#\s*\^+\s*", line):
            last = line.rindex("^") + 1
            first = 1 if line[1] == "^" else line.index("^") + 1
            return number, first, last
    return None


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_diagnostic(file: Path) -> None:
    text = file.read_text()
    code = text.split("\n", 1)[0].removeprefix("# error: ")
    with pytest.raises(CompileError) as caught:
        program = lower(parse(text, file.name))
        sizes = re.search(r"^# sizes: (.*)", text, re.M)
        if sizes:
            pairs = (pair.split("=") for pair in sizes.group(1).split())
            bind(program, {name: int(value) for name, value in pairs})
    error = caught.value
    assert error.code == code, str(error)
    place = expected_place(text)
    if place is not None:
        assert error.span is not None
        last = max(error.span.column, error.span.end_column - 1)  # nothing to cover at a line's end
        found = (error.span.line, error.span.column, last)
        assert found == place, str(error)
        assert f"{file.name}:{place[0]}:{place[1]}: {code}" in str(error)
        assert error.span.excerpt().endswith("^")
    assert error.message and error.message[0] != " "


def test_all_language_codes_have_a_program() -> None:
    """Codes below TC070 that a program's text alone can cause."""
    shown = {f.read_text().split("\n", 1)[0].removeprefix("# error: ") for f in FILES}
    # TC015, TC035, TC065: of calls; TC029, TC038, TC062 have tests of their own in tests/unit.
    elsewhere = {"TC015", "TC029", "TC035", "TC038", "TC062", "TC065"}
    assert shown | elsewhere == {c for c in EXPLANATIONS if c < "TC070"}


@pytest.mark.parametrize("code", [c for c, e in EXPLANATIONS.items() if e.failing and c < "TC070"])
def test_explained_examples(code: str) -> None:
    row = EXPLANATIONS[code]
    with pytest.raises(CompileError) as caught:
        lower(parse(row.failing))
    assert caught.value.code == code
    lower(parse(row.fixed))


def test_explain() -> None:
    assert explain("tc010") is explain("10") is EXPLANATIONS["TC010"]
    assert str(explain("TC010")).startswith("TC010: an unknown name")
    with pytest.raises(KeyError, match="TC9"):
        explain("TC9")
