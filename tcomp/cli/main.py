"""The `tcomp` command: finds the sub-command, turns what goes wrong into a message and an exit status.

Exit status: 0 done, 1 a check failed, 2 the user's mistake, 3 an internal error, 130 interrupted.
Sub-commands are imported when they are called, so `tcomp --help` loads neither NumPy nor LLVM.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from tcomp import __version__
from tcomp.cli import failures

# Name -> (module, the line that `tcomp --help` shows). The order is that of the help page.
COMMANDS = {
    "run": ("run", "Compile a program and run it once on given or random inputs."),
    "derive": ("derive", "Show how a cheaper equal program is derived."),
    "tune": ("tune", "Find faster schedules and remember them."),
    "bench": ("bench", "Time compiled programs side by side with NumPy."),
    "explain": ("explain", "Show what was derived and scheduled, and what it should cost."),
    "build": ("build", "Write a program's code: LLVM IR, assembly or an object file."),
    "db": ("db", "Look into the tuning database, export and merge it."),
    "model": ("model", "Train, judge and show the cost model."),
    "machine": ("machine", "Show what tcomp knows of this processor."),
    "cache": ("cache", "List or clear the compiled-kernel cache."),
    "explain-error": ("explain_error", "Explain an error code, with an example and the remedy."),
    "completion": ("completion", "Print the shell's completion script."),
}

EXAMPLES = """\
\b
Examples:
  tcomp run examples/softmax.tc --size M=1000 --check
  tcomp run examples/linear_gelu.tc --input X=x.npy --output Y=y.npy
  tcomp bench examples/causal_attention.tc
  tcomp explain examples/linear_gelu.tc
  tcomp build examples/softmax.tc -o softmax.ll
  tcomp explain-error TC011
"""


class Commands(click.Group):
    """A group whose members are imported when they are first needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = import_module(f"tcomp.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from tcomp.diagnostics import nearest

        if args and args[0] not in COMMANDS:
            hint = nearest(args[0], COMMANDS)
            ctx.fail(f"no command is called '{args[0]}'" + (f"; {hint}" if hint else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="tcomp", message="%(prog)s %(version)s")
def tcomp() -> None:
    """Compile tensor programs in index notation to verified CPU kernels."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits the process with the documented status."""
    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def invoke(arguments: list[str]) -> int:
    """Runs the command line; its exit status. Every failure has been reported on standard error."""
    try:
        status: Any = tcomp.main(args=arguments, prog_name="tcomp", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except BaseException as problem:
        return failures.report(problem, json="--json" in arguments)
