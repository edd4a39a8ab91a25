"""Intervals that hold the values of integer polynomials."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcomp.ir.integer import Int, Interval, Monomial


def polynomial_bounds(value: Int) -> Interval:
    low: int | None = value.constant
    high: int | None = value.constant
    for monomial, factor in value.terms:
        m_low, m_high = _monomial_bounds(monomial)
        t_low = (
            None
            if (m_low if factor > 0 else m_high) is None
            else factor * _known(m_low, m_high, factor > 0)
        )
        t_high = (
            None
            if (m_high if factor > 0 else m_low) is None
            else factor * _known(m_low, m_high, factor < 0)
        )
        low = None if low is None or t_low is None else low + t_low
        high = None if high is None or t_high is None else high + t_high
    return (low, high)


def _known(low: int | None, high: int | None, take_low: bool) -> int:
    chosen = low if take_low else high
    assert chosen is not None
    return chosen


def _monomial_bounds(monomial: Monomial) -> Interval:
    low, high = monomial[0].bounds()
    for atom in monomial[1:]:
        a_low, a_high = atom.bounds()
        if None not in (low, high, a_low, a_high):
            corners = [x * y for x in (low, high) for y in (a_low, a_high)]  # type: ignore[operator]
            low, high = min(corners), max(corners)
        elif low is not None and a_low is not None and low >= 0 and a_low >= 0:
            low, high = low * a_low, None
        else:
            low, high = None, None
    return (low, high)
