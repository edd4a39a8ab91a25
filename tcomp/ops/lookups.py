"""Tables of sixteen f32 in a register, looked up by the low four bits of integers: which processors can.

lookup(table, index)[lane] = table[index[lane] & 15]
"""

from __future__ import annotations

from collections.abc import Callable

SIZE = 16


def has_lookup(lanes: int, has: Callable[[str], bool]) -> bool:
    """Whether a processor that has the features `has` tells looks up vectors of `lanes` in one instruction."""
    return lanes == SIZE and has("avx512f")


INTRINSIC = "llvm.x86.avx512.permvar.sf.512"
