"""Conversions to and from narrow floats, as integer arithmetic on their bit patterns.

Values are rounded once, half to even, from the source. f8e4m3 (ml_dtypes' float8_e4m3fn) has no
infinity: what overflows becomes NaN there.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.codegen.math.lanes import EXPONENT_BIAS, MANTISSA_BITS, Lanes, sign_bit, where
from tcomp.ir.dtypes import DType, bf16, f8e4m3, f8e5m2, f16, f32, f64, i8, i16, u8, u16, u32


@dataclass(frozen=True, slots=True)
class Format:
    """A binary float: explicit mantissa bits, exponent bias, the pattern that overflow gives, one NaN."""

    mantissa: int
    bias: int
    overflow: int
    nan: int


FORMATS = {
    f16: Format(10, 15, 0x7C00, 0x7E00),
    bf16: Format(7, 127, 0x7F80, 0x7FC0),
    f8e4m3: Format(3, 7, 0x7F, 0x7F),
    f8e5m2: Format(2, 15, 0x7C, 0x7E),
}
_RAW = {8: u8, 16: u16}


def is_narrow(dtype: DType) -> bool:
    return dtype in FORMATS


def cast(x: Lanes, target: DType) -> Lanes:
    """x as `target`, through primitive casts and `narrow`."""
    source = x.dtype
    if is_narrow(target) and source is not target:
        return _to_narrow(x, target)
    if is_narrow(source) and not _widens_directly(source, target):
        return widen(x).to(target)
    return x.to(target)


def _widens_directly(source: DType, target: DType) -> bool:
    return source is target or (source in (f16, bf16) and target in (f32, f64))


def _to_narrow(x: Lanes, target: DType) -> Lanes:
    source = x.dtype
    if is_narrow(source):
        return narrow(widen(x), target)
    if not source.is_float:
        exact_in_f32 = source.is_bool or source.bits <= 16
        wide = x.to(f32) if exact_in_f32 else _to_odd(x) if source.bits == 64 else x.to(f64)
        return narrow(wide, target)
    return narrow(x, target)


def _to_odd(x: Lanes) -> Lanes:
    """A 64-bit integer as f64 with its lowest bits folded into one sticky bit: rounding stays single."""
    unsigned = not x.dtype.is_signed
    # 53 bits hold any narrow float's precision: drop 11 low bits, keep whether any was set.
    sticky = where((x & 0x7FF).differs(0), x.constant(0x800), 0)
    folded = (x & ~0x7FF) | sticky
    small = (x < (1 << 52)) if unsigned else ((x < (1 << 52)) & (x > -(1 << 52)))
    return where(small, x, folded).to(f64)


def widen(x: Lanes) -> Lanes:
    """A narrow float as f32, exactly."""
    if x.dtype is f8e5m2:  # the upper half of an f16
        return (x.bits_as(u8).to(u32) << 8).to(u16).bits_as(f16).to(f32)
    if (
        x.dtype is f8e4m3
    ):  # an f16 whose exponent is 8 less: it has denormals as normal numbers, f32 would wait
        pattern = x.bits_as(i8).to(i16)
        half = (pattern << 7) & ~0x4000
        half = where((pattern & 0x7F).equals(0x7F), half.constant(FORMATS[f16].nan), half)
        return half.bits_as(f16).to(f32) * 256.0
    return x.to(f32)


def narrow(x: Lanes, target: DType) -> Lanes:
    """An f32 or f64 as a narrow float."""
    if (x.dtype, target) == (f32, f16):
        return x.to(f16)
    if (x.dtype, target) == (f32, bf16):
        return _to_bf16(x)
    form, source = FORMATS[target], x.dtype
    kept, bias = MANTISSA_BITS[source], EXPONENT_BIAS[source]
    a = abs(x)
    drop = kept - form.mantissa
    rounding = ((1 << (drop - 1)) - 1) + ((a.bits >> drop) & 1)
    normal = ((a.bits + rounding) >> drop) - ((bias - form.bias) << form.mantissa)
    # Adding a power of two whose last place is the least denormal rounds to multiples of that.
    magic = x.constant(2.0 ** (1 - form.bias - form.mantissa + kept))
    denormal = (a + magic).bits - magic.bits
    code = where(a < 2.0 ** (1 - form.bias), denormal, normal)
    code = code.apply("minimum", form.overflow)
    if form.nan != form.overflow:
        code = where(x.is_nan, code.constant(form.nan), code)
    code = code | (sign_bit(x) >> (source.bits - target.bits))
    return code.to(_RAW[target.bits]).bits_as(target)


def _to_bf16(x: Lanes) -> Lanes:
    """The upper half of the pattern, rounded; both have the same exponents, denormals included."""
    rounded = x.bits + 0x7FFF + ((x.bits >> 16) & 1)
    quiet = x.bits | 0x400000
    return (where(x.is_nan, quiet, rounded) >> 16).to(u16).bits_as(bf16)
