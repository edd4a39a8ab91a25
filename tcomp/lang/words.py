"""The words of the language that programs cannot use as names."""

from __future__ import annotations

import math

from tcomp.ir.dtypes import ALL
from tcomp.ops import OPS, REDUCTIONS

KEYWORDS = frozenset({"def", "scan", "in", "else", "and", "or", "not", "True", "False"})
GENERICS = ("float", "int", "element")
TYPES = frozenset(t.name for t in ALL)
CONSTANTS = {"inf": math.inf, "nan": math.nan, "pi": math.pi}
REDUCTION_NAMES = frozenset(REDUCTIONS) | {"mean"}
FUNCTIONS = frozenset(
    row.name for row in OPS.values() if row.public and not (row.symbol and row.name != "pow")
)

# What the compiler's own texts call besides: workloads are stored after 4-bit types have become bytes.
BIT_FUNCTIONS = frozenset({"bit_and", "bit_or", "bit_xor", "shift_left", "shift_right"})

# `element` has its meaning in the place of a type only and stays free as a name.
RESERVED = KEYWORDS | TYPES | {"float", "int"} | frozenset(CONSTANTS) | REDUCTION_NAMES | FUNCTIONS


def kind_of_word(name: str) -> str:
    """What a reserved name is, for messages."""
    if name in KEYWORDS:
        return "a keyword"
    if name in TYPES or name in GENERICS:
        return "a type"
    if name in CONSTANTS:
        return "a constant"
    return "a reduction" if name in REDUCTION_NAMES else "a built-in function"
