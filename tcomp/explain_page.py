"""`tcomp explain --html`: kernels on the roofline of the machine, their schedules, and the derivation, as one page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from math import log10
from typing import TYPE_CHECKING

from tcomp.passes.derivation.page import sections, whole_page

if TYPE_CHECKING:
    from tcomp.explain import Explanation, KernelFacts
    from tcomp.passes.derivation import Derivation

_LEFT, _TOP, _WIDE, _HIGH = 64.0, 16.0, 640.0, 280.0
_LEVELS = ("l2", "memory")  # whose bandwidth is drawn
_STYLE = """<style>.tcomp svg.roofline text { text-anchor: start; } .tcomp svg.roofline .roof { stroke: var(--text);
  stroke-width: 2; } .tcomp svg.roofline .cache { stroke: var(--quiet); stroke-dasharray: 5 4; }
.tcomp svg.roofline circle { fill: var(--chosen); } .tcomp svg.roofline .grid { stroke: var(--line); opacity: .5; }
.tcomp svg.roofline .tick { fill: var(--quiet); } .tcomp details { margin: .3rem 0; }</style>"""


def page(
    explanation: Explanation, derivation: Derivation, speed: Mapping[str, float], seconds: float
) -> str:
    """The report of a compiled program. `speed` is the machine's, `seconds` one measured call."""
    body = (_STYLE, *_kernels(explanation, speed, seconds), *_schedules(explanation.kernels))
    derived = "<h2>Derivation</h2>" + "".join(sections(derivation))
    return whole_page(explanation.name, "".join(body) + derived)


def _kernels(explanation: Explanation, speed: Mapping[str, float], seconds: float) -> Iterable[str]:
    threads = explanation.threads
    peak = speed.get(f"peak_gflops_{threads}", max(v for k, v in speed.items() if "peak" in k))
    slopes = {
        level: speed.get(f"{level}_gbytes_{threads}", speed.get(f"{level}_gbytes_1", 1.0))
        for level in _LEVELS
    }
    total = sum(k.operations for k in explanation.kernels)
    yield (
        f"<p><code>{html.escape(explanation.signature)}</code></p>"
        f'<p class="quiet">{html.escape(explanation.target)}, {threads} threads. One call took '
        f"{seconds * 1e6:,.4g} µs: {total / seconds * 1e-9:,.4g} Gop/s of {peak:,.4g}.</p><h2>Kernels</h2>"
    )
    yield roofline(explanation.kernels, peak, slopes)
    heads = ("makes", "class", "operations", "bytes", "op/B", "at best µs", "bound by")
    head = "".join(f"<th>{name}</th>" for name in heads)
    rows = "".join(_row(n, k, peak, slopes["memory"]) for n, k in enumerate(explanation.kernels, 1))
    yield f"<table><tr>{head}</tr>{rows}</table>"


def _row(number: int, kernel: KernelFacts, peak: float, bandwidth: float) -> str:
    computing, moving = kernel.operations / peak * 1e-3, kernel.bytes / bandwidth * 1e-3
    numbers = (f"{kernel.operations:,.4g}", f"{kernel.bytes:,.4g}", f"{kernel.intensity:.3g}")
    cells = "".join(f'<td class="number">{each}</td>' for each in numbers)
    bound = "arithmetic" if computing > moving else "memory"
    return (
        f"<tr><td>{number}. {html.escape(', '.join(kernel.makes))}</td><td>{html.escape(kernel.schedule_class)}</td>"
        f'{cells}<td class="number">{max(computing, moving):,.3g}</td><td>{bound}</td></tr>'
    )


def _schedules(kernels: Sequence[KernelFacts]) -> Iterable[str]:
    yield "<h2>Schedules</h2>"
    for number, kernel in enumerate(kernels, 1):
        decided = ", ".join(f"{name}={value}" for name, value in kernel.decisions.items())
        shared = f", row by row over {', '.join(kernel.shared)}" if kernel.shared else ""
        yield (
            f"<details><summary>{number}. {html.escape(', '.join(kernel.makes))} "
            f'<span class="quiet">{html.escape(kernel.schedule_class + shared)}</span></summary>'
            f"<pre>{html.escape(decided)}</pre></details>"
        )


def roofline(kernels: Sequence[KernelFacts], peak: float, slopes: Mapping[str, float]) -> str:
    """Attainable speed over operations for each byte, both logarithmic, with every kernel at its place.

    Bytes are those of distinct elements; a kernel whose operands fit a cache may lie above the memory's roof.
    """
    found = [k.intensity for k in kernels if k.intensity > 0] or [1.0]
    ridge = peak / slopes["memory"]
    low, high = log10(min(*found, ridge) / 8), log10(max(*found, ridge) * 8)
    top, bottom = log10(peak * 2), log10(peak * 2) - 4.0

    def place(intensity: float, speed: float) -> tuple[float, float]:
        x = _LEFT + (log10(intensity) - low) / (high - low) * _WIDE
        y = _TOP + (top - max(bottom, log10(speed))) / (top - bottom) * _HIGH
        return x, y

    parts = [_grid(place, low, high, bottom, top)]
    for level in _LEVELS:
        slope = slopes[level]
        start = max(10**low, 10**bottom / slope)
        corners = [place(start, slope * start), place(peak / slope, peak), place(10**high, peak)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        kind = "roof" if level == "memory" else "cache"
        x, y = corners[0]
        parts.append(f'<polyline fill="none" class="{kind}" points="{points}"/>')
        parts.append(
            f'<text class="tick" x="{x + 6:.1f}" y="{y - 8:.1f}">{level} {slope:,.3g} GB/s</text>'
        )
    for number, kernel in enumerate(kernels, 1):
        if kernel.intensity > 0:
            x, y = place(kernel.intensity, min(peak, kernel.intensity * slopes["memory"]))
            name = html.escape(", ".join(kernel.makes))
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{name}</title></circle>')
            parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">{number}</text>')
    width, height = _LEFT + _WIDE + 90, _TOP + _HIGH + 44
    return (
        f'<div class="graph"><svg class="roofline" role="img" '
        f'aria-label="roofline" width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg></div>'
    )


def _grid(place, low: float, high: float, bottom: float, top: float) -> str:  # type: ignore[no-untyped-def]
    lines = []
    for power in range(int(low) - 1, int(high) + 1):
        if low <= power <= high:
            x, _ = place(10.0**power, 10.0**bottom)
            lines.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{_TOP + _HIGH}"/>')
            lines.append(
                f'<text class="tick" x="{x - 6:.1f}" y="{_TOP + _HIGH + 18}">{10.0**power:g}</text>'
            )
    for power in range(int(bottom) - 1, int(top) + 1):
        if bottom <= power <= top:
            _, y = place(10.0**low, 10.0**power)
            lines.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_LEFT + _WIDE}"/>')
            lines.append(f'<text class="tick" x="8" y="{y + 4:.1f}">{10.0**power:g}</text>')
    lines.append(
        f'<text class="tick" x="{_LEFT + _WIDE - 60}" y="{_TOP + _HIGH + 36}">op/byte</text>'
    )
    lines.append(f'<text class="tick" x="8" y="{_TOP + _HIGH + 36}">Gop/s</text>')
    return "".join(lines)
