"""x / (2 pi) modulo 1 for any finite x, in floating point without tables in memory.

1 / (2 pi) is cut into words of so few bits that x times a word is exact (f32), or exact as a product and
its error (f64). Whole turns are dropped from every product before adding: what remains is small, so the
sum keeps the relative accuracy that cancellation near multiples of pi/2 needs.
"""

from __future__ import annotations

from functools import cache

from tcomp.codegen.math.double_word import two_product, two_sum
from tcomp.codegen.math.lanes import Lanes, power_of_two, where
from tcomp.ir.dtypes import f64

# 1 / (2 pi) = 0.INVERSE_TURN in hexadecimal: 320 digits, 1280 bits.
INVERSE_TURN = (
    "28be60db9391054a7f09d5f47d4d377036d8a5664f10e4107f9458eaf7aef1586dc91b8e909374b8"
    "01924bba827464873f877ac72c4a69cfba208d7d4baed1213a671c09ad17df904e64758e60d4ce7d"
    "272117e2ef7e4a0ec7fe25fff7816603fbcbc462d6829b47db4d9fb3c9f2c26dd3d18fd9a797fa8b"
    "5d49eeb1faf97c5ecf41ce7de294a4ba9afed7ec47e357421580cc11bf1edaeafc33ef0826bd0d87"
)

F32_WORD_BITS = 29  # 24 + 29 = 53: products are exact
F32_WORDS = 7
F64_WORD_BITS = 53
F64_WINDOW = 5
F64_WORDS = 23


@cache
def words(bits: int, count: int) -> tuple[float, ...]:
    """The first `count` groups of `bits` bits of 1 / (2 pi), as fractions below 1."""
    value, length = int(INVERSE_TURN, 16), 4 * len(INVERSE_TURN)
    groups = ((value >> (length - bits * (k + 1))) & ((1 << bits) - 1) for k in range(count))
    return tuple(group * 2.0**-bits for group in groups)


def fraction_of_turn_f32(x: Lanes) -> Lanes:
    """x / (2 pi) modulo 1, for an f64 `x` with the value of an f32."""
    digits = words(F32_WORD_BITS, F32_WORDS)
    parts = [_drop_turns(x * (w * 2.0 ** (-F32_WORD_BITS * k))) for k, w in enumerate(digits)]
    # The first sums are exact: 29 bits separate the words, products have 53.
    total = _drop_turns(parts[0] + parts[1])
    for part in parts[2:4]:
        total = _drop_turns(total + part)
    for part in parts[4:]:
        total = total + part
    return total


def fraction_of_turn(x: Lanes) -> tuple[Lanes, Lanes]:
    """x / (2 pi) modulo 1 in two words, for f64 x with |x| >= 2**30 (meaningless for others).

    Words whose product with x is a whole number of turns are skipped: a window of five words remains,
    and x is divided by the place value of the words before it.
    """
    first = _window_start((x.bits >> 52) & 0x7FF)
    scaled = x * power_of_two((-53 * first) << 52, f64)
    high = low = x.constant(0.0)
    for k, word in enumerate(_window(first)):
        for part in two_product(scaled * 2.0 ** (-53 * k), word):
            total, error = two_sum(high, _drop_turns(part))
            high, low = two_sum(total, error + low)
            high = _drop_turns(high)
    return high, low


def _drop_turns(x: Lanes) -> Lanes:
    return x - x.round()


def _window_start(exponent: Lanes) -> Lanes:
    """floor((e - 52) / 53), at least 0, for the biased exponent of e: 0 to 18, as u64."""
    above = where(exponent > 1023 + 52, exponent - (1023 + 52), 0)
    return (above * 1237) >> 16  # a division by 53 for numbers below 1000


def _window(first: Lanes) -> list[Lanes]:
    """Words first ... first + 4: the table is shifted by 16, 8, 4, 2, 1 where `first` has that bit."""
    like = first.bits_as(f64)
    rows = [like.constant(word) for word in words(F64_WORD_BITS, F64_WORDS)]
    for shift in (16, 8, 4, 2, 1):
        chosen = (first & shift).differs(0)
        moved = rows[shift:]
        keep = F64_WINDOW + shift - 1
        rows = [
            where(chosen, moved[k], row) if k < len(moved) else row
            for k, row in enumerate(rows[:keep])
        ]
    return rows
