"""`tcomp explain`: what was derived and scheduled for a program, and what it should cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tcomp.cli import output
from tcomp.cli.options import collect, file_argument, json_option, program_options

STAGES = ("program", "derived", "loops", "llvm", "asm")


@click.command("explain")
@file_argument
@program_options
@click.option(
    "--stage", type=click.Choice(STAGES), help="Print one stage of the compilation instead."
)
@json_option
def command(file: Path, stage: str | None, as_json: bool, **keywords: Any) -> None:
    """Show what tcomp made of the program in FILE.

    \b
    Examples:
      tcomp explain examples/linear_gelu.tc
      tcomp explain examples/softmax.tc --size M=64 --stage loops
    """
    from tcomp.cli.program import prepare

    prepared = prepare(collect(file, keywords))
    function = prepared.compile()
    text = function.dump(stage) if stage else str(function.explain())
    if as_json:
        facts = {"program": prepared.name, "sizes": prepared.sizes, stage or "explanation": text}
        output.print_json(facts)
    else:
        click.echo(text.rstrip("\n"))
