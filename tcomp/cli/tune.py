"""`tcomp tune`: measure schedules of a program and remember the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tcomp.cli import output
from tcomp.cli.options import (
    collect,
    constant_option,
    file_argument,
    json_option,
    program_options,
    seed_option,
)


@click.command("tune")
@file_argument
@program_options
@click.option("--seconds", type=click.FloatRange(0), help="Time to spend; 30 by default.")
@click.option("--trials", type=click.IntRange(0), help="Candidates to measure, instead of a time.")
@constant_option
@click.option("--cluster", metavar="ADDRESS", help="Machines to measure on.")
@click.option("--resume", is_flag=True, help="Go on from what the database holds (always done).")
@seed_option
@json_option
def command(
    file: Path,
    seconds: float | None,
    trials: int | None,
    constants: tuple[str, ...],
    cluster: str | None,
    resume: bool,
    seed: int,
    as_json: bool,
    **keywords: Any,
) -> None:
    """Find the fastest form of the program in FILE and faster schedules for it, and keep both in the tuning database.

    The program as written and its most promising derivations are timed in turns; then schedules of the winner's
    kernels are tried. Every candidate is compiled, checked against the reference and timed in a process of its
    own. Ctrl-C ends the search and keeps everything measured.

    \b
    Examples:
      tcomp tune examples/softmax.tc --seconds 20
      tcomp tune examples/conv_block.tc --trials 50 --database mine.db
    """
    from tcomp.cli.program import prepare
    from tcomp.tuning import tune

    options = collect(file, keywords)
    prepared = prepare(options)
    report = tune(
        options.file,
        entry=options.entry,
        sizes=prepared.sizes,
        params=options.params,
        constants=constants,
        seconds=30.0 if seconds is None and trials is None else seconds,
        trials=trials,
        database=options.database,
        cluster=cluster,
        progress=not as_json,
        seed=seed,
        threads=options.threads,
        accuracy=options.accuracy,
    )
    if as_json:
        output.print_json({"program": prepared.name, "sizes": prepared.sizes, **report.to_json()})
    else:
        click.echo(str(report))
