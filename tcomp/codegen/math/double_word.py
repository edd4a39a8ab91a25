"""Numbers as unevaluated sums of two floats: error-free transformations and what is built on them.

Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18 (1971);
Joldes, Muller & Popescu, "Tight and rigorous error bounds for basic building blocks of double-word
arithmetic", ACM TOMS 44 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.codegen.math.lanes import Lanes, Operand


def two_sum(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """a + b = sum + error exactly, for any a and b (Knuth)."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def fast_two_sum(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """a + b = sum + error exactly, where |a| >= |b| or a = 0."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Lanes, b: Operand) -> tuple[Lanes, Lanes]:
    """a * b = product + error exactly, but for underflow."""
    product = a * b
    return product, a.exact_fma(b, -product)


@dataclass(frozen=True, slots=True)
class DoubleWord:
    """high + low, |low| at most half a unit in the last place of high."""

    high: Lanes
    low: Lanes

    def __add__(self, other: DoubleWord) -> DoubleWord:
        """Accurate where the signs agree or |self| >= |other|."""
        total, error = two_sum(self.high, other.high)
        return DoubleWord(*fast_two_sum(total, error + (self.low + other.low)))

    def __mul__(self, other: DoubleWord) -> DoubleWord:
        product, error = two_product(self.high, other.high)
        cross = self.high.fma(other.low, self.low.fma(other.high, error))
        return DoubleWord(*fast_two_sum(product, cross))

    def __truediv__(self, other: DoubleWord) -> DoubleWord:
        quotient = self.high / other.high
        rest = (-quotient).exact_fma(other.high, self.high)
        correction = (rest + (-quotient).fma(other.low, self.low)) / other.high
        return DoubleWord(*fast_two_sum(quotient, correction))

    def times(self, factor: Lanes) -> DoubleWord:
        product, error = two_product(self.high, factor)
        return DoubleWord(*fast_two_sum(product, self.low.fma(factor, error)))
