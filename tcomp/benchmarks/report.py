"""Tables of results: every workload, every class beside its target, geometric means, and what falls short."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tcomp.benchmarks.results import OURS, OURS_OUT, OURS_TUNED, Result, repeated
from tcomp.benchmarks.workload import Suite

SLOW_COMPILATION = 0.4  # seconds that any one compilation should stay below
SHORTFALL = 0.95  # below this ratio a workload is listed by itself


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """A workload over all its runs: `ratio` is the median one, the others the extremes."""

    result: Result  # of the run with the median ratio
    ratio: float
    lowest: float
    highest: float
    runs: int

    @property
    def spread(self) -> str:
        return "" if self.runs == 1 else f"{self.lowest:.2f}-{self.highest:.2f}"


def geometric_mean(values: Iterable[float]) -> float:
    """Of positive numbers; NaN of none.

    >>> geometric_mean([1, 4]), geometric_mean([])
    (2.0, nan)
    """
    logarithms = [math.log(v) for v in values]
    return math.exp(statistics.fmean(logarithms)) if logarithms else math.nan


def scores(results: Iterable[Result]) -> list[Score]:
    """One for each workload that has a ratio, in the order of the results."""
    found = []
    for runs in repeated(results).values():
        rated = sorted(
            ((r.ratio, r) for r in runs if r.ratio is not None), key=lambda pair: pair[0]
        )
        if rated:
            middle = rated[(len(rated) - 1) // 2]
            found.append(Score(middle[1], middle[0], rated[0][0], rated[-1][0], len(rated)))
    return found


def tables(suite: Suite, results: Sequence[Result]) -> list[Table]:
    """Everything there is to tell about a suite's results; those of other suites are left out."""
    mine = [r for r in results if r.suite == suite.name]
    rated = scores(mine)
    found = [_classes(suite, rated), _sources(rated), _shortfalls(rated), _workloads(rated)]
    if any("rules" in s.result.facts for s in rated):
        found = [_sources(rated), _shortfalls(rated), _derivations(rated)]
    return [t for t in (*found, _tuned(mine), _compilation(mine), _unrated(mine)) if t.rows]


def _classes(suite: Suite, rated: Sequence[Score]) -> Table:
    groups: dict[tuple[str, str], list[Score]] = {}
    for score in rated:
        kind, accuracy = score.result.kind, score.result.accuracy
        several = (kind, accuracy) in suite.targets
        groups.setdefault((kind, accuracy if several else ""), []).append(score)
    rows = []
    for (kind, accuracy), members in groups.items():
        target = suite.target(kind, accuracy)
        ratios = [s.ratio for s in members]
        reached = sum(target is not None and r >= target for r in ratios)
        verdict = "" if target is None else f"{reached} of {len(ratios)}"
        rows.append(
            (
                f"{kind} {accuracy}".strip(),
                str(len(ratios)),
                f"{geometric_mean(ratios):.2f}",
                f"{min(ratios):.2f}",
                f"{max(ratios):.2f}",
                "" if target is None else f"{target:.2f}",
                verdict,
            )
        )
    columns = ("class", "workloads", "geometric mean", "lowest", "highest", "target", "reach it")
    return Table("Classes", columns, tuple(rows))


def _sources(rated: Sequence[Score]) -> Table:
    groups: dict[str, list[float]] = {}
    for score in rated:
        groups.setdefault(score.result.source, []).append(score.ratio)
    if len(groups) > 1:
        groups["all"] = [s.ratio for s in rated]
    rows = tuple(
        (name, str(len(ratios)), f"{geometric_mean(ratios):.2f}", f"{min(ratios):.2f}")
        for name, ratios in groups.items()
    )
    return Table("Networks and papers", ("source", "workloads", "geometric mean", "lowest"), rows)


def _shortfalls(rated: Sequence[Score]) -> Table:
    low = sorted((s for s in rated if s.ratio < SHORTFALL), key=lambda s: s.ratio)
    rows = tuple((s.result.workload, f"{s.ratio:.2f}", s.spread, _peer(s.result)) for s in low)
    return Table(f"Below {SHORTFALL}", ("workload", "ratio", "over runs", "best peer"), rows)


def _workloads(rated: Sequence[Score]) -> Table:
    columns: dict[str, Callable[[Score], str]] = {
        "workload": lambda s: s.result.workload,
        "class": lambda s: s.result.kind,
        "tcomp": lambda s: _milliseconds(_ours(s.result)),
        "fresh output": lambda s: _milliseconds(_fresh(s.result)),
        "best peer": lambda s: _milliseconds(
            s.result.best_peer.best if s.result.best_peer else None
        ),
        "which": lambda s: _peer(s.result),
        "ratio": lambda s: f"{s.ratio:.2f}",
        "over runs": lambda s: s.spread,
        "of limit": lambda s: _percent(s.result.share),
        "compiled in": lambda s: _milliseconds(s.result.facts.get("compile_seconds")),
    }
    return _table("Workloads (minimum in ms)", columns, rated)


def _derivations(rated: Sequence[Score]) -> Table:
    columns: dict[str, Callable[[Score], str]] = {
        "program": lambda s: s.result.workload,
        "as written": lambda s: _milliseconds(
            s.result.best_peer.best if s.result.best_peer else None
        ),
        "derived": lambda s: _milliseconds(_ours(s.result)),
        "ratio": lambda s: f"{s.ratio:.3g}",
        "over runs": lambda s: s.spread,
        "rules": lambda s: ", ".join(dict.fromkeys(s.result.facts["rules"])) or "none",
        "states": lambda s: str(s.result.facts["states"]),
        "engine": lambda s: _milliseconds(s.result.facts["engine_seconds"]),
    }
    return _table("Programs as written and derived (minimum in ms)", columns, rated)


def _table(title: str, columns: dict[str, Callable[[Score], str]], rated: Sequence[Score]) -> Table:
    """Columns that are empty in every row are left out."""
    cells = {name: [column(s) for s in rated] for name, column in columns.items()}
    shown = {name: column for name, column in cells.items() if any(column)}
    return Table(title, tuple(shown), tuple(zip(*shown.values(), strict=True)))


def _tuned(results: Sequence[Result]) -> Table:
    """How near the schedule that needs no measuring comes to the best on record."""
    rows = []
    for runs in repeated(results).values():
        shares = [(r.analytical_share, r) for r in runs if r.analytical_share is not None]
        if shares:
            share, result = min(shares, key=lambda pair: pair[0])
            times = [s.best for n in (OURS_OUT, OURS_TUNED) if (s := result.standing(n))]
            rows.append((result.workload, *map(_milliseconds, times), _percent(share)))
    columns = ("workload", "analytical", "tuned", "analytical of best")
    return Table("Analytical schedules beside the best on record (ms)", columns, tuple(rows))


def _compilation(results: Sequence[Result]) -> Table:
    """From text to the first result, cached or not as the cache's folder was; derivations tell their own time."""
    seconds = sorted(
        r.facts["compile_seconds"]
        for r in results
        if "compile_seconds" in r.facts and "rules" not in r.facts
    )
    if not seconds:
        return Table("", (), ())
    slow = sum(s > SLOW_COMPILATION for s in seconds)
    row = (
        str(len(seconds)),
        f"{statistics.median(seconds):.2f}",
        f"{seconds[len(seconds) * 9 // 10]:.2f}",
        f"{seconds[-1]:.2f}",
        str(slow),
    )
    columns = ("compilations", "median", "nine of ten", "longest", f"over {SLOW_COMPILATION} s")
    return Table("From text to the first result (processor seconds)", columns, (row,))


def _unrated(results: Sequence[Result]) -> Table:
    """Contenders of ours that are struck, and workloads with no peer to compare with."""
    rows = []
    for runs in repeated(results).values():
        if all(r.ratio is None for r in runs):
            last = runs[-1]
            reasons = "; ".join(f"{s.name}: {s.note}" for s in last.standings if s.note)
            rows.append((last.workload, reasons or "no peer was asked"))
    return Table("Without a ratio", ("workload", "why"), tuple(rows))


def _ours(result: Result) -> float | None:
    return result.ours.best if result.ours else None


def _fresh(result: Result) -> float | None:
    fresh = result.standing(OURS)
    return fresh.best if fresh is not None and fresh.counts else None


def _peer(result: Result) -> str:
    peer = result.best_peer
    return "" if peer is None else f"{peer.name}, {peer.mode}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.3g}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def plain(table: Table) -> str:
    """A table for a terminal: numbers to the right."""
    rows = [table.columns, *table.rows]
    widths = [max(len(r[n]) for r in rows) for n in range(len(table.columns))]
    left = [n == 0 or not table.rows[0][n][:1].isdigit() for n in range(len(widths))]
    lines = [
        "  ".join(
            c.ljust(w) if k else c.rjust(w) for c, w, k in zip(r, widths, left, strict=True)
        ).rstrip()
        for r in rows
    ]
    return "\n".join([table.title, *(f"  {line}" for line in lines), ""])


def markdown(tables: Iterable[Table]) -> str:
    """The tables as Markdown."""
    parts = []
    for table in tables:
        lines = [
            f"### {table.title}",
            "",
            _line(table.columns),
            _line("---" for _ in table.columns),
        ]
        parts.append("\n".join([*lines, *map(_line, table.rows)]))
    return "\n\n".join(parts) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
