"""The reductions: each is a monoid, but for argmax and argmin, which also carry a position."""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.ir.dtypes import DType


@dataclass(frozen=True, slots=True)
class Reduction:
    """`combine` is the operation of `tcomp.ops` that joins two partial results (`""` for positions).

    `has_identity` tells whether an empty reduction has a value (product.md: sum, prod, any, all).
    """

    name: str
    combine: str
    has_identity: bool

    def identity(self, dtype: DType) -> float | int | bool:
        """A value that changes no partial result of type `dtype`.

        >>> from tcomp.ir.dtypes import f32, i32
        >>> REDUCTIONS["max"].identity(f32), REDUCTIONS["min"].identity(i32)
        (-inf, 2147483647)
        """
        match self.name:
            case "sum":
                return 0.0 if dtype.is_float else 0
            case "prod":
                return 1.0 if dtype.is_float else 1
            case "any":
                return False
            case "all":
                return True
            case "max" | "argmax":
                return float("-inf") if dtype.is_float else _lowest(dtype)
            case "min" | "argmin":
                return float("inf") if dtype.is_float else _highest(dtype)
        raise KeyError(self.name)


def _lowest(dtype: DType) -> int:
    return -(1 << (dtype.bits - 1)) if dtype.is_signed else 0


def _highest(dtype: DType) -> int:
    return (1 << (dtype.bits - (1 if dtype.is_signed else 0))) - 1


REDUCTIONS: dict[str, Reduction] = {
    r.name: r
    for r in (
        Reduction("sum", "add", True),
        Reduction("prod", "mul", True),
        Reduction("max", "maximum", False),
        Reduction("min", "minimum", False),
        Reduction("any", "or", True),
        Reduction("all", "and", True),
        Reduction("argmax", "", False),
        Reduction("argmin", "", False),
    )
}
