"""Winograd's convolution as a lemma: filters of a few taps along one or two axes take fewer products.

    Y[o, y, x] = g(sum[c, r, s](f(y + r, x + s, c) * w(r, s, c, o)))     with f = P, made once, and m outputs a tile:

    V[a, b, c, t, u]     = sum[p, q](data[a, p] * data[b, q] * P[c, m*t + p, m*u + q])
    U[a, b, o, c]        = sum[r, s](taps[a, r] * taps[b, s] * w(r, s, c, o))
    M[a, b, o, t, u]     = sum[c](U[a, b, o, c] * V[a, b, c, t, u])
    Z[o, t, i, u, j]     = g(sum[a, b](result[i, a] * result[j, b] * M[a, b, o, t, u]))
    Y[o, y, x]           = Z[o, y // m, y % m, x // m, x % m]

The small sums are written out for each position of a, b, i and j (`passes.tables`). Nothing is asked of the
layout: the lemma sees only that one factor moves with y + r, and that the others do not know y.
Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product as pairs
from math import lcm, prod
from typing import TypeAlias

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    Read,
    Reduce,
    Statement,
    Tensor,
    substitute,
)
from tcomp.ir.tensor.tables import table
from tcomp.passes.constants import GROWTH
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.convolution import Convolution, Window, convolution
from tcomp.passes.derivation.estimate import extent
from tcomp.passes.derivation.rule import Application, at_definitions, replaced
from tcomp.passes.derivation.toom_cook import Bilinear, Matrix
from tcomp.passes.inline import guarded
from tcomp.passes.scoping import free_iters, fresh_name

MOST_AXES = 2
# Transformed filters are larger, and with few uses reading them takes as long as direct products (Zen 5, two
# threads, ms, direct and F(2, 3) with 16 tiles: 512 x 7 x 7 0.64 and 0.45, 256 x 7 x 7 0.120 and 0.082).
LEAST_TILES = 16
LEAST_CHANNELS = 4  # summed, and made of each place: with fewer, products are no matrix products


def winograd(algorithm: Bilinear, least_tiles: int = LEAST_TILES, pieces: int = 1) -> Application:
    """The lemma with one algorithm along every axis, at each convolution of at least so many tiles. With several
    `pieces` filters along one axis are cut into so many."""
    axes = MOST_AXES if pieces == 1 else 1

    def lemma(definition: Definition, taken: set[str]) -> Iterator[tuple[Statement, ...]]:
        found = convolution(definition, len(algorithm.taps[0]), axes, taken, pieces)
        if found is None or any(_short(w, algorithm) for w in found.windows):
            return
        if min(map(extent, (_summed(found), _filters(found)))) < LEAST_CHANNELS:
            return
        if _growth(found, algorithm) > GROWTH:
            return
        if _tiles(found, algorithm) >= least_tiles:
            yield tuple(_Lemma(found, algorithm, taken).definitions())

    return at_definitions(lemma)


def _summed(found: Convolution) -> tuple[Iter, ...]:
    """What is summed besides taps."""
    taps = {w.tap for w in found.windows}
    return tuple(it for it in found.total.iters if it not in taps)


def _filters(found: Convolution) -> tuple[Iter, ...]:
    """The output iterators that the image does not know."""
    known = free_iters(found.image)
    return tuple(it for it in found.definition.iters if it not in known)


def _tiles(found: Convolution, algorithm: Bilinear) -> float:
    """How often a transformed filter is used: tiles, of every image of a batch."""
    windows = {w.at for w in found.windows}
    known = free_iters(found.image) - free_iters(found.taps)
    rest = tuple(it for it in found.definition.iters if it in known and it not in windows)
    return extent(rest) * prod(-(-w.at.extent.constant // algorithm.outputs) for w in found.windows)


def _growth(found: Convolution, algorithm: Bilinear) -> float:
    """How many times as large the transformed filters are: what grows more is not made before calls."""
    return prod(algorithm.products * w.parts / w.taps for w in found.windows)


def _short(window: Window, algorithm: Bilinear) -> bool:
    """Whether an axis has less than one tile of outputs."""
    return bool(window.at.extent.constant < algorithm.outputs)


Points: TypeAlias = tuple[bool, ...]


class _Lemma:
    """The definitions that replace one convolution."""

    def __init__(self, found: Convolution, algorithm: Bilinear, taken: set[str]) -> None:
        self.found, self.algorithm, self.taken = found, algorithm, taken
        self.name = found.definition.tensor.name
        m = algorithm.outputs
        self.tiles = {
            w.at: self._iter(w.at.name, -(-w.at.extent.constant // m)) for w in found.windows
        }
        self.points = tuple(self._iter("ab"[n], algorithm.products) for n in range(len(self.tiles)))
        output = set(found.definition.iters)
        self.summed = _summed(found)
        in_taps, in_image = free_iters(found.taps) & output, free_iters(found.image) & output
        self.both = tuple(i for i in found.definition.iters if i in in_taps & in_image)
        self.filters = tuple(i for i in found.definition.iters if i in in_taps - in_image)
        self.places = tuple(
            self.tiles.get(i, i) for i in found.definition.iters if i in in_image - in_taps
        )
        self.across = found.definition.iters[-1] in in_image

    def definitions(self) -> list[Definition]:
        """All of them, in order."""
        image, pixel = self._image()
        data = self._transformed("data", self.algorithm.data, pixel, self._data_iters())
        taps = self._transformed("taps", self.algorithm.taps, self._tap, self._tap_iters())
        products = self._products(data, taps)
        return [taps, *image, data, *products.values(), *self._results(products)]

    # -- operands ------------------------------------------------------------------------------------

    def _image(self) -> tuple[list[Definition], Callable[[tuple[int, ...]], Expr]]:
        """What transforms read: the image as it lies, or a copy with its border and what is computed of it."""
        windows, m = self.found.windows, self.algorithm.outputs
        if isinstance(self.found.image, Read):
            spread = {w.at: Int.of(self.tiles[w.at]) * m + w.at.lo for w in windows}

            def as_it_lies(offsets: tuple[int, ...]) -> Expr:
                moved = {w.tap: w.tap.lo + k for w, k in zip(windows, offsets, strict=True)}
                return guarded(substitute(self.found.image, {**spread, **moved}))

            reads = [as_it_lies((k,) * len(windows)) for k in (0, self.algorithm.products - 1)]
            if all(isinstance(r, Read) and r.otherwise is None for r in reads):
                return [], as_it_lies
        return self._bordered()

    def _bordered(self) -> tuple[list[Definition], Callable[[tuple[int, ...]], Expr]]:
        """A copy of the image along the windows, each place once however many phases read it."""
        windows, m = self.found.windows, self.algorithm.outputs
        reach = self.algorithm.products - m
        whole = {
            w.at: self._iter(
                f"{w.at.name}_p", self.tiles[w.at].extent.constant * m + reach + w.spread
            )
            for w in windows
        }
        phases = {p for w in windows for p in w.phases}
        known = free_iters(self.found.image) - phases
        inner = tuple(i for i in self.summed if i in known)
        places = (
            *(i for i in self.found.definition.iters if i in known and i not in whole),
            *(whole[i] for i in self.found.definition.iters if i in whole),
        )
        iters = (*inner, *places) if self.across else (*places, *inner)
        moved: dict[Iter, Int] = {w.at: Int.of(whole[w.at]) + w.at.lo for w in windows}
        moved |= {w.tap: w.tap.lo for w in windows} | {p: p.lo for p in phases}
        copy = self._definition("image", iters, guarded(substitute(self.found.image, moved)))

        def pixel(offsets: tuple[int, ...]) -> Expr:
            at = {
                whole[w.at]: Int.of(self.tiles[w.at]) * m + k + w.phase
                for w, k in zip(windows, offsets, strict=True)
            }
            return Read(copy.tensor, tuple(at.get(i, Int.of(i)) for i in iters))

        return [copy], pixel

    def _tap(self, offsets: tuple[int, ...]) -> Expr:
        moved = {w.tap: w.tap.lo + k for w, k in zip(self.found.windows, offsets, strict=True)}
        return substitute(self.found.taps, moved)

    def _data_iters(self) -> tuple[Iter, ...]:
        known = free_iters(self.found.image)
        inner = tuple(i for i in self.summed if i in known)
        return (
            (*self.both, *inner, *self.places)
            if self.across
            else (*self.both, *self.places, *inner)
        )

    def _tap_iters(self) -> tuple[Iter, ...]:
        known = free_iters(self.found.taps)
        inner = tuple(i for i in self.summed if i in known)
        return (
            (*self.both, *self.filters, *inner)
            if self.across
            else (*self.both, *inner, *self.filters)
        )

    # -- steps ---------------------------------------------------------------------------------------

    def _transformed(
        self,
        stem: str,
        matrix: Matrix,
        value: Callable[[tuple[int, ...]], Expr],
        iters: tuple[Iter, ...],
    ) -> Definition:
        return self._definition(stem, (*self.points, *iters), nested(matrix, self.points, value))

    def _products(self, data: Definition, taps: Definition) -> dict[Points, Definition]:
        """The products, by the axes whose point is infinity, where parts without the last tap are left out."""
        apart = [(False, True) if w.uneven else (False,) for w in self.found.windows]
        return {last: self._product(data, taps, last) for last in pairs(*apart)}

    def _product(self, data: Definition, taps: Definition, last: Points) -> Definition:
        at: dict[Iter, Int] = {}
        points: list[Iter] = []
        summed = list(self.summed)
        for point, window, infinity in zip(self.points, self.found.windows, last, strict=True):
            if window.part is not None and infinity:
                at[point] = point.hi - 1
                part = Iter(window.part.name, Int.of(0), Int.of(window.complete))
                at[window.part] = Int.of(part)
                summed[summed.index(window.part)] = part
            elif window.uneven:
                points.append(Iter(point.name, point.lo, point.hi - 1))
                at[point] = Int.of(points[-1])
            else:
                points.append(point)
        outer = (*self.filters, *self.places) if self.across else (*self.places, *self.filters)
        factors: list[Expr] = [
            Read(d.tensor, tuple(at.get(i, Int.of(i)) for i in d.iters)) for d in (taps, data)
        ]
        body = multiply(factors if self.across else factors[::-1])
        body = Reduce("sum", tuple(summed), body)
        return self._definition("products", (*points, *self.both, *outer), body)

    def _results(self, products: dict[Points, Definition]) -> list[Definition]:
        """The tiles of results, and the results as they are asked for."""
        found, m = self.found, self.algorithm.outputs
        old = found.definition
        inside = {w.at: self._iter(f"{w.at.name}_i", m) for w in found.windows}

        def product(offsets: tuple[int, ...]) -> Expr:
            last = tuple(
                w.uneven and k + 1 == self.algorithm.products
                for w, k in zip(found.windows, offsets, strict=True)
            )
            made = products[last]
            at = [Int.of(k) for k, infinity in zip(offsets, last, strict=True) if not infinity]
            return Read(made.tensor, (*at, *map(Int.of, made.iters[len(at) :])))

        total = nested(self.algorithm.result, tuple(inside.values()), product)
        place = {
            w.at: Int.of(self.tiles[w.at]) * m + Int.of(inside[w.at]) + w.at.lo
            for w in found.windows
        }
        body = replaced(substitute(old.body, place), substitute(found.total, place), total)
        iters: list[Iter] = []
        for it in old.iters:
            iters += [self.tiles[it], inside[it]] if it in inside else [it]
        tiles = self._definition("tiles", tuple(iters), guarded(body))
        if all(w.at.extent.constant % m == 0 for w in found.windows):
            return [tiles, Definition(old.tensor, old.iters, self._untiled(tiles, old.iters))]
        wide = tuple(
            Iter(it.name, it.lo, it.lo + self.tiles[it].extent * m) if it in self.tiles else it
            for it in old.iters
        )
        padded = self._definition("padded", wide, self._untiled(tiles, wide))
        cut = Read(padded.tensor, tuple(map(Int.of, old.iters)))
        return [tiles, padded, Definition(old.tensor, old.iters, cut)]

    def _untiled(self, tiles: Definition, iters: tuple[Iter, ...]) -> Expr:
        """The element of the tiles at a position of the results."""
        index: list[Int] = []
        for old, it in zip(self.found.definition.iters, iters, strict=True):
            if old in self.tiles:
                offset = Int.of(it) - it.lo
                index += [offset // self.algorithm.outputs, offset % self.algorithm.outputs]
            else:
                index.append(Int.of(it))
        return Read(tiles.tensor, tuple(index))

    # -- names ---------------------------------------------------------------------------------------

    def _iter(self, stem: str, extent: int) -> Iter:
        return Iter(fresh_name(stem, self.taken), Int.of(0), Int.of(extent))

    def _definition(self, stem: str, iters: tuple[Iter, ...], body: Expr) -> Definition:
        name = fresh_name(f"{self.name}_{stem}", self.taken)
        axes = tuple((it.lo, it.hi) for it in iters)
        return Definition(Tensor(name, body.dtype, axes), iters, body)


def nested(matrix: Matrix, rows: Sequence[Iter], value: Callable[[tuple[int, ...]], Expr]) -> Expr:
    """The matrix applied along every axis of `value`: a table over the rows, the last axis outermost."""

    def along(axes: Sequence[Iter], offsets: tuple[int, ...]) -> Expr:
        if not axes:
            return value(offsets)
        *rest, last = axes
        columns = [along(rest, (k, *offsets)) for k in range(len(matrix[0]))]
        return table(last, tuple(combination(row, columns) for row in matrix))

    return along(rows, ())


def combination(row: Sequence[Fraction], terms: Sequence[Expr]) -> Expr:
    """A linear combination. Even and odd terms are summed apart, because rows for opposite points have
    these in common up to a sign; a denominator that no float holds divides at the end."""
    odd, even_part, odd_part = _parts(tuple(row))
    halves = [_sum(part, terms) for part in (even_part, odd_part) if part]
    value, sign = halves[0]
    if len(halves) == 2:
        other, turned = halves[1]
        if sign == turned:
            value = Apply("add", (value, other), value.dtype)
        elif sign > 0:
            value = Apply("sub", (value, other), value.dtype)
        else:
            value, sign = Apply("sub", (other, value), value.dtype), 1
    if sign < 0:
        value = Apply("neg", (value,), value.dtype)
    return value if odd == 1 else Apply("div", (value, Const(float(odd), value.dtype)), value.dtype)


Part: TypeAlias = tuple[tuple[int, float], ...]  # the number of a term and its factor


@lru_cache(1 << 8)
def _parts(row: tuple[Fraction, ...]) -> tuple[int, Part, Part]:
    """The denominator that no float holds, and what is summed of even and of odd terms."""
    odd = lcm(*(c.denominator for c in row))
    while odd % 2 == 0:
        odd //= 2
    halves = [[(n, float(c * odd)) for n, c in enumerate(row) if c and n % 2 == k] for k in (0, 1)]
    return odd, tuple(halves[0]), tuple(halves[1])


def _sum(part: Part, terms: Sequence[Expr]) -> tuple[Expr, int]:
    """The sum up to a sign, in which the last term has a positive factor."""
    last, factor = part[-1]
    sign = 1 if factor > 0 else -1
    value = _scaled(factor, terms[last])
    for number, factor in reversed(part[:-1]):
        op = "add" if factor * sign > 0 else "sub"
        value = Apply(op, (value, _scaled(factor, terms[number])), value.dtype)
    return value, sign


def _scaled(factor: float, term: Expr) -> Expr:
    """The term times the size of a factor."""
    if abs(factor) == 1:
        return term
    return Apply("mul", (Const(abs(factor), term.dtype), term), term.dtype)
