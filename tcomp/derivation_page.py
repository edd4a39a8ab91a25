"""A derivation as one HTML page: the graph of programs with their costs, and the chosen steps in the language.

The page is self-contained: inline SVG and CSS, no script, nothing from the network.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tcomp.ir.tensor.printer import print_program

if TYPE_CHECKING:
    from tcomp.passes.derivation import Derivation
    from tcomp.passes.derivation.search import State

MOST_NODES = 48  # of the graph: the chosen way, then the cheapest programs with the ways to them
_WIDE, _HIGH, _GAP_X, _GAP_Y = 168, 40, 24, 64
_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1f; --quiet: #62626b; --back: #fff; --box: #f1f1f4;
  --line: #b9b9c3; --chosen: #0b6b4f; --chosen-back: #d9f2e6; }
@media (prefers-color-scheme: dark) { :root { --text: #ececf1; --quiet: #a0a0ab; --back: #17171b;
  --box: #26262c; --line: #55555f; --chosen: #5fd6a8; --chosen-back: #143c2e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: var(--box); padding: .7rem 1rem; overflow-x: auto; border-radius: 6px; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem 1.2rem .15rem 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.graph { overflow-x: auto; } .quiet { color: var(--quiet); }
svg text { font: 12px system-ui, sans-serif; fill: var(--text); text-anchor: middle; }
svg .cost { fill: var(--quiet); } svg rect { fill: var(--box); stroke: var(--line); }
svg path { fill: none; stroke: var(--line); }
svg .chosen rect { fill: var(--chosen-back); stroke: var(--chosen); stroke-width: 2; }
svg path.chosen { stroke: var(--chosen); stroke-width: 2.5; }
"""


def page(found: Derivation, facts: Mapping[str, Any]) -> str:
    """The page of a search. `facts` are those of `tcomp derive --json`."""
    title = html.escape(f"Derivation of {found.source.name}")
    return "\n".join(
        (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>",
            *_body(found, facts),
            "</body></html>\n",
        )
    )


def graph(found: Derivation) -> str:
    """The programs that the search reached as an SVG drawing, one layer for each number of steps."""
    states = _shown(found)
    way = _way(found)
    layers: dict[int, list[State]] = {}
    for state in states:
        layers.setdefault(state.depth, []).append(state)
    place: dict[int, tuple[float, float]] = {}
    widest = max(map(len, layers.values())) * (_WIDE + _GAP_X)
    for row, depth in enumerate(sorted(layers)):
        layer = layers[depth]
        layer.sort(key=lambda s: (place[id(s.parent)][0] if s.parent else 0.0, s.cost))
        start = (widest - len(layer) * (_WIDE + _GAP_X)) / 2
        for column, state in enumerate(layer):
            x = start + column * (_WIDE + _GAP_X) + _GAP_X / 2
            place[id(state)] = (x, row * (_HIGH + _GAP_Y) + 8.0)
    height = len(layers) * (_HIGH + _GAP_Y) - _GAP_Y + 16
    edges = (_edge(place, s, s.parent, way) for s in states if s.parent is not None)
    boxes = (_box(place[id(s)], s, way) for s in states)
    return (
        f'<div class="graph"><svg role="img" aria-label="derivation graph" width="{widest:.0f}" '
        f'height="{height}" viewBox="0 0 {widest:.0f} {height}">{"".join(edges)}{"".join(boxes)}</svg></div>'
    )


def _body(found: Derivation, facts: Mapping[str, Any]) -> Iterable[str]:
    yield f"<pre>{html.escape(print_program(found.source))}</pre>"
    yield _figures(found, facts)
    more = "" if found.complete else ", more were left"
    yield (
        f'<h2>Programs</h2><p class="quiet">{found.states} in {found.seconds * 1e3:.3g} ms{more}. Each box is an '
        "equal program, by the rule that gave it, with its estimated cost in cycles; the chosen way is "
        "highlighted, everything else was found and not chosen. Hover over a box to read its program.</p>"
    )
    yield graph(found)
    yield "<h2>Steps</h2>"
    yield from _steps(found)


def _figures(found: Derivation, facts: Mapping[str, Any]) -> str:
    rows = [
        ("operations", facts["operations_before"], facts["operations_after"]),
        ("bytes", facts["bytes_before"], facts["bytes_after"]),
        ("estimated cycles", found.cost_before, found.cost_after),
    ]
    if "measured" in facts:
        rows.append(
            (
                "measured µs",
                facts["measured"]["as_written"] * 1e6,
                facts["measured"]["derived"] * 1e6,
            )
        )
    cells = "".join(
        f'<tr><td>{name}</td><td class="number">{before:,.4g}</td><td class="number">{after:,.4g}</td>'
        f'<td class="number">{before / max(after, 1e-12):.3g}x</td></tr>'
        for name, before, after in rows
    )
    accuracy = f"<p>{html.escape(str(found.accuracy))}</p>" if found.accuracy is not None else ""
    head = "<tr><th></th><th>as written</th><th>derived</th><th>less</th></tr>"
    return f"<table>{head}{cells}</table>{accuracy}"


def _steps(found: Derivation) -> Iterable[str]:
    from tcomp.passes.derivation import RULES

    rules = {rule.name: rule for rule in RULES}
    if not found.steps:
        yield "<p>Nothing cheaper was found: the program is compiled as it is written.</p>"
    for number, step in enumerate(found.steps, start=1):
        rule = rules[step.rule]
        yield (
            f"<h3>{number}. {html.escape(step.rule)} at {html.escape(step.tensor)}</h3>"
            f"<p><code>{html.escape(rule.before)}</code> = <code>{html.escape(rule.after)}</code> "
            f'<span class="quiet">({html.escape(rule.precondition)}; {html.escape(rule.reference)})</span></p>'
            f"<pre>{html.escape(print_program(step.program))}</pre>"
        )


def _way(found: Derivation) -> frozenset[int]:
    """The states from the source to the chosen program."""
    end = next((s for s in found.explored if s.program is found.program), None)
    if not found.steps:
        end = found.explored[0] if found.explored else None
    ids = set()
    while end is not None:
        ids.add(id(end))
        end = end.parent
    return frozenset(ids)


def _shown(found: Derivation) -> list[State]:
    """The chosen way, then the cheapest states with all before them, as many as are readable."""
    way = _way(found)
    shown = {id(s): s for s in found.explored if id(s) in way or s.parent is None}
    for state in sorted(found.explored, key=lambda s: s.cost):
        missing: dict[int, State] = {}
        at: State | None = state
        while at is not None and id(at) not in shown:
            missing[id(at)] = at
            at = at.parent
        if len(shown) + len(missing) <= MOST_NODES:
            shown.update(missing)
    return list(shown.values())


def _edge(
    place: dict[int, tuple[float, float]], state: State, parent: State, way: frozenset[int]
) -> str:
    (x1, y1), (x2, y2) = place[id(parent)], place[id(state)]
    x1, y1, x2 = x1 + _WIDE / 2, y1 + _HIGH, x2 + _WIDE / 2
    middle = (y1 + y2) / 2
    kind = ' class="chosen"' if id(state) in way else ""
    curve = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return f'<path{kind} d="{curve}"/>'


def _box(at: tuple[float, float], state: State, way: frozenset[int]) -> str:
    x, y = at
    kind = ' class="chosen"' if id(state) in way else ""
    name = state.rule or "as written"
    middle = x + _WIDE / 2
    return (
        f"<g{kind}><title>{html.escape(print_program(state.program))}</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_WIDE}" height="{_HIGH}" rx="6"/>'
        f'<text x="{middle:.0f}" y="{y + 17:.0f}">{html.escape(name)}</text>'
        f'<text class="cost" x="{middle:.0f}" y="{y + 32:.0f}">{state.cost:,.3g} cycles</text></g>'
    )
