"""`tcomp machine`: what tcomp knows of this processor."""

from __future__ import annotations

import click

from tcomp.cli import output
from tcomp.cli.options import json_option


@click.command("machine")
@click.option(
    "--measure", is_flag=True, help="Measure again instead of using what was measured before."
)
@json_option
def command(measure: bool, as_json: bool) -> None:
    """Show this machine: cores, vectors, caches, and what was measured of it.

    The peak of fused multiply-adds and the bandwidth of every memory level are measured once and kept.
    """
    from tcomp.autotune.machine import machine_facts
    from tcomp.probe import machine_speed

    facts = {**machine_facts(), **machine_speed(again=measure)}
    if as_json:
        output.print_json(facts)
        return
    width = max(len(k) for k in facts)
    for name, value in facts.items():
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        click.echo(f"{name:{width}}  {shown}")
