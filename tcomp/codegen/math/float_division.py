"""Floor division and remainder of floats, exact as C's fmod and with Python's signs.

A step r - trunc(r/b) b is exact when fused, however large the quotient: its rounding leaves a remainder
2**52 times smaller, on which the next step works.
"""

from __future__ import annotations

from tcomp.codegen.math.lanes import Lanes, flip_sign, rarely, where, with_sign_of
from tcomp.ir.dtypes import f32, f64

INFINITY = float("inf")
F32_STEPS = 6  # f32 quotients are below 2**278


def remainder(a: Lanes, b: Lanes) -> Lanes:
    """a - floor(a/b) b, with the sign of b; NaN where a is infinite or b is 0."""
    return _divide(a, b)[1]


def floor_divide(a: Lanes, b: Lanes) -> Lanes:
    return _divide(a, b)[0]


def _divide(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    rest = _truncated_remainder(a, b)
    adjust = rest.differs(0.0) & ((rest < 0.0) ^ (b < 0.0))
    modulo = where(rest.equals(0.0), with_sign_of(rest.constant(0.0), b), rest)
    modulo = where(adjust, rest + b, modulo)
    quotient = (a - rest) / b
    quotient = where(adjust, quotient - 1.0, quotient)
    whole = quotient.floor()
    whole = where(quotient - whole > 0.5, whole + 1.0, whole)
    ratio = a / b
    zero = flip_sign(a.constant(0.0), ratio)
    whole = where(quotient.equals(0.0), zero, whole)
    return where(b.equals(0.0), ratio, whole), modulo


def _truncated_remainder(a: Lanes, b: Lanes) -> Lanes:
    """C's fmod: a - trunc(a/b) b, with the sign of a."""
    infinite = abs(b).equals(INFINITY) & (abs(a) < INFINITY)
    fmod = _fmod_f32 if a.dtype is f32 else _fmod_f64
    rest = fmod(abs(a).to(f64), abs(b).to(f64)).to(a.dtype)
    return where(infinite, a, flip_sign(rest, a))


def _step(r: Lanes, b: Lanes) -> Lanes:
    """r - round-ish(r/b) b: |result| <= b where r/b < 2**52, else 2**52 times smaller than r."""
    return (-(r / b).trunc()).exact_fma(b, r)


def _settle(r: Lanes, b: Lanes) -> Lanes:
    """From (-b, b] to [0, b): r/b may have rounded up to an integer."""
    return where(r < 0.0, r + b, r)


def _fmod_f32(a: Lanes, b: Lanes) -> Lanes:
    near = _step(a, b)
    far = near
    for _ in range(F32_STEPS - 1):
        far = _step(far, b)
    return _settle(rarely(a >= b * 2.0**50, far, near), b)


def _fmod_f64(a: Lanes, b: Lanes) -> Lanes:
    near = _step(a, b)
    return _settle(rarely(a >= b * 2.0**50, _fmod_f64_far(a, b), near), b)


def _fmod_f64_far(a: Lanes, b: Lanes) -> Lanes:
    """From the greatest possible quotient, 2**2098, downwards, 50 bits at a time: steps by b times
    powers of two. A multiple that overflows or exceeds r changes nothing."""
    r = a
    for shift in range(2050, -1, -50):
        multiple = b
        for part in (min(shift, 1000), min(max(shift - 1000, 0), 1000), max(shift - 2000, 0)):
            multiple = multiple * 2.0**part if part else multiple
        r = where(multiple <= r, _settle(_step(r, multiple), multiple), r)
    return r
