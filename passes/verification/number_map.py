"""Smaller integers for those of a dimension, so that what they say about each other stays true.

    224 -> 20, and so 226 = 224 + 2 -> 22, 448 = 2 * 224 -> 40, 50176 = 224 * 224 -> 400

In ascending order each number is explained by smaller ones (a position that just reaches the end of an
axis, a product, a sum, a small distance, so many elements with a stride); what
nothing explains becomes as small as its residues allow: it keeps its remainder by every small stride and
divisor that it meets, and stays larger than their common multiple, so that there are two tiles at least.
Numbers keep small distances and get none that they had not: what is wrong by a little stays wrong.
"""

from __future__ import annotations

import math

from tcomp.passes.verification.dimensions import Dimension, Reach

PERIOD = 48  # residues by strides and divisors are kept while their common multiple is at most this


def smaller_numbers(
    dimension: Dimension, keep: int, *, sums: bool, trusting: bool
) -> dict[int, int] | None:
    """What stands for the numbers above `keep`; None where two would become one.

    `sums` explains numbers by sums of two others. `trusting` lets products of numbers that are kept be
    kept, and extents with a stride follow those without.
    """
    small = {n for n in dimension.numbers if 2 <= n <= keep}
    factors = {1, 2, *small, *(a * b for a in small for b in small)}
    near = max(3, keep // 2)
    found: dict[int, int] = {}
    for number in (n for n in dimension.numbers if n > keep):
        value = _end(dimension.reached.get(number, []), found, keep)
        value = value or (number if trusting and number in factors else 0)
        value = value or _multiple(number, found, factors)
        value = value or (_sum(number, found) if sums else 0)
        value = value or _near(number, found, factors, near)
        value = value or (_strided(number, dimension, found, keep) if trusting else 0)
        if not value:
            period = _period(dimension.steps.get(number, set()), keep)
            value = max(keep, period) + 1
            value += (number - value) % period
            while any(abs(value - other) <= near for other in found.values()):
                value += period
            value = min(value, number)
        if value <= keep or value in found.values():
            return None
        found[number] = value
    return found


def _period(steps: set[int], keep: int) -> int:
    """The common multiple of the steps that stay what they are, as far as it is small."""
    common = 1
    for each in sorted(n for n in steps if n <= keep):
        if math.lcm(common, each) <= PERIOD:
            common = math.lcm(common, each)
    return common


def _end(reached: list[Reach], found: dict[int, int], keep: int) -> int:
    """The end of an axis by a position that comes just there; 0 where its numbers are not known."""

    def of(number: int) -> int | None:
        if abs(number) <= keep:
            return number
        value = found.get(abs(number))
        return value if value is None or number > 0 else -value

    for offset, terms in reached:
        numbers = [of(offset), *(of(n) for term in terms for n in term)]
        if None not in numbers:
            first, *rest = (n for n in numbers if n is not None)
            triples = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
            return first + 1 + sum(f * (hi - 1 if f > 0 else lo) for f, lo, hi in triples)
    return 0


def _strided(number: int, dimension: Dimension, found: dict[int, int], keep: int) -> int:
    """What stands for 3*(n - 1) + 1, the extent of n elements with a stride that the number meets; 0 if it is none."""
    for step in sorted(dimension.steps.get(number, set())):
        count, rest = divmod(number - 1, step)
        if not rest and step <= keep and count + 1 in dimension.extents:
            elements = found.get(count + 1, count + 1 if count < keep else 0)
            if elements:
                return step * (elements - 1) + 1
    return 0


def _multiple(number: int, found: dict[int, int], factors: set[int]) -> int:
    """What stands for a product of smaller numbers; 0 where the number is none."""
    for other, value in reversed(found.items()):
        factor, rest = divmod(number, other)
        if not rest and factor in found:
            return value * found[factor]
        if not rest and factor in factors:
            return value * factor
        if not rest and factor + 1 in found:  # all but one of a product
            return value * (found[factor + 1] - 1)
        if not rest and factor + 1 in factors:
            return value * factor
    for other, value in reversed(found.items()):
        factor, rest = divmod(number, other)
        inner = 0 if rest else _multiple(factor, found, factors)
        if inner:
            return value * inner
    return 0


def _sum(number: int, found: dict[int, int]) -> int:
    """The same for a sum of two, exact or but for 1 (the first and the last of two ranges that meet)."""
    for distance in (0, 1, -1):
        for other, value in found.items():
            if number - distance - other in found:
                return value + found[number - distance - other] + distance
    return 0


def _near(number: int, found: dict[int, int], factors: set[int], near: int) -> int:
    """The same for a number at a small distance from a multiple."""
    for other, value in reversed(found.items()):
        factor = (number + near) // other
        distance = number - factor * other
        if abs(distance) <= min(near, other // 6) and factor in factors:
            return factor * value + distance
    return 0
