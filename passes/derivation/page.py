"""A derivation as HTML: the graph of programs with their costs, the steps in the language, and the figures.

Self-contained: inline SVG and CSS, no script, nothing from the network.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.printer import print_program
from tcomp.passes.derivation.cost import operations, traffic
from tcomp.passes.derivation.derive import Derivation, DerivedPart
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.derivation.search import State

MOST_NODES = 32  # of the graph: the chosen way, then the cheapest programs with the ways to them
MOST_IN_LAYER = 6  # beside the chosen one
_WIDE, _HIGH, _GAP_X, _GAP_Y = 168, 42, 20, 34
STYLE = """
.tcomp { --text: #1b1b1f; --quiet: #62626b; --back: #fff; --box: #f4f4f7; --line: #c3c3cc;
  --chosen: #0b6b4f; --chosen-back: #d9f2e6; font: 15px/1.5 system-ui, sans-serif; color: var(--text); }
@media (prefers-color-scheme: dark) { .tcomp { --text: #ececf1; --quiet: #a0a0ab; --back: #17171b;
  --box: #232329; --line: #4b4b55; --chosen: #5fd6a8; --chosen-back: #143c2e; } }
.tcomp h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } .tcomp h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
.tcomp pre { background: var(--box); padding: .6rem .9rem; white-space: pre-wrap; overflow-wrap: anywhere;
  border-radius: 6px; margin: .4rem 0; font-size: 13px; line-height: 1.45; }
.tcomp pre mark { background: var(--chosen-back); color: inherit; display: block; margin: 0 -.9rem; padding: 0 .9rem;
  border-left: 3px solid var(--chosen); }
.tcomp table { border-collapse: collapse; margin: .5rem 0; }
.tcomp td, .tcomp th { text-align: left; padding: .15rem 1.4rem .15rem 0; font-weight: normal; }
.tcomp th { color: var(--quiet); } .tcomp .number { text-align: right; font-variant-numeric: tabular-nums; }
.tcomp .graph { overflow-x: auto; } .tcomp .quiet { color: var(--quiet); }
.tcomp .rule { display: grid; grid-template-columns: 4.5rem 1fr; gap: .1rem .5rem; font-size: 13px; }
.tcomp svg text { font: 12px system-ui, sans-serif; fill: var(--text); text-anchor: middle; }
.tcomp svg .cost { fill: var(--quiet); } .tcomp svg rect { fill: var(--box); stroke: var(--line); }
.tcomp svg path { fill: none; stroke: var(--line); }
.tcomp svg .chosen rect { fill: var(--chosen-back); stroke: var(--chosen); stroke-width: 2; }
.tcomp svg path.chosen { stroke: var(--chosen); stroke-width: 2.5; }
"""
_PAGE = """body { margin: 0; background: #fff; } @media (prefers-color-scheme: dark) { body { background: #17171b; } }
.tcomp { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1.2rem 3rem; }"""


def page(found: Derivation, measured: Mapping[str, Any] | None = None) -> str:
    """The page of a search. `measured` is what `tcomp derive --measure` found."""
    return whole_page(f"Derivation of {found.source.name}", "".join(sections(found, measured)))


def whole_page(title: str, body: str) -> str:
    """A page of its own around a fragment."""
    name = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}{_PAGE}</style></head>"
        f'<body><div class="tcomp"><h1>{name}</h1>{body}</div></body></html>\n'
    )


def fragment(found: Derivation) -> str:
    """The same for notebooks."""
    return f'<style>{STYLE}</style><div class="tcomp">{"".join(sections(found))}</div>'


def sections(found: Derivation, measured: Mapping[str, Any] | None = None) -> Iterable[str]:
    """The parts of the page under its title."""
    yield f"<pre>{html.escape(print_program(found.source).rstrip())}</pre>"
    yield _figures(found, measured)
    if found.accuracy is not None:
        yield f'<p class="quiet">{html.escape(str(found.accuracy))}</p>'
    yield "<h2>Steps</h2>"
    yield from _steps(found)
    if measured and measured.get("candidates"):
        yield "<h2>Candidates</h2>"
        yield _candidates(measured)
    more = "" if found.complete else ", more were left"
    yield (
        f'<h2>Search</h2><p class="quiet">{found.states} equal programs in {found.seconds * 1e3:.3g} ms{more}. '
        "Each box is one, by the rule that gave it, with its estimated cost in cycles; the chosen way is "
        "coloured. Hover over a box to read its program.</p>"
    )
    if not found.parts:
        yield graph(found)
    for number, each in enumerate(found.parts):
        if each.alike == number:
            others = [p for n, p in enumerate(found.parts) if p.alike == number and n != number]
            equal = f"; equal to it but for names: {_made(others)}" if others else ""
            yield f"<h3>The part that makes {_made([each])}{equal}</h3>"
            yield graph(each.derivation)


def _figures(found: Derivation, measured: Mapping[str, Any] | None) -> str:
    before, after = found.source, found.program
    rows = [
        ("operations", _operations(before), _operations(after)),
        ("bytes read and written", _bytes(before), _bytes(after)),
        ("estimated cycles", found.cost_before, found.cost_after),
    ]
    if measured:
        rows.append(("measured µs", measured["as_written"] * 1e6, measured["derived"] * 1e6))
    cells = "".join(
        f'<tr><td>{name}</td><td class="number">{_amount(a)}</td><td class="number">{_amount(b)}</td>'
        f'<td class="number">{a / max(b, 1e-12):.3g}x</td></tr>'
        for name, a, b in rows
    )
    head = "".join(f'<th class="number">{h}</th>' for h in ("as written", "derived", "less"))
    return f"<table><tr><th></th>{head}</tr>{cells}</table>"


def _steps(found: Derivation) -> Iterable[str]:
    rules = {rule.name: rule for rule in RULES}
    if not found.steps:
        yield "<p>Nothing cheaper was found: the program is compiled as it is written.</p>"
    last = {n: each.part.program for n, each in enumerate(found.parts)} or {0: found.source}
    for number, step in enumerate(found.steps, start=1):
        previous, last[step.part] = last[step.part], step.program
        if found.parts and _as_before(found.parts, step.part):
            continue
        rule = rules[step.rule]
        parts = (("before", rule.before), ("after", rule.after), ("where", rule.precondition))
        lines = "".join(
            f'<span class="quiet">{name}</span><code>{html.escape(text)}</code>'
            for name, text in parts
        )
        yield (
            f"<h3>{number}. {html.escape(step.rule)} at <code>{html.escape(step.tensor)}</code></h3>"
            f'<div class="rule">{lines}<span class="quiet">from</span><span>{html.escape(rule.reference)}'
            f"</span></div><pre>{_marked(previous, step.program)}</pre>"
            f'<p class="quiet">{_amount(_operations(step.program))} operations, '
            f"{_amount(_bytes(step.program))} bytes</p>"
        )
    repeated = [
        p for n, p in enumerate(found.parts) if p.derivation.steps and _as_before(found.parts, n)
    ]
    if repeated:
        yield f"<p>The same for equal parts, those that make {_made(repeated)}.</p>"


def _as_before(parts: Sequence[DerivedPart], number: int) -> bool:
    """Whether a part is derived like an equal one before it."""
    first, own = parts[parts[number].alike].derivation, parts[number].derivation
    return first is not own and [s.rule for s in first.steps] == [s.rule for s in own.steps]


def _made(parts: Iterable[DerivedPart]) -> str:
    names = (t.name for each in parts for t in each.part.program.results)
    return ", ".join(f"<code>{html.escape(name)}</code>" for name in names)


def _marked(before: Program, after: Program) -> str:
    """A program with the lines that are new."""
    known = Counter(print_program(before).splitlines())
    lines = []
    for line in print_program(after).rstrip().splitlines():
        text = html.escape(line)
        lines.append(f"{text}\n" if known[line] else f"<mark>{text}</mark>")
    return "".join(lines)


def _candidates(measured: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="number">{each["seconds"] * 1e6:,.4g}</td>'
        f'<td class="number">{measured["as_written"] / each["seconds"]:.3g}x</td>'
        f'<td class="number">{_amount(each["cost"])}</td><td>{html.escape(", ".join(each["rules"]))}</td></tr>'
        for each in measured["candidates"]
    )
    head = "".join(f'<th class="number">{h}</th>' for h in ("µs", "faster", "estimated cycles"))
    return f"<table><tr>{head}<th>rules</th></tr>{rows}</table>"


def _operations(program: Program) -> float:
    return sum(map(operations, program.definitions()))


def _bytes(program: Program) -> float:
    return sum(map(traffic, program.definitions()))


def _amount(value: float) -> str:
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.4g} {prefix}"
    return f"{value:.4g}"


# -- graph -------------------------------------------------------------------------------------------


def graph(found: Derivation) -> str:
    """The programs that the search reached as an SVG drawing, one layer for each number of steps."""
    states, way = _shown(found), _way(found)
    layers: dict[int, list[State]] = {}
    for state in states:
        layers.setdefault(state.depth, []).append(state)
    if not layers:
        return ""
    place: dict[int, tuple[float, float]] = {}
    widest = max(map(len, layers.values())) * (_WIDE + _GAP_X)
    for row, depth in enumerate(sorted(layers)):
        layer = layers[depth]
        layer.sort(key=lambda s: (place[id(s.parent)][0] if s.parent else 0.0, s.cost))
        start = (widest - len(layer) * (_WIDE + _GAP_X)) / 2
        for column, state in enumerate(layer):
            x = start + column * (_WIDE + _GAP_X) + _GAP_X / 2
            place[id(state)] = (x, row * (_HIGH + _GAP_Y) + 2.0)
    height = len(layers) * (_HIGH + _GAP_Y) - _GAP_Y + 4
    ordered = sorted(states, key=lambda s: id(s) in way)  # the chosen way over the others
    edges = (_edge(place, s, s.parent, way) for s in ordered if s.parent is not None)
    boxes = (_box(place[id(s)], s, way) for s in states)
    return (
        f'<div class="graph"><svg role="img" aria-label="derivation graph" '
        f'width="{widest:.0f}" height="{height}" viewBox="0 0 {widest:.0f} {height}">'
        f"{''.join(edges)}{''.join(boxes)}</svg></div>"
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
    layers: Counter[int] = Counter()
    for state in sorted(found.explored, key=lambda s: s.cost):
        missing: dict[int, State] = {}
        at: State | None = state
        while at is not None and id(at) not in shown:
            missing[id(at)] = at
            at = at.parent
        full = any(layers[s.depth] >= MOST_IN_LAYER for s in missing.values())
        if not full and len(shown) + len(missing) <= MOST_NODES:
            shown.update(missing)
            layers.update(s.depth for s in missing.values())
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
        f'<text x="{middle:.0f}" y="{y + 18:.0f}">{html.escape(name)}</text>'
        f'<text class="cost" x="{middle:.0f}" y="{y + 34:.0f}">{_amount(state.cost)} cycles</text></g>'
    )
