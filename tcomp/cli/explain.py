"""`tcomp explain`: what was derived and scheduled for a program, and what it should cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcomp.cli import output
from tcomp.cli.options import collect, file_argument, json_option, program_options

if TYPE_CHECKING:
    from tcomp.cli.program import Prepared

_CALLS = 12  # that are timed for a report
STAGES = ("program", "derived", "loops", "llvm", "asm")


@click.command("explain")
@file_argument
@program_options
@click.option(
    "--stage", type=click.Choice(STAGES), help="Print one stage of the compilation instead."
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PAGE",
    help="Write a report with roofline, schedules and derivation.",
)
@json_option
def command(
    file: Path, stage: str | None, html_file: Path | None, as_json: bool, **keywords: Any
) -> None:
    """Show what tcomp made of the program in FILE.

    \b
    Examples:
      tcomp explain examples/linear_gelu.tc
      tcomp explain examples/softmax.tc --size M=64 --stage loops
      tcomp explain examples/softmax.tc --html report.html
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
        if html_file is not None:
            from tcomp.explain_page import page
            from tcomp.probe import machine_speed

            report = page(explanation, function.derivation, machine_speed(), _seconds(prepared))
            html_file.write_text(report, encoding="utf-8")
    if as_json:
        output.print_json({**facts, "sizes": prepared.sizes})
    else:
        click.echo(text.rstrip("\n"))


def _seconds(prepared: Prepared) -> float:
    """One call, the best of a few."""
    from time import perf_counter

    function, arrays = prepared.compile(), [*prepared.draw(0).values()]
    best = float("inf")
    for _ in range(_CALLS):
        start = perf_counter()
        function(*arrays)
        best = min(best, perf_counter() - start)
    return best
