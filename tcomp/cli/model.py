"""`tcomp model`: the learned ranker of schedules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcomp.cli import output
from tcomp.cli.db import database_option
from tcomp.cli.options import json_option
from tcomp.diagnostics import BindingError

if TYPE_CHECKING:
    from tcomp.cost_model.ranker import Example

model_argument = click.argument("model", type=click.Path(path_type=Path, dir_okay=False))


@click.group("model")
def command() -> None:
    """Train, judge and show the cost model that ranks schedules.

    \b
    Examples:
      tcomp model train model.json
      tcomp model eval model.json
    """


@command.command("train")
@model_argument
@database_option
@json_option
def train_model(model: Path, database: Path | None, as_json: bool) -> None:
    """Train a ranker on the tuning database and write it to MODEL, in XGBoost's JSON."""
    from tcomp.cost_model.ranker import evaluate, train

    examples = _examples(database)
    ranker = train(examples)
    if ranker is None:
        raise BindingError(
            "the tuning database holds too few measurements to learn from",
            code="TC097",
            hint="tune some programs first: tcomp tune FILE",
        )
    ranker.save(model)
    quality = evaluate(ranker, examples)
    facts = {
        "model": str(model),
        "samples": ranker.samples,
        "workloads": ranker.workloads,
        "pairs": quality.pairs,
    }
    text = (
        f"{model}: {ranker.samples} measurements of {ranker.workloads} workloads, "
        f"{quality.pairs:.0%} of pairs in order (on what it was trained on)"
    )
    _tell(facts, text, as_json)


@command.command("eval")
@model_argument
@database_option
@json_option
def evaluate_model(model: Path, database: Path | None, as_json: bool) -> None:
    """Judge MODEL on the measurements of the tuning database."""
    from tcomp.cost_model.ranker import evaluate, load

    quality = evaluate(load(model), _examples(database))
    facts = {"pairs": quality.pairs, "top1": quality.top1, "top8": quality.top8}
    text = (
        f"{quality.pairs:.1%} of pairs in order; the first choice reaches {quality.top1:.1%} "
        f"of the best speed, the best of 8 {quality.top8:.1%}"
    )
    _tell(facts, text, as_json)


@command.command("show")
@click.argument("model", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
def show(model: Path | None, as_json: bool) -> None:
    """Show the features, or with MODEL which of them matter."""
    from tcomp.cost_model.features import FEATURES, describe
    from tcomp.cost_model.ranker import load

    if model is None:
        facts = {"features": {f.name: f.meaning for f in FEATURES}}
        _tell(facts, describe(), as_json)
        return
    ranker = load(model)
    shares = ranker.importance()
    lines = [f"{ranker.samples} measurements of {ranker.workloads} workloads"]
    lines += [f"  {share:6.1%}  {name}" for name, share in list(shares.items())[:20]]
    _tell({"samples": ranker.samples, "importance": shares}, "\n".join(lines), as_json)


def _examples(database: Path | None) -> list[Example]:
    from tcomp.autotune.database import Database
    from tcomp.training import examples_from

    return examples_from(Database(database))


def _tell(facts: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        output.print_json(facts)
    else:
        click.echo(text)
