"""Whatever the text: a program, or one clear error with a place; never another exception."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lang_run import normal, run

import tcomp.lang
from tcomp.diagnostics import BindingError, CompileError
from tcomp.ir.dtypes import f32, f64, i8, i32
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.verifier import verify
from tcomp.lang import lower, parse, signature

HEAD = "def f(X: f32[N]) -> Y: f32[N]:\n"
LIBRARY = sorted((Path(tcomp.lang.__file__).parent / "stdlib").glob("*.tc"))
DEFS = ["def " + d for file in LIBRARY for d in file.read_text().split("\ndef ")[1:]]
TOKENS = re.compile(r"\s+|\w+|\*\*|//|->|[=!<>]=|.", re.S)
WORDS = [
    "0",
    "1",
    "-1",
    "0.5",
    "i",
    "N",
    "f16",
    "bool",
    "i8",
    "argmax",
    "where",
    "softmax",
    "mean",
    "inf",
]
MARKS = [
    "else",
    "in",
    "scan",
    "def",
    "==",
    "//",
    "[",
    "]",
    "(",
    ")",
    ":",
    ",",
    "=",
    "\n    ",
    "not ",
    "**",
]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_mutated_programs(data: st.DataObject) -> None:
    tokens = TOKENS.findall(data.draw(st.sampled_from(DEFS)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(tokens) - 1))
        same_kind = [t for t in tokens if t[0].isalnum() == tokens[at][0].isalnum()]
        extra = WORDS if tokens[at][0].isalnum() else MARKS
        tokens[at] = data.draw(st.sampled_from([*same_kind, *extra]))
    try:
        program = lower(parse("".join(tokens)))
    except CompileError as error:
        assert error.span is not None and str(error)
        return
    verify(program)
    try:
        verify(bind(program, {s.name: data.draw(st.integers(0, 5)) for s in program.sizes}))
    except CompileError as error:
        assert str(error)


@pytest.mark.parametrize(
    "expression",
    [
        "-" * 5000 + "X[i]",
        " ** ".join(["X[i]"] * 5000),
        "X[" * 500 + "i" + "]" * 500,
        "not " * 5000 + "True",
    ],
)
def test_deep_nesting_is_an_error(expression: str) -> None:
    with pytest.raises(CompileError) as caught:
        lower(parse(HEAD + f"    Y[i] = {expression}\n"))
    assert caught.value.code in ("TC029", "TC036")


def test_moderate_nesting_is_fine() -> None:
    x = normal(3)
    deep = "(" * 80 + "X[i]" + " + 1)" * 80
    np.testing.assert_allclose(run(HEAD + f"    Y[i] = {deep}\n", x), x.astype(float) + 80)


def test_many_digits() -> None:
    with pytest.raises(CompileError, match="TC033"):
        lower(parse(HEAD + f"    Y[i] = {'9' * 9999}\n"))
    with pytest.raises(CompileError, match="TC033"):
        lower(parse(HEAD + "    Y[i] = 10 ** 10 ** 10\n"))
    assert run("def f() -> y: f64:\n    y = 1e999\n") == np.inf


def test_generics_that_do_not_fit() -> None:
    given_types = signature(parse("def f(x: float, y: float, n: int) -> z: float:\n    z = x\n"))
    assert given_types.bind_generics({"x": f64, "n": i8}) == {"float": f64, "int": i8}
    assert given_types.bind_generics({}) == {"float": f32, "int": i32}
    for wrong in ({"x": i32}, {"x": f32, "y": f64}, {"n": f32}):
        with pytest.raises(BindingError, match="TC035"):
            given_types.bind_generics(wrong)


def test_wrong_parameters_from_outside() -> None:
    module = parse("def f[n=1, on=True, s=0.5](x: f32) -> y: f32:\n    y = x\n")
    for wrong, code in (
        ({"m": 1}, "TC020"),
        ({"n": 1.5}, "TC039"),
        ({"on": 1}, "TC039"),
        ({"s": "a"}, "TC039"),
    ):
        with pytest.raises(CompileError, match=code):
            lower(module, params=wrong)
    lower(module, params={"n": np.int64(3), "on": np.True_, "s": np.float32(2)})


def test_narrow_locals_of_scans() -> None:
    text = "def f(X: i8[T]) -> Y: i32[T]:\n    scan[t] s[t] = cast(i8, (s[t-1] else 0) + X[t])\n    Y[t] = s[t]\n"
    x = np.array([100, 100, 100, -50], np.int8)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(run(text, x), np.cumsum(x, dtype=np.int8))


def test_reads_of_empty_tensors_are_legal() -> None:
    text = "def f(X: f32[0], Z: f32[3]) -> Y: f32[0]:\n    Y[i] = X[0] + X[i + 7] + Z[i]\n"
    text = text.replace(" + Z[i]", "").replace(", Z: f32[3]", "")
    assert run(text, normal(0)).shape == (0,)


def test_places_in_files_with_other_line_ends() -> None:
    with pytest.raises(CompileError) as caught:
        lower(parse("# first\r\n" + HEAD.replace("\n", "\r\n") + "    Y[i] = Q[i]\r\n", "m.tc"))
    assert str(caught.value) == (
        "m.tc:3:12: TC010: unknown name 'Q'\n 3 |     Y[i] = Q[i]\n   |            ^^^^"
    )


def test_mistakes_inside_the_library_are_shown_at_the_call() -> None:
    program = lower(parse("def f(X: f32[N]) -> Y: f32[2]:\n    Y = moving_average(X)\n", "m.tc"))
    with pytest.raises(CompileError) as caught:
        bind(program, {"N": 7})
    assert str(caught.value.span) == "m.tc:2:9" or str(caught.value.span) == "m.tc:2:5"


def test_nearest_names_are_suggested() -> None:
    for body, hint in (
        ("Y[i] = weigth * X[i]", "weight"),
        ("Y = sofmax(X)", "softmax"),
        ("Y[i] = sigmod(X[i])", "sigmoid"),
        ("Y[i] = cast(f3, X[i])", "f32"),
        ("Y = roll[shfit=1](X)", "shift"),
    ):
        with pytest.raises(CompileError) as caught:
            lower(parse(f"def f(X: f32[N], weight: f32) -> Y: f32[N]:\n    {body}\n"))
        assert caught.value.hint == f"did you mean '{hint}'?"
