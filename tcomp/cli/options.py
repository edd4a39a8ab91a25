"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Number = int | float | bool


class Assignment(click.ParamType[tuple[str, Any]]):
    """`NAME=VALUE` on the command line; `read` makes the value or raises ValueError."""

    name = "assignment"

    def __init__(self, expects: str, read: Callable[[str], Any]) -> None:
        self.expects = expects
        self.read = read

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        try:
            if not (equals and name.strip().isidentifier()):
                raise ValueError(value)
            return name.strip(), self.read(text.strip())
        except ValueError:
            self.fail(f"'{value}' is not {self.expects}", param, ctx)


def _size(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def number(text: str) -> Number:
    """A parameter's value: true, false, an integer or a float."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text, 0)
    except ValueError:
        return float(text)


SIZE = Assignment("NAME=INTEGER with an integer of at least 0", _size)
PARAM = Assignment("NAME=NUMBER", number)
FILE = Assignment("NAME=FILE", Path)


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """Which program is meant, and how it is to be compiled."""

    file: Path
    entry: str | None
    sizes: dict[str, int]
    params: dict[str, Number]
    threads: int | None
    target: str
    accuracy: str
    database: Path | None


def program_options(function: Function) -> Function:
    """Adds the options that name and compile a program; the command gets them as keywords."""
    for option in reversed(_PROGRAM_OPTIONS):
        function = option(function)
    return function


_PROGRAM_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--entry", metavar="NAME", help="The definition to compile; the only or the last one."
    ),
    click.option(
        "--size", "sizes", type=SIZE, multiple=True, metavar="M=128", help="Bind a size name."
    ),
    click.option(
        "--param", "params", type=PARAM, multiple=True, metavar="pad=1", help="Set a parameter."
    ),
    click.option(
        "--threads", type=click.IntRange(1, 4096), help="Threads of the kernel; all cores."
    ),
    click.option("--target", default="native", show_default=True, help="Processor to compile for."),
    click.option(
        "--accuracy",
        type=click.Choice(["strict", "standard", "fast"]),
        default="standard",
        show_default=True,
        help="How far results may be from exact ones.",
    ),
    click.option(
        "--database", type=click.Path(path_type=Path), metavar="F", help="Tuning database to use."
    ),
)

file_argument = click.argument(
    "file", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
constant_option = click.option(
    "--constant",
    "constants",
    multiple=True,
    metavar="W",
    help="An input that is bound when compiling, such as weights.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of random inputs."
)


def collect(file: Path, keywords: dict[str, Any]) -> ProgramOptions:
    """The options of `program_options` as one object; raises UsageError for a name given twice."""
    for name in ("sizes", "params"):
        keywords[name] = unique(name, keywords[name])
    return ProgramOptions(file=file, **keywords)


def unique(what: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Assignments as a dict. Raises UsageError where a name is given two different values."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise click.UsageError(f"{what}: {name} is given twice: {found[name]} and {value}")
    return found
