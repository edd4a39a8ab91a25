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
    if stage:
        text = function.dump(stage)
        facts = {"program": prepared.name, stage: text}
    else:
        explanation = function.explain()
        text, facts = str(explanation), explanation.to_json()
    if as_json:
        output.print_json({**facts, "sizes": prepared.sizes})
    else:
        click.echo(text.rstrip("\n"))
