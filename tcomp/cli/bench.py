"""`tcomp bench`: compiled programs beside NumPy, or a suite of workloads beside other libraries, in one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcomp.cli import output
from tcomp.cli.bench_suite import bench_suite, peer_names, suite_choice, suite_options
from tcomp.cli.failures import CheckFailed
from tcomp.cli.options import collect, json_option, program_options, seed_option

if TYPE_CHECKING:
    from tcomp.benchmarks.timing import Timing
    from tcomp.cli.program import Prepared


@click.command("bench")
@click.argument(
    "files",
    nargs=-1,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="[FILE...]",
)
@program_options
@seed_option
@click.option(
    "--suite",
    metavar="NAME",
    help="Measure a suite of workloads: contractions or derivations.",
)
@click.option(
    "--against",
    metavar="PEERS",
    help="Whom to compare with, as numpy,torch,onnxruntime; none for nobody. Default: numpy, or the suite's peers.",
)
@click.option("--check", is_flag=True, help="Compare with the reference interpreter first.")
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    help="Time to spend on each program (3) or workload (0.5); 15 rounds are always done.",
)
@click.option("--show-numpy", is_flag=True, help="Print the NumPy code that is timed.")
@suite_options
@json_option
def command(
    files: tuple[Path, ...],
    seed: int,
    suite: str | None,
    against: str | None,
    check: bool,
    seconds: float | None,
    show_numpy: bool,
    as_json: bool,
    **keywords: Any,
) -> None:
    """Time the programs in FILE..., or a suite of workloads, side by side with other libraries.

    All contenders take turns in every round, on the same threads, warm; the least and the median time of a
    call are shown. "into out" writes to memory that the caller owns.

    \b
    Examples:
      tcomp bench examples/softmax.tc
      tcomp bench examples/*.tc --threads 1 --seconds 1
      tcomp bench --suite contractions --against torch,onnxruntime --output results.jsonl --resume
      tcomp bench --suite contractions --only conv3x3 --only tccg
      tcomp bench --suite derivations
    """
    from tcomp.benchmarks.timing import limit_threads
    from tcomp.runtime.threads import default_threads

    if bool(files) == bool(suite):
        raise click.UsageError("name programs (FILE...) or a suite (--suite NAME), one of the two")
    keywords["threads"] = keywords["threads"] or default_threads()
    limit_threads(keywords["threads"])
    chosen = suite_choice(keywords)
    if suite:
        bench_suite(suite, against, seconds, keywords, chosen, as_json)
        return
    peers = peer_names(against or "numpy")
    reports = []
    for file in files:
        options = collect(file, dict(keywords))
        facts = bench(options, seed, peers, check, 3.0 if seconds is None else seconds)
        reports.append(facts)
        if not as_json:
            show(facts, show_numpy)
    if as_json:
        output.print_json({"programs": reports})
    if wrong := [r["program"] for r in reports if not r.get("check", {"ok": True})["ok"]]:
        raise CheckFailed(f"{', '.join(wrong)}: results differ from the reference interpreter")


def bench(
    options: Any, seed: int, peers: tuple[str, ...], check: bool, budget: float
) -> dict[str, Any]:
    """Times one program; everything that the command tells about it."""
    from tcomp.benchmarks.limits import Limits
    from tcomp.benchmarks.timing import Contender, interleave
    from tcomp.cli.program import prepare
    from tcomp.cli.run import check_facts

    prepared = prepare(options)
    arrays = prepared.draw(seed)
    function = prepared.compile()
    values = tuple(arrays.values())
    results = function(*values)
    facts: dict[str, Any] = {
        "program": prepared.name,
        "file": str(options.file),
        "sizes": prepared.sizes,
        "threads": options.threads,
        "inputs": {n: output.shape(a) for n, a in arrays.items()},
    }
    if check:
        output.note(f"checking {prepared.name} against the reference interpreter")
        facts["check"] = check_facts(prepared, arrays, _as_tuple(results))
    contenders = [
        Contender("tcomp", lambda: function(*values)),
        Contender("tcomp, into out", lambda: function(*values, out=results)),
    ]
    for name in peers:
        if name == "numpy":
            contenders += _numpy(prepared, arrays, _as_tuple(results), facts)
        else:
            facts[name] = {"unavailable": f"{name} has no form of a program; see --suite"}
    output.note(f"timing {prepared.name}")
    limits = Limits.of(function.explain(), options.threads)
    timings = interleave([*contenders, *limits.contenders()], budget)
    timings, measured = timings[: len(contenders)], timings[len(contenders) :]
    facts["rounds"] = len(timings[0].samples)
    facts["limit"] = limits.facts(measured)
    facts["timings"] = {t.name: _timing_facts(t) for t in timings}
    others = [t for t in timings if not t.name.startswith("tcomp")]
    if others:
        facts["speedup"] = min(p.best for p in others) / timings[0].best
    return facts


def _numpy(
    prepared: Prepared, arrays: dict[str, Any], results: tuple[Any, ...], facts: dict[str, Any]
) -> list[Any]:
    """NumPy as a contender, its code and how well it agrees; none where it has no form."""
    import numpy as np

    from tcomp.benchmarks.timing import Contender
    from tcomp.interop.numpy_peer import PeerUnavailable, translate
    from tcomp.ir.tensor.sampling import logical

    try:
        peer = translate(prepared.program)
    except PeerUnavailable as reason:
        facts["numpy"] = {"unavailable": str(reason)}
        return []
    values = tuple(logical(prepared.program, arrays).values())
    with np.errstate(all="ignore"):
        theirs = peer.function(*values)
    facts["numpy"] = {"code": peer.source, "difference": _difference(prepared, results, theirs)}

    def call() -> object:
        with np.errstate(all="ignore"):
            return peer.function(*values)

    return [Contender("NumPy", call)]


def _difference(prepared: Prepared, ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> float:
    """The largest difference between two lists of results, relative to each result's largest value."""
    import numpy as np

    from tcomp.ir.tensor.sampling import logical_results

    worst = 0.0
    for a, b in zip(logical_results(prepared.program, ours), theirs, strict=True):
        wide, other = np.asarray(a, np.float64), np.asarray(b).astype(np.float64)
        finite = np.isfinite(wide) & np.isfinite(other)
        scale = np.max(np.abs(wide), where=finite, initial=0.0) or 1.0
        gap = np.subtract(wide, other, where=finite, out=np.zeros_like(wide))
        worst = max(worst, float(np.max(np.abs(gap), initial=0.0) / scale))
    return worst


def _timing_facts(timing: Timing) -> dict[str, Any]:
    return {"best": timing.best, "median": timing.median, "samples": list(timing.samples)}


def _as_tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def show(facts: dict[str, Any], show_numpy: bool) -> None:
    """The facts of one program for people."""
    from rich.table import Table

    console = output.console()
    sizes = " ".join(f"{n}={v}" for n, v in facts["sizes"].items())
    threads = "1 thread" if facts["threads"] == 1 else f"{facts['threads']} threads"
    console.print(
        f"[bold]{facts['program']}[/bold]  {sizes}  ({threads}, {facts['rounds']} rounds)"
    )
    for result in facts.get("check", {"results": {}})["results"].values():
        style = "green" if result["ok"] else "red"
        console.print(f"  [{style}]checked[/{style}] {result['text']}")
    table = Table(box=None, padding=(0, 2))
    table.add_column("")
    for column in ("best", "median"):
        table.add_column(column, justify="right")
    for name, timing in facts["timings"].items():
        best, median = (output.seconds(timing[k]) for k in ("best", "median"))
        table.add_row(f"  {name}", best, median)
    console.print(table)
    peer = facts.get("numpy", {})
    limit = facts["limit"]
    console.print(
        f"  the machine allows about {output.seconds(limit['seconds'])}: "
        f"{limit['gigaoperations']:.3g} Gop at {limit['peak_gops']:.3g} Gop/s, "
        f"{limit['megabytes']:.3g} MB at {limit['bandwidth_gbs']:.3g} GB/s"
    )
    if "speedup" in facts:
        console.print(
            f"  [bold]{facts['speedup']:.2f} times[/bold] as fast as NumPy "
            f"(results agree within {peer['difference']:.2g})"
        )
    for name in peer_names("all"):
        if reason := facts.get(name, {}).get("unavailable"):
            console.print(f"  {reason}")
    if show_numpy and "code" in peer:
        console.print(peer["code"], markup=False)
