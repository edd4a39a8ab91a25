"""`tcomp bench --suite`: workloads of a suite beside peers, with progress, resumable, as tables and plots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tcomp.cli import output
from tcomp.diagnostics import nearest

if TYPE_CHECKING:
    from tcomp.benchmarks.results import Result
    from tcomp.benchmarks.run import Progress
    from tcomp.benchmarks.workload import Suite

Function = TypeVar("Function", bound=Callable[..., Any])
PATH = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class SuiteChoice:
    """Which workloads, and where results go."""

    only: tuple[str, ...]
    output: Path | None
    resume: bool
    tuned: float
    markdown: Path | None
    plot: Path | None


def suite_options(function: Function) -> Function:
    """Adds the options of SuiteChoice; the command gets them as keywords."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--only",
        multiple=True,
        metavar="WORD",
        help="Of a suite: workloads with WORD in name, class or network.",
    ),
    click.option(
        "--output", type=PATH, metavar="JSONL", help="Of a suite: add every result to this file."
    ),
    click.option(
        "--resume", is_flag=True, help="Skip what --output has already; report it all together."
    ),
    click.option(
        "--tuned",
        type=click.FloatRange(0),
        default=0.0,
        metavar="SECONDS",
        help="Tune each workload first, and tell how near the analytical schedule comes.",
    ),
    click.option("--markdown", type=PATH, metavar="FILE", help="Write a suite's tables."),
    click.option(
        "--plot", type=PATH, metavar="FILE", help="Draw a suite's ratios: .png, .svg or .pdf."
    ),
)


def suite_choice(keywords: dict[str, Any]) -> SuiteChoice:
    """Takes the options of SuiteChoice out of a command's keywords."""
    return SuiteChoice(**{n: keywords.pop(n) for n in SuiteChoice.__dataclass_fields__})


def peer_names(text: str) -> tuple[str, ...]:
    """Names of peers from `a,b`; `all` of them, `none` of them. Raises UsageError for an unknown one."""
    from tcomp.benchmarks.peers import NAMES

    if text in ("all", "none"):
        return NAMES if text == "all" else ()
    names = tuple(dict.fromkeys(n.strip() for n in text.split(",") if n.strip()))
    for name in names:
        if name not in NAMES:
            hint = nearest(name, NAMES) or f"there are {', '.join(NAMES)}, all and none"
            raise click.UsageError(f"--against: no peer is called '{name}'; {hint}")
    return names


def bench_suite(
    name: str,
    against: str | None,
    seconds: float | None,
    keywords: dict[str, Any],
    choice: SuiteChoice,
    as_json: bool,
) -> None:
    """Measures a suite and shows its tables; what was measured is kept and shown after Ctrl-C too."""
    from tcomp.benchmarks.measure import Settings
    from tcomp.benchmarks.run import measured_before, run

    if choice.resume and choice.output is None:
        raise click.UsageError("--resume needs --output, the file to go on with")
    suite = _suite(name)
    peers = suite.peers if against is None else peer_names(against)
    threads = keywords["threads"]
    settings = Settings(
        threads=threads,
        peers=peers,
        seconds=0.5 if seconds is None else seconds,
        tuned=choice.tuned,
        database=keywords["database"],
    )
    workloads = suite.chosen(choice.only)
    if not workloads:
        kinds = ", ".join(dict.fromkeys(w.kind for w in suite.workloads))
        raise click.UsageError(f"--only: no workload of {name} has that; its classes are {kinds}")
    names = {w.name for w in workloads}
    found: list[Result] = []
    if choice.resume and choice.output is not None:
        before = measured_before(choice.output, suite, threads)
        found = [r for r in before if r.workload in names]
        names -= {r.workload for r in found}
    left = tuple(w for w in workloads if w.name in names)
    try:
        for progress in run(suite, left, settings, choice.output):
            found.append(progress.result)
            if not as_json:
                click.echo(_line(progress), err=True)
    finally:
        if found:
            _report(suite, found, choice, as_json)


def _suite(name: str) -> Suite:
    from tcomp.benchmarks.suites import NAMES, suite

    if name not in NAMES:
        hint = nearest(name, NAMES)
        raise click.UsageError(
            f"no suite is called '{name}'; {f'{hint} ' if hint else ''}there are {', '.join(NAMES)}"
        )
    return suite(name)


def _line(progress: Progress) -> str:
    result = progress.result
    peer = result.best_peer
    if result.ratio is None:
        verdict = next((s.note for s in result.standings if s.note), "no peer")
    else:
        verdict = f"{result.ratio:6.2f}" + (f" of {peer.name}" if peer else "")
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    return f"[{progress.done}/{progress.total}] {result.workload}  {verdict}  ({minutes}:{seconds:02} left)"


def _report(suite: Suite, found: list[Result], choice: SuiteChoice, as_json: bool) -> None:
    from tcomp.benchmarks.plot import plot
    from tcomp.benchmarks.report import geometric_mean, markdown, plain, scores, tables

    rated = scores(found)
    shown = tables(suite, found)
    if choice.markdown is not None:
        choice.markdown.write_text(markdown(shown), encoding="utf-8")
    if choice.plot is not None:
        plot(suite, rated, choice.plot)
    if as_json:
        mean = geometric_mean(s.ratio for s in rated)
        output.print_json(
            {
                "suite": suite.name,
                "geometric_mean": mean,
                "workloads": [_facts(suite, r) for r in found],
            }
        )
        return
    click.echo("\n".join(map(plain, shown)))


def _facts(suite: Suite, result: Result) -> dict[str, Any]:
    """A result and what follows from it."""
    from dataclasses import asdict

    peer = result.best_peer
    return {
        **asdict(result),
        "ratio": result.ratio,
        "best_peer": peer.name if peer else None,
        "share_of_limit": result.share,
        "analytical_share": result.analytical_share,
        "target": suite.target(result.kind, result.accuracy),
    }
