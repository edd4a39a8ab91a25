"""`tcomp derive`: the search for a cheaper equal program, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcomp.cli import output
from tcomp.cli.options import collect, constant_option, json_option, program_options
from tcomp.diagnostics import BindingError

if TYPE_CHECKING:
    from tcomp.cli.options import ProgramOptions
    from tcomp.ir.tensor.nodes import Program
    from tcomp.passes.derivation import Derivation


@click.command("derive")
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@program_options
@constant_option
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    help="Time for the search.",
)
@click.option("--all", "show_all", is_flag=True, help="Show the program after every step whole.")
@click.option(
    "--measure", is_flag=True, help="Time the program as written and the cheapest derived ones."
)
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
    help="Replay a proof log instead of searching; of FILE, or of the program in the log.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PAGE",
    help="Write the derivation as a page: the graph, the steps, the figures.",
)
@json_option
def command(
    file: Path | None,
    constants: tuple[str, ...],
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

    What depends on constants alone, such as weights, is computed once and costs nothing. Estimates choose the
    form, unless the tuning database says which form was measured to be the fastest.

    \b
    Examples:
      tcomp derive examples/matrix_chain.tc
      tcomp derive examples/low_rank.tc --measure --log proof.json
      tcomp derive --check proof.json
      tcomp derive examples/conv_block.tc --constant F --html page.html
    """
    from tcomp.cli.program import known_inputs, prepare

    sizes: dict[str, int] = {}
    if check_file is not None:
        if html_file is not None or measure:
            raise click.UsageError("--html and --measure need a search; --check only replays a log")
        log = _read_log(check_file)
        program = prepare(collect(file, keywords)).program if file else _program_of(log)
        facts = _replayed(program, log, check_file)
    elif file is None:
        raise click.UsageError("FILE is missing; only --check LOG does without")
    else:
        options = collect(file, keywords)
        prepared = prepare(options)
        program, sizes = prepared.program, prepared.sizes
        bound = known_inputs(program, constants)
        found = _search(program, options, seconds, bound)
        facts = _recorded(found, log_file, bound)
        if measure:
            from tcomp.cli.derivation_times import measured

            facts["measured"] = measured(program, found, options, bound)
        if html_file is not None:
            from tcomp.passes.derivation.page import page

            html_file.write_text(page(found, facts.get("measured")), encoding="utf-8")
    if as_json:
        output.print_json({"program": program.name, "sizes": sizes, **facts})
    else:
        click.echo(render(facts, show_all))
    if check_file is not None and not facts["equal"]:
        raise click.exceptions.Exit(1)


def _search(
    program: Program, chosen: ProgramOptions, seconds: float, constants: frozenset[str]
) -> Derivation:
    """What the search finds, with the form that was measured to be the fastest where that is on record."""
    from dataclasses import replace

    from tcomp.options import options_from
    from tcomp.pipeline import chosen_form, derived, machine_of, measured_form

    options = options_from(
        threads=chosen.threads,
        accuracy=chosen.accuracy,
        target=chosen.target,
        database=chosen.database,
    )
    known = measured_form(program, options, constants)
    if known is None:
        return chosen_form(program, options, constants, seconds)
    found = derived(program, options.accuracy, constants, seconds, machine_of(options))
    return replace(known, states=found.states, seconds=found.seconds, complete=found.complete)


def _recorded(
    found: Derivation, log_file: Path | None, constants: frozenset[str]
) -> dict[str, Any]:
    from tcomp.passes.derivation.proof import to_log

    log = to_log(found)
    if log_file is not None:
        log_file.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    facts = {
        **_totals(found, constants),
        "source": log["source"],
        "steps": _described(log["steps"]),
    }
    if found.parts:
        facts["parts"] = [
            {
                "makes": [t.name for t in each.part.program.results],
                "alike": each.alike,
                "program": program,
            }
            for each, program in zip(found.parts, log["parts"], strict=True)
        ]
    return facts


def _read_log(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BindingError(f"{path} is not a proof log: {error}", code="TC096") from error


def _program_of(log: Any) -> Program:
    """The program that a log carries; its fingerprint says whether it is the one that was derived from."""
    from tcomp.ir.tensor.binding import bind
    from tcomp.lang import lower, parse
    from tcomp.passes.derivation.proof import source_text

    return bind(lower(parse(source_text(log))), {})


def _replayed(program: Program, log: Any, path: Path) -> dict[str, Any]:
    from tcomp.ir.tensor.printer import print_program
    from tcomp.passes.derivation.proof import holds

    _, equal = holds(program, log)
    return {
        "checked": str(path),
        "equal": equal,
        "source": print_program(program),
        "steps": _described(log["steps"]),
    }


def _totals(found: Derivation, constants: frozenset[str]) -> dict[str, Any]:
    """Figures of the search, and what a call computes before and after."""
    from tcomp.passes import split_constants
    from tcomp.passes.derivation.cost import operations, traffic

    called = (split_constants(p, constants)[1] for p in (found.source, found.program))
    before, after = (list(p.definitions()) for p in called)
    return {
        "states": found.states,
        "seconds": found.seconds,
        "complete": found.complete,
        "accuracy": found.accuracy.to_json() if found.accuracy is not None else None,
        "race": found.measured.to_json() if found.measured is not None else None,
        "races": [race.to_json() for race in found.races()],
        "race_text": "\n".join(map(str, found.races())),
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


def render(facts: dict[str, Any], show_all: bool) -> str:
    """The derivation for people."""
    lines = [facts["source"].rstrip(), ""]
    parts = facts.get("parts", [])
    last = {n: part["program"] for n, part in enumerate(parts)}  # the program of each part
    likewise = _likewise(parts, facts["steps"])
    at = None
    for number, step in enumerate(facts["steps"], start=1):
        part = step.get("part", 0)
        if part in likewise:
            continue
        if parts and part != at:
            same = [parts[n] for n, first in likewise.items() if first == part]
            lines += [_heading(part, parts[part], same), ""]
        at = part
        lines.append(
            f"{number}. {step['rule']} at {step['tensor']}:  {step['before']}  =  {step['after']}"
        )
        previous = last.get(part, facts["source"])
        shown = step["program"] if show_all else _changed(previous, step["program"])
        lines += ["", shown.rstrip(), ""]
        last[part] = step["program"]
    if not facts["steps"]:
        lines.append("nothing cheaper was found")
    if "checked" in facts:
        lines.append(
            f"{facts['checked']}: every step replays; equal over a prime field: {facts['equal']}"
        )
        return "\n".join(lines)
    end = "" if facts["complete"] else ", more were left"
    if parts:
        distinct = len({part["alike"] for part in parts})
        end += f": {len(parts)} parts, {distinct} of them searched"
    lines.append(f"{facts['states']} programs in {output.seconds(facts['seconds'])}{end}")
    lines.append(_ratio("operations", facts["operations_before"], facts["operations_after"]))
    lines.append(_ratio("bytes", facts["bytes_before"], facts["bytes_after"]))
    if facts["race_text"]:
        lines.append(facts["race_text"])
    if facts["accuracy_text"]:
        lines.append(facts["accuracy_text"])
    if "measured" in facts:
        lines += _times(facts["measured"])
    return "\n".join(lines)


def _likewise(parts: list[dict[str, Any]], steps: list[dict[str, Any]]) -> dict[int, int]:
    """Parts that are derived like an equal one before them, with the number of that."""
    rules: dict[int, list[str]] = {n: [] for n in range(len(parts))}
    for step in steps:
        rules.setdefault(step.get("part", 0), []).append(step["rule"])
    return {
        n: part["alike"]
        for n, part in enumerate(parts)
        if part["alike"] != n and rules[n] == rules[part["alike"]]
    }


def _heading(number: int, part: dict[str, Any], same: list[dict[str, Any]]) -> str:
    made = ", ".join(part["makes"])
    others = ", ".join(name for each in same for name in each["makes"])
    return f"part {number + 1}, which makes {made}" + (f"; {others} likewise" if others else "")


def _times(measured: dict[str, Any]) -> list[str]:
    """One line for the chosen program, and one for each other candidate by its estimate."""
    written, derived = measured["as_written"], measured["derived"]
    lines = [
        f"measured {output.seconds(written)} as written, {output.seconds(derived)} derived: "
        f"{written / derived:.3g}x"
    ]
    for number, each in enumerate(measured["candidates"][1:], start=2):
        ratio = f"{written / each['seconds']:.3g}x"
        lines.append(
            f"  candidate {number}: {output.seconds(each['seconds'])}, {ratio}: {', '.join(each['rules'])}"
        )
    return lines


def _changed(before: str, after: str) -> str:
    """The lines of a program that a step changed or added."""
    known = set(before.splitlines())
    return "\n".join(x for x in after.splitlines() if x not in known)


def _ratio(what: str, before: float, after: float) -> str:
    factor = f" ({before / after:.3g}x less)" if after < before else ""
    return f"{what} {before:.4g} -> {after:.4g}{factor}"
