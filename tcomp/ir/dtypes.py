"""Element types of tensors and the types in which their values are computed.

A tensor's *storage* type may be narrow; arithmetic happens in one of the six *compute* types
(product.md section 1, "Arithmetic"): i4 u4 i8 u8 i16 u16 and bool are read as i32, f16 bf16 f8 as f32.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Kind(Enum):
    """What a type's bits mean."""

    BOOL = "bool"
    SIGNED = "signed"
    UNSIGNED = "unsigned"
    FLOAT = "float"


@dataclass(frozen=True, slots=True, eq=False)
class DType:
    """An element type. Use the module's constants (`f32`, `i8`, ...): equality is identity there.

    `numpy_name` is the name of the NumPy or ml_dtypes scalar type with the same bits.
    """

    name: str
    kind: Kind
    bits: int
    numpy_name: str

    @property
    def is_float(self) -> bool:
        return self.kind is Kind.FLOAT

    @property
    def is_integer(self) -> bool:
        return self.kind in (Kind.SIGNED, Kind.UNSIGNED)

    @property
    def is_signed(self) -> bool:
        return self.kind is Kind.SIGNED

    @property
    def is_bool(self) -> bool:
        return self.kind is Kind.BOOL

    @property
    def bytes(self) -> int:
        """Storage of one unpacked element; 4-bit types take a byte when they are not packed."""
        return max(1, self.bits // 8)

    @property
    def is_packed(self) -> bool:
        """True for 4-bit types, which arrays pass two to a byte, low nibble first."""
        return self.bits == 4

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype of an unpacked array of this type."""
        return _numpy_dtype(self.numpy_name)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return dtype, (self.name,)


@cache
def _numpy_dtype(name: str) -> np.dtype[Any]:
    import numpy as np

    home: Any = np
    if not hasattr(np, name):
        import ml_dtypes

        home = ml_dtypes
    found: np.dtype[Any] = np.dtype(getattr(home, name))
    return found


f64 = DType("f64", Kind.FLOAT, 64, "float64")
f32 = DType("f32", Kind.FLOAT, 32, "float32")
f16 = DType("f16", Kind.FLOAT, 16, "float16")
bf16 = DType("bf16", Kind.FLOAT, 16, "bfloat16")
f8e4m3 = DType("f8e4m3", Kind.FLOAT, 8, "float8_e4m3fn")
f8e5m2 = DType("f8e5m2", Kind.FLOAT, 8, "float8_e5m2")
i64 = DType("i64", Kind.SIGNED, 64, "int64")
i32 = DType("i32", Kind.SIGNED, 32, "int32")
i16 = DType("i16", Kind.SIGNED, 16, "int16")
i8 = DType("i8", Kind.SIGNED, 8, "int8")
i4 = DType("i4", Kind.SIGNED, 4, "int4")
u64 = DType("u64", Kind.UNSIGNED, 64, "uint64")
u32 = DType("u32", Kind.UNSIGNED, 32, "uint32")
u16 = DType("u16", Kind.UNSIGNED, 16, "uint16")
u8 = DType("u8", Kind.UNSIGNED, 8, "uint8")
u4 = DType("u4", Kind.UNSIGNED, 4, "uint4")
boolean = DType("bool", Kind.BOOL, 8, "bool_")

ALL: tuple[DType, ...] = (
    f64, f32, f16, bf16, f8e4m3, f8e5m2,
    i64, i32, i16, i8, i4, u64, u32, u16, u8, u4, boolean,
)  # fmt: skip
_BY_NAME = {t.name: t for t in ALL}

# Promotion order of product.md: the higher wins.
PROMOTION: tuple[DType, ...] = (boolean, i32, u32, i64, u64, f32, f64)
COMPUTE: tuple[DType, ...] = PROMOTION[1:]


def dtype(name: str) -> DType:
    """The type called `name` in the language. Raises KeyError for an unknown name."""
    return _BY_NAME[name]


def from_numpy(np_dtype: np.dtype[Any]) -> DType:
    """The tcomp type with the bits of a NumPy dtype. Raises KeyError where there is none."""
    name = np_dtype.name
    return {t.numpy_name.rstrip("_"): t for t in ALL}[name]


def compute_type(storage: DType) -> DType:
    """The type in which arithmetic on values read from `storage` is done.

    >>> compute_type(i8), compute_type(bf16), compute_type(f64), compute_type(boolean)
    (i32, f32, f64, i32)
    """
    if storage.is_float:
        return storage if storage in (f32, f64) else f32
    if storage.is_bool or storage.bits < 32:
        return i32
    return storage


def promote(*types: DType) -> DType:
    """The arithmetic type of operands of the given types.

    >>> promote(i8, u8), promote(i64, f32), promote(boolean, boolean)
    (i32, f32, i32)
    """
    return max((compute_type(t) for t in types), key=PROMOTION.index)
