"""`tcomp explain-error`: what an error code means and what to do about it."""

from __future__ import annotations

from dataclasses import asdict

import click

from tcomp.cli import output
from tcomp.cli.options import json_option


@click.command("explain-error")
@click.argument("code", required=False)
@json_option
def command(code: str | None, as_json: bool) -> None:
    """Explain the error CODE; without one, list all codes.

    \b
    Examples:
      tcomp explain-error TC011
      tcomp explain-error
    """
    from tcomp.explanations import EXPLANATIONS, explain

    if code is None:
        if as_json:
            output.print_json({"codes": {c: e.title for c, e in EXPLANATIONS.items()}})
        else:
            click.echo("\n".join(f"{c}  {e.title}" for c, e in EXPLANATIONS.items()))
        return
    try:
        explanation = explain(code)
    except KeyError as unknown:
        raise click.UsageError(f"{unknown.args[0]}; 'tcomp explain-error' lists them") from None
    if as_json:
        output.print_json(asdict(explanation))
    else:
        click.echo(str(explanation))
