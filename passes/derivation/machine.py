"""What estimates know of the machine. The caller hands it in: `passes` asks neither processor nor probe."""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.ir.dtypes import DType


@dataclass(frozen=True, slots=True)
class Machine:
    """One core's vectors, and what all working cores have of the memory.

    `products` are the vectors of multiply-adds that a cycle begins. `near` and `shared` are the bytes that stay in
    the cores' own caches and in the shared one; `near_rate`, `shared_rate` and `far_rate` are the bytes a cycle
    that each core gets from those and from memory while all of them read.
    """

    vector_bytes: int = 64
    registers: int = 32
    products: float = 2.0
    near: int = 1 << 21
    shared: int = 1 << 23
    near_rate: float = 24.0
    shared_rate: float = 12.0  # F(2, 3) on 64 x 56 x 56 beats direct products 1.2x
    far_rate: float = 5.0

    def lanes(self, dtype: DType) -> int:
        """Elements of a vector."""
        return max(1, self.vector_bytes // max(1, dtype.bytes))

    @property
    def rows(self) -> int:
        """The most rows of a register tile of two vectors."""
        return max(1, (self.registers - 4) // 2)

    @property
    def operations(self) -> float:
        """Other operations a cycle, in vectors."""
        return self.vector_bytes / 8

    @property
    def table_operations(self) -> float:
        """The same where all positions of a table are made at once."""
        return self.vector_bytes / 4

    def rate(self, nbytes: float) -> float:
        """Bytes a cycle of a definition that moves `nbytes` in all."""
        if nbytes < self.near:
            return self.near_rate
        return self.shared_rate if nbytes < self.shared else self.far_rate


AVX512 = (
    Machine()
)  # two cores with 1 MB each, to which measurements of the derivation cases were fitted
