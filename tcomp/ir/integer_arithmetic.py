"""Sums, products, quotients and remainders of integer polynomials, each in its normal form.

A compilation does the same arithmetic on the same nodes many times: the latest results are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import gcd

from tcomp.ir.integer import ZERO, Atom, FloorDiv, Int, IntLike, Iter, Mod, Monomial

_REMEMBERED = 1 << 13


def _atom_key(atom: Atom) -> tuple[str, str]:
    return (type(atom).__name__, atom.key)


@lru_cache(_REMEMBERED)
def _monomial_key(monomial: Monomial) -> tuple[tuple[str, str], ...]:
    return tuple(map(_atom_key, monomial))


def _term_key(term: tuple[Monomial, int]) -> tuple[tuple[str, str], ...]:
    return _monomial_key(term[0])


def normal(collected: Mapping[Monomial, int], constant: int) -> Int:
    kept = [(m, c) for m, c in collected.items() if c]
    if len(kept) > 1:
        kept.sort(key=_term_key)
    return Int(tuple(kept), constant)


@lru_cache(_REMEMBERED)
def added(left: Int, other: IntLike) -> Int:
    right = Int.of(other)
    if not right.terms:
        return Int(left.terms, left.constant + right.constant)
    if not left.terms:
        return Int(right.terms, left.constant + right.constant)
    collected = dict(left.terms)
    for monomial, factor in right.terms:
        collected[monomial] = collected.get(monomial, 0) + factor
    return normal(*rejoined(collected, left.constant + right.constant))


@lru_cache(_REMEMBERED)
def subtracted(left: Int, other: IntLike) -> Int:
    right = Int.of(other)
    if not right.terms:
        return Int(left.terms, left.constant - right.constant)
    return added(left, _scaled(right, -1))


@lru_cache(_REMEMBERED)
def multiplied(left: Int, other: IntLike) -> Int:
    right = Int.of(other)
    if not right.terms:
        return _scaled(left, right.constant)
    if not left.terms:
        return _scaled(right, left.constant)
    collected: dict[Monomial, int] = {}
    for m1, c1 in _with_constant(left):
        for m2, c2 in _with_constant(right):
            monomial = tuple(sorted((*m1, *m2), key=_atom_key))
            collected[monomial] = collected.get(monomial, 0) + c1 * c2
    constant = collected.pop((), 0)
    return normal(*rejoined(collected, constant))


def _with_constant(value: Int) -> tuple[tuple[Monomial, int], ...]:
    return (*value.terms, ((), value.constant)) if value.constant else value.terms


@lru_cache(_REMEMBERED)
def divided(left: Int, right: Int) -> Int:
    if not right.is_constant:
        if left is right:
            return Int.of(1)
        return Int.of(FloorDiv(left, right))
    divisor = right.constant
    if divisor == 0:
        raise ZeroDivisionError("division by zero in an integer expression")
    if not left.terms:
        return Int.of(left.constant // divisor)
    whole, rest = _split_multiples(left, divisor)
    low, high = rest.bounds()
    if low is not None and high is not None and low // divisor == high // divisor:
        return whole + low // divisor
    for known in (
        _multiple_of_quotient(rest, divisor),
        _of_two_values(rest, divisor, int.__floordiv__),
        _quotient_of_blocks(rest, divisor),
    ):
        if known is not None:
            return whole + known
    common = gcd(divisor, *(c for _, c in rest.terms))
    if common > 1 and divisor > 0:  # (4 i + 3) // 6 = (2 i + 1) // 3
        shorter = Int(tuple((m, c // common) for m, c in rest.terms), rest.constant // common)
        return whole + shorter // (divisor // common)
    return whole + Int.of(_nested_division(rest, divisor))


@lru_cache(_REMEMBERED)
def remainder(left: Int, right: Int) -> Int:
    if not right.is_constant:
        return Int.of(0) if left is right else Int.of(Mod(left, right))
    divisor = right.constant
    if divisor == 0:
        raise ZeroDivisionError("remainder by zero in an integer expression")
    if not left.terms:
        return Int.of(left.constant % divisor)
    _, rest = _split_multiples(left, divisor)
    low, high = rest.bounds()
    if low is not None and high is not None and low // divisor == high // divisor:
        return rest - divisor * (low // divisor)
    known = _of_two_values(rest, divisor, int.__mod__)
    return Int.of(Mod(rest, right)) if known is None else known


def _scaled(value: Int, factor: int) -> Int:
    if factor == 1:
        return value
    if factor == 0:
        return ZERO
    return Int(tuple((m, c * factor) for m, c in value.terms), value.constant * factor)


def rejoined(collected: dict[Monomial, int], constant: int) -> tuple[dict[Monomial, int], int]:
    """c (x // c) + x % c becomes x, so that a split index that is joined again disappears."""
    for monomial in [m for m in collected if len(m) == 1 and isinstance(m[0], Mod)]:
        mod = monomial[0]
        assert isinstance(mod, Mod)
        factor = collected.get(monomial, 0)
        if not factor or not mod.right.is_constant:
            continue
        quotient = mod.left // mod.right
        if len(quotient.terms) != 1 or quotient.constant or quotient.terms[0][1] != 1:
            continue
        partner = quotient.terms[0][0]
        if collected.get(partner, 0) != factor * mod.right.constant:
            continue
        rest = {m: c for m, c in collected.items() if m not in (monomial, partner)}
        for m, c in mod.left.terms:
            rest[m] = rest.get(m, 0) + factor * c
        return rejoined(rest, constant + factor * mod.left.constant)
    return collected, constant


def _split_multiples(value: Int, divisor: int) -> tuple[Int, Int]:
    """value = divisor * whole + rest, where no coefficient of rest is a multiple of divisor."""
    whole = [(m, c // divisor) for m, c in value.terms if c % divisor == 0]
    rest = [(m, c) for m, c in value.terms if c % divisor]
    return Int(tuple(whole), value.constant // divisor), Int(tuple(rest), value.constant % divisor)


def _of_two_values(value: Int, divisor: int, operation: Callable[[int, int], int]) -> Int | None:
    """A function of one iterator that has two values is affine: (p + 1) % 2 = 1 - p for p in 0:2."""
    if len(value.terms) != 1:
        return None
    (monomial, factor), constant = value.terms[0], value.constant
    if len(monomial) != 1 or not isinstance(monomial[0], Iter):
        return None
    it = monomial[0]
    low, high = it.bounds()
    if low is None or high != low + 1:
        return None
    first, second = (operation(factor * n + constant, divisor) for n in (low, high))
    return (Int.of(it) - low) * (second - first) + first


def _multiple_of_quotient(value: Int, divisor: int) -> Int | None:
    """(x - x % m + e) // d = m/d * (x // m) + e // d, where d divides m: what remainders leave."""
    for monomial, factor in value.terms:
        mod = monomial[0]
        if factor != -1 or len(monomial) != 1 or not isinstance(mod, Mod):
            continue
        if not mod.right.is_constant or mod.right.constant % divisor:
            continue
        rest = value + mod - mod.left
        if len(rest.terms) <= len(value.terms) - 1 - len(mod.left.terms):
            return (mod.left // mod.right) * (mod.right.constant // divisor) + rest // divisor
    return None


def _quotient_of_blocks(value: Int, divisor: int) -> Int | None:
    """(g x + r) // (g d) = x // d for r in 0:g, what a position in blocks of g leaves."""
    for _, factor in value.terms:
        if 1 < factor < divisor and divisor % factor == 0:
            blocks, rest = _split_multiples(value, factor)
            low, high = rest.bounds()
            if low is not None and low >= 0 and high is not None and high < factor:
                return blocks // (divisor // factor)
    return None


def _nested_division(value: Int, divisor: int) -> FloorDiv:
    """(x // a) // b = x // (a b) for positive constants."""
    if not value.constant and len(value.terms) == 1 and value.terms[0][1] == 1 and divisor > 0:
        monomial = value.terms[0][0]
        if len(monomial) == 1 and isinstance(monomial[0], FloorDiv):
            inner = monomial[0]
            if inner.right.is_constant and inner.right.constant > 0:
                return FloorDiv(inner.left, Int.of(inner.right.constant * divisor))
    return FloorDiv(value, Int.of(divisor))
