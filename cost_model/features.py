"""What the learned model sees of a schedule: numbers from the definitions and the trace alone.

No lowering is needed, so thousands of candidates are described in a second. Every feature has a name and
a meaning; `describe` prints the table. Logarithms are base 2 of one plus the value, so that zero is zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

import numpy as np

from tcomp.ir.integer import Iter
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Apply, Read, Reduce, postorder
from tcomp.ops import OPS
from tcomp.schedule.trace import Trace
from tcomp.target import Target

VERSION = (
    1  # raised when a feature is added or changes meaning: models of another version do not load
)


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the model's input."""

    name: str
    meaning: str


_WORKLOAD = (
    Feature("members", "definitions made together"),
    Feature("shared", "log of the points of the group's shared loops"),
    Feature("ordered", "1 for a scan"),
    Feature("points", "log of the output points of all members"),
    Feature("terms", "log of the terms of the largest reduction"),
    Feature("work", "log of scalar operations, weighted by cost"),
    Feature("bytes", "log of the bytes of distinct elements read and written"),
    Feature("intensity", "work less bytes, both as logs"),
    Feature("heavy", "log of the work in functions dearer than 4 additions"),
    Feature("reads", "distinct reads"),
    Feature("guarded", "guarded reads"),
    Feature("gathers", "reads whose index depends on data"),
    Feature("bits", "widest element read or written"),
    Feature("last", "log of the extent of the first result's last axis"),
    Feature("first", "log of the extent of the first result's first axis"),
    Feature("rank", "axes of the first result"),
)
_DECISIONS = (
    "lanes", "vector", "tile", "parallel", "grain", "chains", "unrolled", "place",
    "tile_rows", "tile_vectors", "unroll", "depth", "task_panels", "task_columns", "left", "right",
)  # fmt: skip
_SCHEDULE = (
    Feature("class", "number of the schedule class: nest 0, contraction 1, scatter 2, other 3"),
    *(
        Feature(f"{kind}:{name}", f"{what} of the decisions called '{name}'")
        for name in _DECISIONS
        for kind, what in (("max", "log of the largest"), ("sum", "log of the sum"))
    ),
)
_TARGET = (
    Feature("vector_bits", "widest vector of the target"),
    Feature("threads", "threads of the kernel"),
    Feature("l1_ratio", "bytes less L1, as logs"),
    Feature("l2_ratio", "bytes less L2, as logs"),
    Feature("l3_ratio", "bytes less L3, as logs"),
)
FEATURES: tuple[Feature, ...] = (*_WORKLOAD, *_SCHEDULE, *_TARGET)
_CLASSES = {"nest": 0, "contraction": 1, "scatter": 2}


def describe() -> str:
    """The table of features."""
    return "\n".join(f"{f.name:18} {f.meaning}" for f in FEATURES)


def features(
    group: Group, traces: Iterable[Trace], target: Target, threads: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """One row for each trace of a group, one column for each of `FEATURES`."""
    workload = _workload_features(group)
    size = workload[6]
    around = [
        target.vector_bits,
        threads,
        *(size - _log(level) for level in (target.l1, target.l2, target.l3)),
    ]
    rows = [[*workload, *_schedule_features(trace), *around] for trace in traces]
    return np.asarray(rows, np.float32).reshape(len(rows), len(FEATURES))


def _workload_features(group: Group) -> list[float]:
    nodes = [n for d in group.members for n in postorder(d.body)]
    reads = [n for n in nodes if isinstance(n, Read)]
    reductions = [n for n in nodes if isinstance(n, Reduce)]
    points = sum(_extent(d.iters) for d in group.members)
    terms = max((_extent(r.iters) for r in reductions), default=1.0)
    weights = [OPS[n.op].cost for n in nodes if isinstance(n, Apply)]
    work = points * terms * max(1.0, sum(weights))
    heavy = points * terms * sum(w for w in weights if w > 4)
    tensors = {r.tensor for r in reads} | {d.tensor for d in group.members}
    size = sum(_elements(t.shape) * t.dtype.bytes for t in tensors)
    first = group.members[0].iters
    return [
        len(group.members),
        _log(_extent(s.iter for s in group.shared)),
        float(any(s.ordered for s in group.shared)),
        _log(points),
        _log(terms),
        _log(work),
        _log(size),
        _log(work) - _log(size),
        _log(heavy),
        len(reads),
        sum(r.otherwise is not None for r in reads),
        sum(len(r.children()) > (r.otherwise is not None) for r in reads),
        max(t.dtype.bits for t in tensors),
        _log(first[-1].extent.constant if first else 1),
        _log(first[0].extent.constant if first else 1),
        len(first),
    ]


def _schedule_features(trace: Trace) -> list[float]:
    grouped: dict[str, list[int]] = {}
    for name, value in trace:
        for part in reversed(name.split(".")):
            if part in _DECISIONS:
                grouped.setdefault(part, []).append(value)
                break
    row: list[float] = [_CLASSES.get(trace.kind, 3)]
    for name in _DECISIONS:
        values = [max(0, v) for v in grouped.get(name, [0])]
        row += [_log(max(values)), _log(sum(values))]
    return row


def _log(value: float) -> float:
    return log2(1.0 + value)


def _extent(iters: Iterable[Iter]) -> float:
    total = 1.0
    for it in iters:
        total *= it.extent.constant
    return total


def _elements(shape: Iterable[object]) -> float:
    total = 1.0
    for extent in shape:
        total *= int(extent)  # type: ignore[call-overload]
    return total
