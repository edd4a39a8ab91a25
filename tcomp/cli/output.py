"""What commands print: one JSON object, or text for people; quiet and plain when not on a terminal."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


def print_json(facts: dict[str, Any]) -> None:
    """One machine-readable object on standard output; what JSON has no number for becomes text."""
    click.echo(json.dumps(_plain(facts), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def console() -> Console:
    """Rich's console: colours on a terminal only, none with NO_COLOR."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """A remark on progress for people who watch; nothing when standard error is no terminal."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


def seconds(value: float) -> str:
    """A duration in the unit that suits it.

    >>> seconds(0.0213), seconds(4.2e-6), seconds(3)
    ('21.3 ms', '4.2 µs', '3 s')
    """
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def shape(array: Any) -> str:
    """An array's type and shape in the language's notation: `f32[3, 4]`."""
    from tcomp.ir.dtypes import from_numpy

    return f"{from_numpy(array.dtype).name}[{', '.join(map(str, array.shape))}]"
