"""`tcomp completion`: the script that teaches a shell the command's names and options."""

from __future__ import annotations

import json as json_module
from typing import Any

import click
from click.shell_completion import get_completion_class

INSTALL = {
    "bash": "echo 'eval \"$(tcomp completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(tcomp completion zsh)\"' >> ~/.zshrc",
    "fish": "tcomp completion fish > ~/.config/fish/completions/tcomp.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(shell: str, as_json: bool) -> None:
    """Print the completion script for SHELL.

    \b
    Install it with one of:
      echo 'eval "$(tcomp completion bash)"' >> ~/.bashrc
      echo 'eval "$(tcomp completion zsh)"' >> ~/.zshrc
      tcomp completion fish > ~/.config/fish/completions/tcomp.fish
    """
    from tcomp.cli.main import tcomp

    kind: Any = get_completion_class(shell)
    script = kind(tcomp, {}, "tcomp", "_TCOMP_COMPLETE").source()
    if as_json:
        facts = {"shell": shell, "install": INSTALL[shell], "script": script}
        click.echo(json_module.dumps(facts))
    else:
        click.echo(script)
