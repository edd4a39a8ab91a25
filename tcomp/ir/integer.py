"""Exact integer algebra shared by sizes, tensor indices and loop addresses.

An `Int` is a polynomial with integer coefficients over *atoms*: size symbols, iterators, loop variables,
floor divisions, remainders, minima, and values read from tensors. It is kept in one normal form, so
equal polynomials are one object, and the same class serves a symbolic size in a signature, the index of
a guarded read, and the address of a vector load. Division and remainder are Python's (floor).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from tcomp.ir.integer_bounds import polynomial_bounds
from tcomp.ir.interning import Interned, reduce_interned

Interval: TypeAlias = tuple[int | None, int | None]  # inclusive; None is unbounded


@runtime_checkable
class Atom(Protocol):
    """What a polynomial is over. `key` orders atoms; `bounds` is the inclusive range where known."""

    @property
    def key(self) -> str: ...

    def bounds(self) -> Interval: ...


_SMALL: dict[int, Int] = {}

Monomial: TypeAlias = tuple[Atom, ...]
Substitution: TypeAlias = "Mapping[Any, Int]"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Int(metaclass=Interned):
    """An integer polynomial. Build it with `Int.of` and arithmetic, never from raw terms."""

    terms: tuple[tuple[Monomial, int], ...]
    constant: int
    _facts: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    __match_args__ = ("terms", "constant")
    __reduce__ = reduce_interned

    @staticmethod
    def of(value: IntLike) -> Int:
        """An integer, or an atom, as a polynomial."""
        if isinstance(value, Int):
            return value
        if isinstance(value, int):
            small = _SMALL.get(value)
            return Int((), int(value)) if small is None else small
        return Int((((value,), 1),), 0)

    # -- facts -------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """Text that is equal exactly for equal polynomials, stable across processes."""
        if "key" not in self._facts:
            parts = [
                (f"{c}*" if c != 1 else "") + "*".join(a.key for a in m) for m, c in self.terms
            ]
            if self.constant or not parts:
                parts.append(str(self.constant))
            self._facts["key"] = "+".join(parts)
        return self._facts["key"]  # type: ignore[no-any-return]

    @property
    def is_constant(self) -> bool:
        return not self.terms

    def __int__(self) -> int:
        """The value of a constant. Raises ValueError where atoms remain."""
        if self.terms:
            raise ValueError(f"{self} is not a constant")
        return self.constant

    __index__ = __int__

    def atoms(self) -> frozenset[Atom]:
        """The atoms of the polynomial itself, not those inside divisions."""
        if "atoms" not in self._facts:
            self._facts["atoms"] = frozenset([a for m, _ in self.terms for a in m])
        return self._facts["atoms"]  # type: ignore[no-any-return]

    def leaves(self) -> frozenset[Atom]:
        """All atoms, those inside divisions, remainders and minima included (values stay whole)."""
        if "leaves" not in self._facts:
            found: set[Atom] = set()
            for atom in self.atoms():
                if isinstance(atom, FloorDiv | Mod | Min):
                    found |= atom.left.leaves() | atom.right.leaves()
                else:
                    found.add(atom)
            self._facts["leaves"] = frozenset(found)
        return self._facts["leaves"]  # type: ignore[no-any-return]

    def _is_plain(self) -> bool:
        """Whether its atoms have no parts that could be replaced."""
        if "plain" not in self._facts:
            self._facts["plain"] = not any(
                bool(a.lo.terms or a.hi.terms)
                if isinstance(a, Iter)
                else isinstance(a, FloorDiv | Mod | Min | Value)
                for a in self.atoms()
            )
        return self._facts["plain"]  # type: ignore[no-any-return]

    def coefficient(self, atom: object) -> int | None:
        """The constant factor of `atom`; 0 where it is absent, None where the use is not linear.

        >>> i, j = Size("i"), Size("j")
        >>> (Int.of(i) * 4 + Int.of(j) // 2).coefficient(i), (Int.of(j) // 2).coefficient(j)
        (4, None)
        """
        factors: dict[object, int | None] = self._facts.get("factors") or self._factors()
        return factors.get(atom, 0)

    def _factors(self) -> dict[object, int | None]:
        """`coefficient` of all atoms for which it is not 0."""
        factors: dict[object, int | None] = {}
        unclear: set[object] = set()
        for monomial, factor in self.terms:
            if len(monomial) == 1:
                factors[monomial[0]] = factor
            else:
                unclear.update(monomial)
            for atom in monomial:
                unclear |= _inside(atom)
        factors.update(dict.fromkeys(unclear))
        self._facts["factors"] = factors
        return factors

    def bounds(self) -> Interval:
        """An inclusive interval that holds the value: exact for affine forms over independent ranges."""
        if "bounds" not in self._facts:
            self._facts["bounds"] = polynomial_bounds(self)
        return self._facts["bounds"]  # type: ignore[no-any-return]

    def sub(self, mapping: Substitution) -> Int:
        """Replaces atoms; values inside atoms are rewritten too."""
        if not mapping or not self.terms:
            return self
        if self._is_plain() and mapping.keys().isdisjoint(self.atoms()):
            return self
        collected: dict[Monomial, int] = {}
        constant = self.constant
        for monomial, factor in self.terms:
            replaced = _substitute(monomial[0], mapping)
            for atom in monomial[1:]:
                replaced = replaced * _substitute(atom, mapping)
            for m, c in replaced.terms:
                collected[m] = collected.get(m, 0) + c * factor
            constant += replaced.constant * factor
        return arithmetic.normal(*arithmetic.rejoined(collected, constant))

    # -- arithmetic --------------------------------------------------------------------------------

    def __add__(self, other: IntLike) -> Int:
        return arithmetic.added(self, other)  # type: ignore[arg-type]

    def __mul__(self, other: IntLike) -> Int:
        return arithmetic.multiplied(self, other)  # type: ignore[arg-type]

    def __floordiv__(self, other: IntLike) -> Int:
        """Floor division; multiples of a constant divisor move out: (4 i + r) // 4 = i + r // 4."""
        return arithmetic.divided(self, Int.of(other))

    def __mod__(self, other: IntLike) -> Int:
        return arithmetic.remainder(self, Int.of(other))

    def min(self, other: IntLike) -> Int:
        """The smaller of two; decided at once where the bounds decide it."""
        other = Int.of(other)
        low, high = (self - other).bounds()
        if high is not None and high <= 0:
            return self
        if low is not None and low >= 0:
            return other
        return Int.of(Min(*sorted((self, other), key=lambda e: e.key)))

    def max(self, other: IntLike) -> Int:
        return -((-self).min(-Int.of(other)))

    def __neg__(self) -> Int:
        return self * -1

    def __sub__(self, other: IntLike) -> Int:
        return arithmetic.subtracted(self, other)  # type: ignore[arg-type]

    def __radd__(self, other: IntLike) -> Int:
        return self + other

    def __rmul__(self, other: IntLike) -> Int:
        return self * other

    def __rsub__(self, other: IntLike) -> Int:
        return Int.of(other) - self

    def __rfloordiv__(self, other: IntLike) -> Int:
        return Int.of(other) // self

    def __rmod__(self, other: IntLike) -> Int:
        return Int.of(other) % self

    def __repr__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Size(metaclass=Interned):
    """A size symbol of a signature, bound to a non-negative integer before code is made."""

    name: str

    __reduce__ = reduce_interned

    @property
    def key(self) -> str:
        return self.name

    def bounds(self) -> Interval:
        return (0, None)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Iter(metaclass=Interned):
    """An iterator with its half-open range [lo, hi). Two iterators are the same if name and range are."""

    name: str
    lo: Int
    hi: Int

    __reduce__ = reduce_interned

    @property
    def key(self) -> str:
        return self.name

    @property
    def extent(self) -> Int:
        return self.hi - self.lo

    def bounds(self) -> Interval:
        return (self.lo.bounds()[0], (self.hi - 1).bounds()[1])


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class FloorDiv(metaclass=Interned):
    """Floor of left / right, as one atom."""

    left: Int
    right: Int

    __reduce__ = reduce_interned

    @property
    def key(self) -> str:
        return f"({self.left.key})//({self.right.key})"

    def bounds(self) -> Interval:
        low, high = self.left.bounds()
        if not self.right.is_constant:
            least = self.right.bounds()[0]
            positive = low is not None and low >= 0 and least is not None and least >= 0
            return (0, high) if positive else (None, None)
        by = self.right.constant
        if by < 0:
            low, high, by = None if high is None else -high, None if low is None else -low, -by
        return (None if low is None else low // by, None if high is None else high // by)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Mod(metaclass=Interned):
    """Remainder of floor division, as one atom; it has the divisor's sign."""

    left: Int
    right: Int

    __reduce__ = reduce_interned

    @property
    def key(self) -> str:
        return f"({self.left.key})%({self.right.key})"

    def bounds(self) -> Interval:
        if not self.right.is_constant:
            low, high = self.right.bounds()
            return (
                (0, None if high is None else high - 1)
                if low is not None and low >= 0
                else (None, None)
            )
        by = self.right.constant
        return (0, by - 1) if by > 0 else (by + 1, 0)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Min(metaclass=Interned):
    """The smaller of two, as one atom (loop bounds of partial tiles)."""

    left: Int
    right: Int

    __reduce__ = reduce_interned

    @property
    def key(self) -> str:
        return f"min({self.left.key},{self.right.key})"

    def bounds(self) -> Interval:
        (l1, h1), (l2, h2) = self.left.bounds(), self.right.bounds()
        low = None if l1 is None or l2 is None else min(l1, l2)
        highs = [h for h in (h1, h2) if h is not None]
        return (low, min(highs) if highs else None)


class ValueLike(Protocol):
    """An expression of either IR that an index may hold: `T[ids[s], d]` holds the read of ids."""

    @property
    def key(self) -> str: ...

    def sub(self, mapping: Substitution) -> ValueLike: ...


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Value(metaclass=Interned):
    """An integer-typed expression of a tensor or loop program, used inside an index."""

    expr: Any  # ValueLike

    __reduce__ = reduce_interned

    @property
    def key(self) -> str:
        return f"<{self.expr.key}>"

    def bounds(self) -> Interval:
        return (None, None)


IntLike: TypeAlias = "Int | int | Size | Iter | FloorDiv | Mod | Min | Value | Atom"

# Made once: most integers of a program are strides, extents and offsets like these.
_SMALL.update((n, Int((), n)) for n in range(-16, 257))

ZERO, ONE = Int.of(0), Int.of(1)


def product(factors: Iterable[IntLike]) -> Int:
    """The product of integers and polynomials; 1 where there are none."""
    result = ONE
    for each in factors:
        result = result * each
    return result


def row_major_strides(extents: Iterable[IntLike]) -> tuple[Int, ...]:
    """Element strides of a dense C-ordered array."""
    strides, step = [], ONE
    for extent in reversed(tuple(extents)):
        strides.append(step)
        step = step * extent
    return tuple(reversed(strides))


def _inside(atom: Atom) -> frozenset[Any]:
    """What an atom is made of, at any depth."""
    if isinstance(atom, FloorDiv | Mod | Min):
        leaves = atom.left.leaves() | atom.right.leaves()
        return leaves.union(*map(_inside, leaves))
    if isinstance(atom, Value):
        return frozenset(atom.expr.free_atoms())
    return frozenset()


_REBUILD: dict[type, Callable[[Int, Int], Int]] = {
    FloorDiv: Int.__floordiv__,
    Mod: Int.__mod__,
    Min: Int.min,
}


def _substitute(atom: Atom, mapping: Substitution) -> Int:
    if atom in mapping:
        return mapping[atom]
    if isinstance(atom, FloorDiv | Mod | Min):
        left, right = atom.left.sub(mapping), atom.right.sub(mapping)
        if left is atom.left and right is atom.right:
            return Int.of(atom)
        return _REBUILD[type(atom)](left, right)
    if isinstance(atom, Value):
        return Int.of(Value(atom.expr.sub(mapping)))
    if isinstance(atom, Iter):
        lo, hi = atom.lo.sub(mapping), atom.hi.sub(mapping)
        return Int.of(atom if lo is atom.lo and hi is atom.hi else Iter(atom.name, lo, hi))
    return Int.of(atom)


# Sums and quotients are made of nodes, and nodes are added and divided: neither file stands without the other.
from tcomp.ir import integer_arithmetic as arithmetic  # noqa: E402
