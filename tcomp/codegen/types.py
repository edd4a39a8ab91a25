"""How element types and constants are spelled in LLVM IR.

Narrow floats other than f16 travel in registers as their raw bits: LLVM's own bfloat lowers to library
calls on many processors, and it knows no 8-bit floats.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import cache

import numpy as np

from tcomp.ir.dtypes import DType, f16, f32, f64

_FLOATS = {f64: "double", f32: "float", f16: "half"}


@cache
def register(dtype: DType, lanes: int = 1) -> str:
    """The type of a value in registers; bool is i1.

    >>> from tcomp.ir.dtypes import bf16, boolean
    >>> register(f32, 8), register(bf16), register(boolean, 4)
    ('<8 x float>', 'i16', '<4 x i1>')
    """
    scalar = "i1" if dtype.is_bool else _FLOATS.get(dtype, f"i{dtype.bits}")
    return vector(scalar, lanes)


@cache
def memory(dtype: DType, lanes: int = 1) -> str:
    """The type of a value in memory; bool is a byte."""
    return vector("i8", lanes) if dtype.is_bool else register(dtype, lanes)


def vector(scalar: str, lanes: int) -> str:
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


@cache
def mangled(type_: str) -> str:
    """A type's name inside an intrinsic's name.

    >>> mangled("<8 x float>"), mangled("i32"), mangled("ptr")
    ('v8f32', 'i32', 'p0')
    """
    if type_.startswith("<"):
        count, _, scalar = type_[1:-1].split(" ")
        return f"v{count}{mangled(scalar)}"
    return {"float": "f32", "double": "f64", "half": "f16", "ptr": "p0"}.get(type_, type_)


def size(type_: str) -> int:
    """Bytes to keep a register value of this type in memory, a power of two."""
    if type_.startswith("<"):
        count, _, scalar = type_[1:-1].split(" ")
        return 1 << (int(count) * size(scalar) - 1).bit_length()
    if type_.startswith("i"):
        return max(1, int(type_[1:]) // 8)
    return {"half": 2, "float": 4, "double": 8, "ptr": 8}[type_]


def literal(value: float | int | bool, dtype: DType, lanes: int = 1) -> str:
    """A constant operand, without its type.

    >>> from tcomp.ir.dtypes import u8
    >>> literal(1.5, f32), literal(255, u8, 4)
    ('0x3FF8000000000000', 'splat (i8 -1)')
    """
    text = _scalar(value, dtype)
    return text if lanes == 1 else f"splat ({register(dtype)} {text})"


def literals(values: Sequence[float], dtype: DType) -> str:
    """A constant vector operand of integers or whole floats."""
    kind = register(dtype)
    return "<" + ", ".join(f"{kind} {_scalar(v, dtype)}" for v in values) + ">"


def _scalar(value: float | int | bool, dtype: DType) -> str:
    if dtype.is_bool:
        return "true" if value else "false"
    if dtype.is_integer:
        return str(_wrapped(int(value), dtype.bits))
    if dtype in (f32, f64):
        # LLVM spells a float by the bits of the double it equals; NaNs are given one payload.
        exact = float(np.float32(value)) if dtype is f32 else float(value)
        bits = 0x7FF8 << 48 if math.isnan(exact) else _double_bits(exact)
        return f"0x{bits:016X}"
    raw = int(np.asarray(value, np.float64).astype(dtype.numpy).view(f"u{dtype.bytes}"))
    return f"0xH{raw:04X}" if dtype is f16 else str(raw)


def _wrapped(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _double_bits(value: float) -> int:
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits
