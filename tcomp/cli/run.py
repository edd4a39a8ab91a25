"""`tcomp run`: compile a program, run it once, save and check its results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcomp.cli import output
from tcomp.cli.failures import CheckFailed
from tcomp.cli.options import (
    FILE,
    ProgramOptions,
    collect,
    file_argument,
    json_option,
    program_options,
    seed_option,
    unique,
)
from tcomp.diagnostics import BindingError, nearest

if TYPE_CHECKING:
    from tcomp.cli.program import Prepared


@click.command("run")
@file_argument
@program_options
@click.option(
    "--input", "inputs", type=FILE, multiple=True, metavar="X=x.npy", help="An input's array."
)
@click.option(
    "--output", "outputs", type=FILE, multiple=True, metavar="Y=y.npy", help="Save a result."
)
@seed_option
@click.option("--check", is_flag=True, help="Compare with the reference interpreter in float64.")
@json_option
def command(
    file: Path,
    inputs: tuple[tuple[str, Path], ...],
    outputs: tuple[tuple[str, Path], ...],
    seed: int,
    check: bool,
    as_json: bool,
    **keywords: Any,
) -> None:
    """Compile the program in FILE and run it once.

    Inputs that are not given are drawn at random from --seed: floats from N(0, 1), integers small, positions
    within the tensor that they index. Sizes that neither --size nor an input tells come from the
    file's "# sizes:" comment.

    \b
    Examples:
      tcomp run examples/softmax.tc --size M=1000 --check
      tcomp run examples/linear_gelu.tc --input X=x.npy --output Y=y.npy
    """
    options = collect(file, keywords)
    facts = run(options, unique("input", inputs), unique("output", outputs), seed, check)
    if as_json:
        output.print_json(facts)
    else:
        click.echo(render(facts))
    if check and not facts["check"]["ok"]:
        raise CheckFailed(f"{facts['program']} differs from the reference interpreter")


def run(
    options: ProgramOptions,
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    seed: int,
    check: bool,
) -> dict[str, Any]:
    """Runs the program; everything that the command tells about it."""
    from tcomp.cli.program import load_arrays, prepare

    given = load_arrays(inputs)
    prepared = prepare(options, given)
    _require_results(prepared, outputs)
    arrays = prepared.draw(seed, given)
    start = time.perf_counter()
    function = prepared.compile()
    results = _as_tuple(function(*arrays.values()))
    elapsed = time.perf_counter() - start
    names = [t.name for t in prepared.program.results]
    facts: dict[str, Any] = {
        "program": prepared.name,
        "file": str(options.file),
        "sizes": prepared.sizes,
        "seed": seed,
        "inputs": {n: output.shape(a) for n, a in arrays.items()},
        "results": {n: _summary(r) for n, r in zip(names, results, strict=True)},
        "seconds": elapsed,
    }
    facts["saved"] = _save(dict(zip(names, results, strict=True)), outputs)
    if check:
        facts["check"] = check_facts(prepared, arrays, results)
    return facts


def check_facts(prepared: Prepared, arrays: dict[str, Any], results: tuple[Any, ...]) -> Any:
    """The comparison of results with the reference interpreter."""
    from tcomp.checking import compare
    from tcomp.ir.tensor.sampling import logical

    report = compare(prepared.program, logical(prepared.program, arrays), results)
    return {
        "ok": report.ok,
        "results": {
            r.name: {
                "ok": r.ok,
                "largest_error": r.largest,
                "allowed": r.bound,
                "scale": r.scale,
                "mismatched": r.mismatched,
                "text": str(r),
            }
            for r in report.results
        },
    }


def render(facts: dict[str, Any]) -> str:
    """The facts for people."""
    sizes = " ".join(f"{n}={v}" for n, v in facts["sizes"].items())
    lines = [f"{facts['program']}  {sizes}".rstrip()]
    for name, result in facts["results"].items():
        parts = [f"{k} {result[k]:.6g}" for k in ("min", "mean", "max") if k in result]
        saved = f"  -> {facts['saved'][name]}" if name in facts["saved"] else ""
        lines.append(f"  {name}: {result['type']}  {'  '.join(parts)}{saved}".rstrip())
    if "check" in facts:
        lines += [f"  check {r['text']}" for r in facts["check"]["results"].values()]
    lines.append(f"  compiled and run in {output.seconds(facts['seconds'])}")
    return "\n".join(lines)


def _summary(result: Any) -> dict[str, Any]:
    import numpy as np

    facts: dict[str, Any] = {"type": output.shape(np.asarray(result))}
    values = np.asarray(result)
    if values.size:
        wide = values.astype(np.float64)
        facts |= {"min": wide.min(), "mean": wide.mean(), "max": wide.max()}
    return facts


def _as_tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def _require_results(prepared: Prepared, outputs: dict[str, Path]) -> None:
    names = [t.name for t in prepared.program.results]
    for name in outputs:
        if name not in names:
            raise BindingError(
                f"{prepared.name} has no result called {name}",
                code="TC070",
                hint=nearest(name, names) or f"its results are {', '.join(names)}",
            )


def _save(results: dict[str, Any], outputs: dict[str, Path]) -> dict[str, str]:
    import numpy as np

    for name, path in outputs.items():
        with path.open("wb") as stream:  # numpy.save would append .npy to another suffix
            np.save(stream, np.asarray(results[name]), allow_pickle=False)
    return {name: str(path) for name, path in outputs.items()}
