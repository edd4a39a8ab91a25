"""`tcomp derive`: the search for a cheaper equal program, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcomp.cli import output
from tcomp.cli.options import collect, file_argument, json_option, program_options
from tcomp.diagnostics import BindingError

if TYPE_CHECKING:
    from tcomp.ir.tensor.nodes import Program
    from tcomp.passes.derivation import Derivation


@click.command("derive")
@file_argument
@program_options
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Time for the search.",
)
@click.option("--all", "show_all", is_flag=True, help="Show the program after every step whole.")
@click.option("--measure", is_flag=True, help="Time the program as written and as derived.")
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="LOG",
    help="Write the proof log.",
)
@click.option(
    "--check",
    "check_file",
    metavar="LOG",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Replay a proof log instead of searching.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the derivation as a page: the graph, the steps, the figures.",
)
@json_option
def command(
    file: Path,
    seconds: float,
    show_all: bool,
    measure: bool,
    log_file: Path | None,
    check_file: Path | None,
    html_file: Path | None,
    as_json: bool,
    **keywords: Any,
) -> None:
    """Show how a cheaper equal program is derived from the one in FILE: before, rule, after.

    \b
    Examples:
      tcomp derive examples/matrix_chain.tc
      tcomp derive examples/low_rank.tc --measure --log proof.json
      tcomp derive examples/low_rank.tc --check proof.json
      tcomp derive examples/low_rank.tc --html low_rank.html
    """
    from tcomp.cli.program import prepare

    options = collect(file, keywords)
    prepared = prepare(options)
    if check_file is not None:
        if html_file is not None:
            raise click.UsageError("--html shows a search; --check only replays a log")
        facts = _replayed(prepared.program, check_file)
    else:
        found = _search(prepared.program, options.accuracy, seconds)
        facts = _recorded(found, log_file)
        if measure:
            facts["measured"] = _measured(prepared.program, options)
        if html_file is not None:
            from tcomp.derivation_page import page

            html_file.write_text(page(found, facts), encoding="utf-8")
    if as_json:
        output.print_json({"program": prepared.name, "sizes": prepared.sizes, **facts})
    else:
        click.echo(render(facts, show_all))


def _search(program: Program, accuracy: str, seconds: float) -> Derivation:
    from tcomp.pipeline import derived

    return derived(program, accuracy, seconds=seconds)


def _recorded(found: Derivation, log_file: Path | None) -> dict[str, Any]:
    from tcomp.passes.derivation.proof import to_log

    log = to_log(found)
    if log_file is not None:
        log_file.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    return {**_totals(found), "source": log["source"], "steps": _described(log["steps"])}


def _replayed(program: Program, path: Path) -> dict[str, Any]:
    from tcomp.ir.tensor.printer import print_program
    from tcomp.passes.derivation.proof import replay
    from tcomp.passes.verification import verify_equal

    try:
        log = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BindingError(f"{path} is not a proof log: {error}", code="TC096") from error
    result = replay(program, log)
    verdict = verify_equal(program, result)
    return {
        "checked": str(path),
        "equal": verdict.equal,
        "source": print_program(program),
        "steps": _described(log["steps"]),
    }


def _totals(found: Derivation) -> dict[str, Any]:
    from tcomp.passes.derivation.cost import operations, traffic

    before, after = (list(p.definitions()) for p in (found.source, found.program))
    return {
        "states": found.states,
        "seconds": found.seconds,
        "complete": found.complete,
        "accuracy": found.accuracy.to_json() if found.accuracy is not None else None,
        "accuracy_text": str(found.accuracy) if found.accuracy is not None else "",
        "cost_before": found.cost_before,
        "cost_after": found.cost_after,
        "operations_before": sum(map(operations, before)),
        "operations_after": sum(map(operations, after)),
        "bytes_before": sum(map(traffic, before)),
        "bytes_after": sum(map(traffic, after)),
    }


def _described(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from tcomp.passes.derivation import RULES

    rules = {r.name: r for r in RULES}
    return [
        {**s, "before": rules[s["rule"]].before, "after": rules[s["rule"]].after} for s in steps
    ]


def _measured(program: Program, options: Any) -> dict[str, float]:
    """Seconds of one call of the program as written and as derived, in the same process."""
    import numpy as np

    from tcomp.ir.tensor.sampling import draw_inputs
    from tcomp.options import options_from
    from tcomp.pipeline import build_as_written
    from tcomp.specialise import kernel_for, kernel_from

    chosen = options_from(threads=options.threads, accuracy=options.accuracy)
    arrays = [*draw_inputs(program, 0, frozenset(), {}).values()]
    kernels = {
        "as_written": kernel_from(build_as_written(program, chosen), chosen),
        "derived": kernel_for(program, chosen),
    }
    for kernel in kernels.values():
        kernel(*arrays)
    times: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(5):
        for name, kernel in kernels.items():
            times[name] += kernel.time(arrays, rounds=3)
    return {name: float(np.min(samples)) * 1e-9 for name, samples in times.items()}


def render(facts: dict[str, Any], show_all: bool) -> str:
    """The derivation for people."""
    lines = [facts["source"].rstrip(), ""]
    previous = facts["source"]
    for number, step in enumerate(facts["steps"], start=1):
        lines.append(
            f"{number}. {step['rule']} at {step['tensor']}:  {step['before']}  =  {step['after']}"
        )
        shown = step["program"] if show_all else _changed(previous, step["program"])
        lines += ["", shown.rstrip(), ""]
        previous = step["program"]
    if not facts["steps"]:
        lines.append("nothing cheaper was found")
    if "checked" in facts:
        lines.append(
            f"{facts['checked']}: every step replays; equal over a prime field: {facts['equal']}"
        )
        return "\n".join(lines)
    end = "" if facts["complete"] else ", more were left"
    lines.append(f"{facts['states']} programs in {output.seconds(facts['seconds'])}{end}")
    lines.append(_ratio("operations", facts["operations_before"], facts["operations_after"]))
    lines.append(_ratio("bytes", facts["bytes_before"], facts["bytes_after"]))
    if facts["accuracy_text"]:
        lines.append(facts["accuracy_text"])
    if "measured" in facts:
        written, derived = facts["measured"]["as_written"], facts["measured"]["derived"]
        lines.append(
            f"measured {output.seconds(written)} as written, {output.seconds(derived)} derived: "
            f"{written / derived:.3g}x"
        )
    return "\n".join(lines)


def _changed(before: str, after: str) -> str:
    """The lines of a program that a step changed or added."""
    known = set(before.splitlines())
    return "\n".join(x for x in after.splitlines() if x not in known)


def _ratio(what: str, before: float, after: float) -> str:
    factor = f" ({before / after:.3g}x less)" if after < before else ""
    return f"{what} {before:.4g} -> {after:.4g}{factor}"
