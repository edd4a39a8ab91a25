"""Ratios as bars, one for each workload, coloured by class, with its target as a mark. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tcomp.benchmarks.report import Score
from tcomp.benchmarks.workload import Suite
from tcomp.diagnostics import BindingError

INCHES_A_BAR = 0.17


def plot(suite: Suite, rated: Sequence[Score], path: Path) -> None:
    """Writes PNG, SVG or PDF, by the name's ending. Raises BindingError where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BindingError(
            "plots need matplotlib", code="TC079", hint="pip install 'tcomp[bench]'"
        ) from None
    kinds = list(dict.fromkeys(s.result.kind for s in rated))
    ordered = sorted(rated, key=lambda s: (kinds.index(s.result.kind), s.ratio), reverse=True)
    figure = Figure(figsize=(9, 1.2 + INCHES_A_BAR * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(ordered))
    colours = [f"C{kinds.index(s.result.kind) % 10}" for s in ordered]
    # From 1 outwards, on a logarithmic axis: twice and half as fast are as long.
    axes.barh(places, [s.ratio - 1 for s in ordered], left=1, color=colours, height=0.75)
    for place, score in zip(places, ordered, strict=True):
        target = suite.target(score.result.kind, score.result.accuracy)
        if target is not None:
            axes.plot([target] * 2, [place - 0.45, place + 0.45], color="black", linewidth=1)
    axes.set_xscale("log", base=2)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_yticks(places, [f"{s.result.workload} ({s.result.kind})" for s in ordered], fontsize=6)
    axes.set_ylim(-0.8, len(ordered) - 0.2)
    axes.set_xlabel("best peer's minimum over tcomp's; the mark is the target")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title(f"{suite.title}, {rated[0].result.threads} threads" if rated else suite.title)
    figure.savefig(path, dpi=150)
