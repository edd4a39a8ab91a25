"""Sums of products as convolutions: what moves with a result, times what does not.

    Y[o, y, ...] = g(sum[c, p, q](f(a*(y + z + q) + p, c) * w(a*q + p, z, c, o)))

Taps q slide. With a stride a they come in classes p, of which each is a convolution of its own, of every a-th input;
long filters come in pieces (f moves with y + n*p + q). Both are summed like channels. Phases z move the window as y
does (parity splits of transposed convolutions), and where taps go backwards they are numbered from the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product as pairs

from tcomp.ir.dtypes import boolean, i64
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Reduce,
    postorder,
    substitute,
)
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.rule import replaced
from tcomp.passes.inline import guarded, zero
from tcomp.passes.lift import is_product_sum
from tcomp.passes.scoping import free_iters, fresh_name

STRIDES = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Window:
    """An axis of a convolution: the image moves with `at + tap`, and with each of the `phases` as with `at`.

    Of the classes or pieces `part` only the first `complete` ones have the last tap: to others it is 0.
    """

    at: Iter
    tap: Iter
    phases: tuple[Iter, ...]
    part: Iter | None = None
    complete: int = 1

    @property
    def phase(self) -> Int:
        """How far the phases move the window."""
        return sum((Int.of(p) - p.lo for p in self.phases), Int.of(0))

    @property
    def spread(self) -> int:
        """The farthest that the phases move it."""
        return sum(p.extent.constant - 1 for p in self.phases)

    @property
    def parts(self) -> int:
        """How many parts the taps are in."""
        return 1 if self.part is None else self.part.extent.constant

    @property
    def uneven(self) -> bool:
        """Whether some parts lack a tap."""
        return self.complete < self.parts

    @property
    def taps(self) -> int:
        """The taps of all parts."""
        return self.parts * self.tap.extent.constant - (self.parts - self.complete)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A sum over taps of `image`, which moves with each window, times `taps`, which does not."""

    definition: Definition
    total: Reduce
    windows: tuple[Window, ...]
    image: Expr
    taps: Expr


@dataclass(frozen=True, slots=True)
class _Cut:
    """Taps in parts: tap number `inner * q + outer * p`."""

    parts: int
    inner: int
    outer: int


@dataclass(frozen=True, slots=True)
class _Sliding:
    """A window before its taps are divided; `way` is -1 where they go backwards."""

    at: Iter
    tap: Iter
    cut: _Cut
    way: int
    phases: tuple[Iter, ...]


@dataclass(frozen=True, slots=True)
class _Factors:
    """The only sum of a definition, with its factors by whether they move with windows."""

    total: Reduce
    windows: tuple[_Sliding, ...]
    image: Expr
    taps: Expr


def convolution(
    definition: Definition, count: int, most_axes: int, taken: set[str], pieces: int = 1
) -> Convolution | None:
    """The definition as a convolution along a few axes with so many taps in each class of a stride, or in each of
    several `pieces`; None where it is none."""
    found = _factors(definition, count, most_axes, pieces)
    if found is None:
        return None
    windows, values, conditions = [], dict[Iter, Int](), []
    for each in found.windows:
        window, number = _divided(each, count, taken)
        windows.append(window)
        if window.tap is not each.tap:
            values[each.tap] = each.tap.lo + number if each.way > 0 else each.tap.hi - 1 - number
        if window.uneven:
            taps = Const(each.tap.extent.constant, i64)
            conditions.append(Apply("lt", (IndexValue(number, i64), taps), boolean))
    if not values:
        return Convolution(definition, found.total, tuple(windows), found.image, found.taps)
    image, weights = (guarded(substitute(f, values)) for f in (found.image, found.taps))
    for condition in conditions:
        weights = Apply("where", (condition, weights, zero(weights)), weights.dtype)
    own = [i for w in windows for i in (w.part, w.tap) if i is not None]
    iters = (*own, *(i for i in found.total.iters if i not in values and i not in own))
    total = Reduce(found.total.op, iters, multiply([image, weights]))
    body = replaced(definition.body, found.total, total)
    new = Definition(definition.tensor, definition.iters, body)
    return Convolution(new, total, tuple(windows), image, weights)


def _divided(found: _Sliding, count: int, taken: set[str]) -> tuple[Window, Int]:
    """The window with its taps in parts and forwards, and the number of a tap by these."""
    cut, taps = found.cut, found.tap.extent.constant
    if cut.parts == found.way == 1:
        return Window(found.at, found.tap, found.phases), Int.of(found.tap) - found.tap.lo
    tap = Iter(fresh_name(found.tap.name, taken), Int.of(0), Int.of(count))
    if cut.parts == 1:
        return Window(found.at, tap, found.phases), Int.of(tap)
    part = Iter(fresh_name(f"{found.tap.name}_part", taken), Int.of(0), Int.of(cut.parts))
    complete = sum(cut.inner * (count - 1) + cut.outer * p < taps for p in range(cut.parts))
    window = Window(found.at, tap, found.phases, part, complete)
    return window, Int.of(tap) * cut.inner + Int.of(part) * cut.outer


@lru_cache(1 << 10)
def _factors(definition: Definition, count: int, most_axes: int, pieces: int) -> _Factors | None:
    sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
    if len(sums) != 1 or not is_product_sum(sums[0]) or not sums[0].dtype.is_float:
        return None
    total = sums[0]
    factors = factors_of(total.body)
    if any(f.dtype is not total.dtype for f in factors):
        return None
    around = (*definition.iters, *total.iters)
    found: list[_Sliding] = []
    for at, tap in pairs(definition.iters, total.iters):
        if not any(at is w.at or tap is w.tap for w in found):
            found += _sliding(factors, at, tap, _cuts(tap.extent.constant, count, pieces), around)
    chosen = tuple(found[-most_axes:])
    if not chosen:
        return None
    moved = frozenset(w.at for w in chosen)
    image = [f for f in factors if free_iters(f) & moved]
    taps = [f for f in factors if not free_iters(f) & moved]
    known = free_iters(multiply(taps)) if taps else frozenset()
    if not all(w.tap in known for w in chosen):
        return None
    return _Factors(total, chosen, multiply(image), multiply(taps))


def _cuts(taps: int, count: int, pieces: int) -> list[_Cut]:
    """The ways to divide so many taps into parts of `count`, each of which lacks one at most."""
    if pieces > 1:
        return [_Cut(pieces, 1, count)] if 0 <= pieces * count - taps <= 1 else []
    return [_Cut(a, a, 1) for a in STRIDES if -(-taps // a) == count]


def _sliding(
    factors: Sequence[Expr], at: Iter, tap: Iter, cuts: Sequence[_Cut], around: Sequence[Iter]
) -> list[_Sliding]:
    """The first way in which a tap slides against a result, if any."""
    for cut, way in pairs(cuts, (1, -1)):
        if _moves_together(factors, at, tap, way * cut.inner):
            others = (it for it in around if it is not at and it is not tap)
            phases = tuple(it for it in others if _moves_together(factors, at, it, 1))
            return [_Sliding(at, tap, cut, way, phases)]
    return []


def _moves_together(factors: Sequence[Expr], at: Iter, other: Iter, step: int) -> bool:
    """Whether all factors that know `at` know it as `step * at + other` only."""
    image = [f for f in factors if at in free_iters(f)]
    move: dict[Iter, Int] = {at: Int.of(at) + 1, other: Int.of(other) - step}
    return bool(image) and all(other in free_iters(f) and substitute(f, move) is f for f in image)
