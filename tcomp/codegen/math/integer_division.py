"""Floor division and remainder of integers: x // 0 = x % 0 = 0, and the most negative // -1 wraps.

No vector unit divides integers. 32-bit quotients are exact through f64; 64-bit ones are left to the
scalar divider; constant divisors become shifts and multiplications (Granlund & Montgomery, "Division by
invariant integers using multiplication", PLDI 1994).
"""

from __future__ import annotations

from tcomp.codegen.math.lanes import Lanes, literal, where
from tcomp.ir.dtypes import f64, i64, u64


def floor_divide(a: Lanes, b: Lanes) -> Lanes:
    divisor = literal(b)
    if divisor is not None:
        return _by_constant(a, int(divisor))
    if a.dtype.bits == 32:
        return _through_f64(a, b)
    return _through_scalar(a, b)


def remainder(a: Lanes, b: Lanes) -> Lanes:
    """a - (a // b) * b, with the sign of b."""
    divisor = literal(b)
    if divisor is not None:
        return _remainder_by_constant(a, int(divisor))
    if a.dtype.bits == 32:
        return where(b.equals(0), b, a - _through_f64(a, b) * b)
    zero, safe = _safe_divisor(a, b)
    rest = a.apply("truncmod", safe)
    if a.dtype.is_signed:
        rest = where(_signs_differ(rest, b), rest + b, rest)
    return where(zero, 0, rest)


def _through_f64(a: Lanes, b: Lanes) -> Lanes:
    """The quotient of 32-bit integers misses the next integer by 2**-32 at least: floor is exact.

    Adding 1.5 * 2**52 leaves the low 32 bits of the integer in the pattern; 2**31 wraps there.
    """
    quotient = (a.to(f64) / b.to(f64)).floor()
    pattern = (quotient + 1.5 * 2.0**52).bits
    return where(b.equals(0), b, pattern.to(a.dtype))


def _safe_divisor(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """(b is 0, b with values that the processor faults on replaced by 1)."""
    zero = b.equals(0)
    if not a.dtype.is_signed:
        return zero, where(zero, b.constant(1), b)
    lowest = -(1 << (a.dtype.bits - 1))
    overflow = a.equals(lowest) & b.equals(-1)
    return zero, where(zero | overflow, b.constant(1), b)


def _signs_differ(rest: Lanes, b: Lanes) -> Lanes:
    return rest.differs(0) & ((rest ^ b) < 0)


def _through_scalar(a: Lanes, b: Lanes) -> Lanes:
    """The most negative // -1 is divided by 1 instead, which gives the wrapped result."""
    zero, safe = _safe_divisor(a, b)
    quotient = a.apply("truncdiv", safe)
    if a.dtype.is_signed:
        rest = a - quotient * safe
        quotient = where(_signs_differ(rest, safe), quotient - 1, quotient)
    return where(zero, 0, quotient)


def _by_constant(a: Lanes, divisor: int) -> Lanes:
    if divisor == 0:
        return a.constant(0)
    if divisor == 1:
        return a
    if divisor == -1:
        return -a
    if divisor > 0 and divisor & (divisor - 1) == 0:
        return a >> (divisor.bit_length() - 1)
    if a.dtype.bits == 32 and divisor > 0:
        return _by_multiplication(a, divisor)
    b = a.constant(divisor)
    return _through_f64(a, b) if a.dtype.bits == 32 else _through_scalar(a, b)


def _remainder_by_constant(a: Lanes, divisor: int) -> Lanes:
    if divisor in (0, 1, -1):
        return a.constant(0)
    if divisor > 0 and divisor & (divisor - 1) == 0:
        return a & (divisor - 1)
    return a - _by_constant(a, divisor) * divisor


def _by_multiplication(a: Lanes, divisor: int) -> Lanes:
    """floor(a / d) = (a * m) >> k with m = ceil(2**k / d), 0 <= a < 2**31 and 2**k >= 2**31 d.

    For negative a: floor(a / d) = ~floor(~a / d). Unsigned numbers have a bit more, and so has m: its
    33rd bit is added apart.
    """
    shift = 31 + (divisor - 1).bit_length()
    if a.dtype.is_signed:
        multiplier = -(-(1 << shift) // divisor)
        flip = a >> 31
        wide = (a ^ flip).to(i64).bits_as(u64)
        return ((wide * multiplier) >> shift).to(a.dtype) ^ flip
    multiplier = -(-(1 << (shift + 1)) // divisor) - (1 << 32)
    wide = a.to(u64)
    return ((((wide * multiplier) >> 32) + wide) >> (shift - 31)).to(a.dtype)
