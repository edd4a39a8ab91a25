"""The analytical prior: an estimate of a schedule's cycles from first principles, before anything is measured.

Roofline (Williams, Waterman, Patterson, CACM 2009): the larger of arithmetic in vectors and bytes moved,
shared by the threads that a schedule uses. Arithmetic is slowed where too few independent results are in
flight to hide latency. The estimate only has to order schedules of one workload.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.cost_model.features import features
from tcomp.ir.plan import Group
from tcomp.schedule.trace import Trace
from tcomp.target import Target

LATENCY = 4.0  # cycles of an addition or a multiply-add on current x86-64 and AArch64 cores
PIPES = 2.0  # of them that begin in a cycle
BYTES_A_CYCLE = 8.0  # from beyond the second-level cache, one core
_LOADS = 1.3  # a load beside a multiply-add of a register tile; see schedule.contraction.cost


def estimates(group: Group, traces: Sequence[Trace], target: Target, threads: int) -> list[float]:
    """Cycles of one call for each trace: smaller is expected to be faster."""
    if not traces:
        return []
    first = features(group, traces[:1], target, threads)[0]
    work, size = 2.0 ** float(first[5]), 2.0 ** float(first[6])  # the columns `work` and `bytes`
    return [_cycles(trace, work, size, threads) for trace in traces]


def _cycles(trace: Trace, work: float, size: float, threads: int) -> float:
    lanes = max(1, *_values(trace, "lanes"), 1)
    used = threads if any(v > 0 for v in _values(trace, "parallel")) else 1
    if trace.kind == "contraction":
        rows, vectors = trace.get("tile_rows", 1), trace.get("tile_vectors", 1)
        results = rows * vectors
        each = max(results, _LOADS * (rows + vectors), LATENCY * PIPES) / max(results, 1)
    else:
        flight = _product(_values(trace, "tile")) * max(1, *_values(trace, "chains"), 1)
        each = max(1.0, LATENCY * PIPES / max(flight, 1.0) / 2.0)
    return max(work * each / lanes / PIPES, size / BYTES_A_CYCLE) / used


def _values(trace: Trace, name: str) -> list[int]:
    """The decisions called `name`, or whose name has it between dots."""
    return [value for known, value in trace if name in known.split(".")]


def _product(values: Sequence[int]) -> float:
    total = 1.0
    for value in values:
        total *= max(1, value)
    return total
