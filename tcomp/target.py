"""What code is made for: instruction set, registers, caches. Data only; probing is in `tcomp.codegen`."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Target:
    """A processor.

    `vector_bits` is the widest vector worth using; `vector_registers` how many of that width there are.
    Cache sizes are bytes, `l1` and `l2` for each core, `l3` shared. `features` is LLVM's feature string.
    `fixed_point` tells whether products of floats may be made of integers that hold them nearly.
    """

    triple: str
    cpu: str
    features: str
    vector_bits: int
    vector_registers: int
    has_fma: bool
    l1: int
    l2: int
    l3: int
    cores: int
    fixed_point: bool = True

    def lanes(self, bits: int) -> int:
        """How many elements of `bits` bits a vector register holds (at least 1)."""
        return max(1, self.vector_bits // bits)

    def has(self, feature: str) -> bool:
        """Whether LLVM's feature string switches a feature on, `avx512vnni` for example."""
        return f"+{feature}" in self.features.split(",")

    def without(self, *features: str) -> Target:
        """The processor as if it lacked some of its features."""
        kept = [f for f in self.features.split(",") if f[1:] not in features]
        return replace(self, features=",".join(kept))
