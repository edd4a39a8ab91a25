"""`tcomp build`: a program's code as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tcomp.cli import output
from tcomp.cli.options import collect, file_argument, json_option, program_options

STAGES = {".ll": "llvm", ".s": "asm"}
SUFFIXES = (".ll", ".s", ".o")


@click.command("build")
@file_argument
@program_options
@click.option(
    "-o",
    "--output",
    "target_file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write; its suffix says what: .ll, .s or .o.",
)
@json_option
def command(file: Path, target_file: Path, as_json: bool, **keywords: Any) -> None:
    """Write the code of the program in FILE: LLVM IR, assembly, or an object file.

    \b
    Examples:
      tcomp build examples/softmax.tc -o softmax.ll
      tcomp build examples/linear_gelu.tc --size M=1 -o linear.o --threads 1
    """
    from tcomp.cli.program import prepare

    if target_file.suffix not in SUFFIXES:
        raise click.UsageError(
            f"'{target_file}' must end in one of {', '.join(SUFFIXES)}, which says what to write"
        )
    prepared = prepare(collect(file, keywords))
    function = prepared.compile()
    if target_file.suffix in STAGES:
        target_file.write_text(function.dump(STAGES[target_file.suffix]))
    else:
        function.save(target_file)
    facts = {
        "program": prepared.name,
        "sizes": prepared.sizes,
        "output": str(target_file),
        "bytes": target_file.stat().st_size,
    }
    if as_json:
        output.print_json(facts)
    else:
        click.echo(f"{target_file}: {facts['bytes']} bytes")
