"""What was derived and chosen for a program, and what it should cost: the report people paste."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcomp.passes.derivation.cost import operations, traffic

if TYPE_CHECKING:
    from tcomp.ir.plan import Group
    from tcomp.passes.accuracy import Accuracy
    from tcomp.passes.derivation import Race
    from tcomp.pipeline import Stages


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """One loop nest: what it makes, how, and how much it computes and moves.

    `operations` are scalar operations, `bytes` those of distinct elements read and written.
    """

    makes: tuple[str, ...]
    shared: tuple[str, ...]
    schedule_class: str
    decisions: dict[str, int]
    operations: float
    bytes: float

    @property
    def intensity(self) -> float:
        """Operations for each byte: the roofline's horizontal axis."""
        return self.operations / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """The report; `str` gives text, notebooks show a table."""

    name: str
    signature: str
    target: str
    threads: int
    steps: tuple[tuple[str, str], ...]
    states: int
    search_seconds: float
    cost_ratio: float
    accuracy: Accuracy | None  # None where every step keeps the roundings of the program as written
    races: tuple[Race, ...]  # none where estimates chose the form
    kernels: tuple[KernelFacts, ...]
    workspace_bytes: int

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "program": self.name,
            "signature": self.signature,
            "target": self.target,
            "threads": self.threads,
            "derivation": {
                "steps": [list(s) for s in self.steps],
                "states": self.states,
                "seconds": self.search_seconds,
                "cost_ratio": self.cost_ratio,
                "accuracy": self.accuracy.to_json() if self.accuracy is not None else None,
                "measured": next((r.measured.to_json() for r in self.races if not r.makes), None),
                "races": [race.to_json() for race in self.races],
            },
            "kernels": [
                {
                    "makes": list(k.makes),
                    "shared": list(k.shared),
                    "class": k.schedule_class,
                    "decisions": k.decisions,
                    "operations": k.operations,
                    "bytes": k.bytes,
                }
                for k in self.kernels
            ],
            "workspace_bytes": self.workspace_bytes,
        }

    def __str__(self) -> str:
        lines = [
            self.signature,
            f"  target {self.target}, {self.threads} threads",
            "",
            "derivation",
        ]
        if self.steps:
            lines += [f"  {n}. {rule} at {at}" for n, (rule, at) in enumerate(self.steps, start=1)]
            lines.append(f"  estimated cost falls by {self.cost_ratio:.3g}x")
            lines.append(f"  {self.accuracy or 'every rounding is that of the program as written'}")
        elif not self.races:
            lines.append("  nothing cheaper was found")
        if not self.races:
            lines.append(
                f"  {self.states} programs looked at in {self.search_seconds * 1e3:.3g} ms"
            )
        lines += [f"  {race}" for race in self.races]
        lines += ["", "kernels"]
        for number, kernel in enumerate(self.kernels, start=1):
            lines += _kernel_lines(number, kernel)
        lines += ["", f"workspace {_amount(self.workspace_bytes, 'B')}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(', '.join(k.makes))}</td><td>{html.escape(k.schedule_class)}</td>"
            f"<td>{_amount(k.operations, 'op')}</td><td>{_amount(k.bytes, 'B')}</td>"
            f"<td>{k.intensity:.3g}</td></tr>"
            for k in self.kernels
        )
        return (
            f"<p><code>{html.escape(self.signature)}</code></p><table><tr><th>makes</th><th>class</th>"
            f"<th>operations</th><th>bytes</th><th>operations/byte</th></tr>{rows}</table>"
        )


def explain(stages: Stages, signature: str, threads: int) -> Explanation:
    """The report of one compiled program."""
    found = stages.derivation
    groups = zip(stages.plan.groups, stages.traces, strict=True)
    return Explanation(
        name=stages.program.name,
        signature=signature,
        target=stages.target.cpu,
        threads=threads,
        steps=tuple((s.rule, s.tensor) for s in found.steps),
        states=found.states,
        search_seconds=found.seconds,
        cost_ratio=found.cost_before / found.cost_after,
        accuracy=found.accuracy,
        races=found.races(),
        kernels=tuple(_facts(group, trace) for group, trace in groups),
        workspace_bytes=stages.emitted.shared_bytes + threads * stages.emitted.private_bytes,
    )


def _facts(group: Group, trace: Any) -> KernelFacts:
    outside = [d for d in group.members if d.tensor not in group.scratch]
    reads = sum(traffic(d) for d in group.members) - sum(
        traffic(d) for d in group.members if d not in outside
    )
    return KernelFacts(
        makes=tuple(d.tensor.name for d in group.members),
        shared=tuple(s.iter.name + (" (ordered)" if s.ordered else "") for s in group.shared),
        schedule_class=trace.kind,
        decisions=dict(trace.decisions),
        operations=sum(operations(d) for d in group.members),
        bytes=reads,
    )


def _kernel_lines(number: int, kernel: KernelFacts) -> list[str]:
    shared = f", row by row over {', '.join(kernel.shared)}" if kernel.shared else ""
    lines = [
        f"  {number}. {', '.join(kernel.makes)}  [{kernel.schedule_class}]{shared}",
        f"     {_amount(kernel.operations, 'op')}, {_amount(kernel.bytes, 'B')}, "
        f"{kernel.intensity:.3g} op/B",
    ]
    decided = ", ".join(f"{name}={value}" for name, value in kernel.decisions.items())
    while decided:
        cut = len(decided) if len(decided) <= 92 else decided.rfind(", ", 0, 92) + 1
        lines.append(f"     {decided[:cut].strip()}")
        decided = decided[cut:].strip()
    return lines


def _amount(value: float, unit: str) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
