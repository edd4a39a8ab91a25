"""Bilinear algorithms for short filters: Toom (1963) and Cook (1966) by the transposition principle.

F(m, r) makes m outputs of a filter with r taps by m + r - 1 products instead of m r (Winograd, Arithmetic
Complexity of Computations, 1980; Lavin and Gray, CVPR 2016):

    sum[k](d[i + k] * w[k])  =  sum[a](result[i, a] * (sum[s](data[a, s] * d[s])) * (sum[k](taps[a, k] * w[k])))

Each algorithm is given by the points at which polynomials are evaluated; infinity is always the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True, slots=True)
class Bilinear:
    """The three matrices of F(outputs, taps), exact."""

    data: Matrix
    taps: Matrix
    result: Matrix

    @property
    def outputs(self) -> int:
        """Outputs that are made together."""
        return len(self.result)

    @property
    def products(self) -> int:
        """Products that they take: also the number of inputs that they depend on."""
        return len(self.data)


def toom_cook(outputs: int, taps: int, points: Sequence[Fraction | int]) -> Bilinear:
    """The algorithm with `outputs + taps - 2` different finite points."""
    at = tuple(map(Fraction, points))
    if len(set(at)) != outputs + taps - 2:
        raise ValueError(f"F({outputs}, {taps}) needs {outputs + taps - 2} points")
    data: list[tuple[Fraction, ...]] = []
    filters: list[tuple[Fraction, ...]] = []
    for n, point in enumerate(at):
        others = [p for k, p in enumerate(at) if k != n]
        scale = Fraction(1)
        for other in others:
            scale *= point - other
        sign = -1 if scale < 0 else 1
        data.append(tuple(sign * c for c in (*_with_roots(others), Fraction(0))))
        filters.append(tuple(point**k / abs(scale) for k in range(taps)))
    data.append(_with_roots(at))
    filters.append(tuple(Fraction(int(k == taps - 1)) for k in range(taps)))
    result = [
        (*(point**i for point in at), Fraction(int(i == outputs - 1))) for i in range(outputs)
    ]
    return Bilinear(tuple(data), tuple(filters), tuple(result))


def _with_roots(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Coefficients of the polynomial with these roots and leading coefficient 1, the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        for k, c in enumerate(coefficients):
            shifted[k] -= root * c
        coefficients = shifted
    return tuple(coefficients)
