"""What the machine allows, measured in the rounds in which the contenders are timed (a roofline)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcomp.benchmarks.timing import Contender, Timing

if TYPE_CHECKING:
    from tcomp.explain import Explanation

LARGEST_READ = 128 << 20  # bytes: beyond every cache


def machine_contenders(
    traffic: float, threads: int
) -> tuple[Contender, Contender, tuple[float, float]]:
    """A kernel that only multiplies and adds, one that only reads, and the operations and bytes of a call.

    The array that is read is as large as `traffic`, so that both live in the same level of memory.
    """
    from tcomp.probe import bandwidth_kernel, peak_kernel

    kernel, operations = peak_kernel(threads)
    reader, source, read = bandwidth_kernel(min(int(traffic), LARGEST_READ), threads)
    peak = Contender("peak", lambda: kernel())
    return peak, Contender("reader", lambda: reader(source)), (operations, read)


@dataclass(frozen=True, slots=True)
class Limits:
    """The work of a program and two kernels that do nothing but multiply-adds, or reading.

    `operations` and `bytes` are the program's own, estimated, in one call.
    """

    operations: float
    bytes: float
    peak: Contender
    peak_operations: float
    reader: Contender
    reader_bytes: float

    @staticmethod
    def of(explanation: Explanation, threads: int) -> Limits:
        """The limits of a compiled program, by its own account of operations and bytes."""
        operations = sum(k.operations for k in explanation.kernels)
        traffic = sum(k.bytes for k in explanation.kernels)
        peak, reader, (peak_operations, reader_bytes) = machine_contenders(traffic, threads)
        return Limits(operations, traffic, peak, peak_operations, reader, reader_bytes)

    def contenders(self) -> list[Contender]:
        return [self.peak, self.reader]

    def facts(self, timings: Sequence[Timing]) -> dict[str, Any]:
        """The machine's speed in these rounds, and the shortest time that it allows the program."""
        peak, reader = timings
        per_second = self.peak_operations / peak.best
        bandwidth = self.reader_bytes / reader.best
        return {
            "seconds": max(self.operations / per_second, self.bytes / bandwidth),
            "gigaoperations": self.operations / 1e9,
            "megabytes": self.bytes / 1e6,
            "peak_gops": per_second / 1e9,
            "bandwidth_gbs": bandwidth / 1e9,
        }
