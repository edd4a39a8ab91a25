"""Affine maps of output iterators: skews, reversals, offsets, and two iterators merged into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Definition
from tcomp.passes.derivation.index.reindex import (
    fresh,
    positions,
    reindexed,
    spans,
)
from tcomp.passes.lift import has_product_sum
from tcomp.passes.scoping import iterator_names

Maps = Callable[[Definition, set[str]], Iterator[tuple[Definition, ...]]]

MAX_GROWTH = 16  # times the points that a map may make more than are read


def skew(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[h, r] = f(h + a*r, r)  =  U[t, r] = f(t, r); T[h, r] = U[h + a*r, r].

    For positions in which an output iterator h moves one by one, or backwards, with others: the map is
    unimodular. The new iterator's range is the bounding box of its values. The maps that leave the fewest
    iterators moving together are made one after the other, which is one unimodular map.
    """
    yield from composed(definition, taken, _skews)
    yield from composed(definition, taken, _skews_of_blocks)


def _skews(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    for position, moving in _of_output(definition):
        yield from _skews_along(definition, position, moving, taken)


def _skews_of_blocks(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    for position, moving in _of_output(definition):
        for part, its in _alike(position, moving):
            yield from _skews_along(definition, part, its, taken)


def _skews_along(
    definition: Definition, part: Int, moving: list[Iter], taken: set[str]
) -> Iterator[tuple[Definition, ...]]:
    for it in moving:
        if part.coefficient(it) in (1, -1):
            made = _skewed(definition, it, part, set(taken))
            if made is not None:
                yield made


def _alike(position: Int, moving: list[Iter]) -> Iterator[tuple[Int, list[Iter]]]:
    """Parts h + r of a position n*b + a*h + a*r: iterators that move it by equal steps, which is one step of each."""
    steps = {it: position.coefficient(it) or 0 for it in moving}
    for size in dict.fromkeys(map(abs, steps.values())):
        its = [it for it, step in steps.items() if abs(step) == size]
        if 1 < len(its) < len(moving):
            yield sum((Int.of(it) * (steps[it] // size) for it in its), Int.of(0)), its


def _skewed(
    definition: Definition, it: Iter, part: Int, taken: set[str]
) -> tuple[Definition, ...] | None:
    low, high = part.bounds()
    if low is None or high is None or high + 1 - low > MAX_GROWTH * spans(it):
        return None
    new = fresh(it.name, low, high + 1, taken)
    sign = part.coefficient(it)
    assert sign in (1, -1)
    old = (Int.of(new) - (part - Int.of(it) * sign)) * sign
    return reindexed(
        definition,
        tuple(new if other is it else other for other in definition.iters),
        {it: old},
        tuple(part if other is it else Int.of(other) for other in definition.iters),
        taken,
        onto=False,
    )


def merge(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[x, y] = f(a*x + b*y)  =  U[z] = f(z); T[x, y] = U[a*x + b*y], where |a| = 1 and |b| = |x|.

    The two iterators number what one iterator z runs through; nothing else may depend on them.
    """
    yield from composed(definition, taken, _merges)


def _merges(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    for position, moving in _of_output(definition):
        for x, y in permutations(moving, 2):
            part = _linear(position, [x, y])
            if part.coefficient(x) in (1, -1) and abs(part.coefficient(y) or 0) == spans(x):
                made = _merged(definition, x, y, part, set(taken))
                if made is not None:
                    yield made


def _merged(
    definition: Definition, x: Iter, y: Iter, part: Int, taken: set[str]
) -> tuple[Definition, ...] | None:
    low, high = part.bounds()
    if low is None or high is None or spans(y) < 2 or spans(x) < 2:
        return None
    z = fresh(x.name, low, high + 1, taken)
    remainder, quotient = (Int.of(z) - low) % spans(x), (Int.of(z) - low) // spans(x)
    forward = {
        x: x.lo + remainder if part.coefficient(x) == 1 else x.hi - 1 - remainder,
        y: y.lo + quotient if (part.coefficient(y) or 0) > 0 else y.hi - 1 - quotient,
    }
    kept = [other for other in definition.iters if other is not x]
    return reindexed(
        definition,
        tuple(z if other is y else other for other in kept),
        forward,
        tuple(part if other is y else Int.of(other) for other in kept),
        taken,
        onto=True,
    )


def composed(
    definition: Definition, taken: set[str], maps: Maps
) -> Iterator[tuple[Definition, ...]]:
    """Applies maps, each time those that disentangle iterators most, until none does; one result for
    each first map."""
    for first in _best(definition, maps(definition, taken)):
        inner, *outer = first
        while True:
            used = taken | names_of_definitions((inner, *outer))
            further = _best(inner, maps(inner, used))
            if not further:
                break
            inner, back = further[0]
            outer = [back, *outer]
        yield (inner, *outer)


def _best(
    definition: Definition, found: Iterator[tuple[Definition, ...]]
) -> list[tuple[Definition, ...]]:
    made = list(found)
    counts = [entangled(each[0]) for each in made]
    best = min(counts, default=0)
    if best >= entangled(definition):
        return []
    return [each for each, count in zip(made, counts, strict=True) if count == best]


def names_of_definitions(definitions: tuple[Definition, ...]) -> set[str]:
    """Names of tensors and iterators of definitions."""
    return {d.tensor.name for d in definitions}.union(*map(iterator_names, definitions))


def _of_output(definition: Definition) -> Iterator[tuple[Int, list[Iter]]]:
    """What several output iterators add together to a position in a factor of a product.

    Where summed ones slide along too, only the outer level of a window is looked at, such as h + 3*a of
    h + 3*a + r: else the sum is to be split first.
    """
    output = set(definition.iters)
    if not has_product_sum(definition.body):
        return
    for position in positions(definition.body):
        steps = {it: abs(step) for it in definition.iters if (step := position.coefficient(it))}
        others = position.leaves() - output
        finer = max((abs(position.coefficient(it) or 0) for it in others), default=0)
        if len(steps) < 2 or position.leaves() & output != set(steps):
            continue
        if not others or max(steps.values()) > finer > 0:
            yield _linear(position, list(steps)), list(steps)


def entangled(definition: Definition) -> int:
    """How many output iterators move together with another one, over all positions, divisions counted."""
    output = set(definition.iters)
    count = 0
    for position in positions(definition.body):
        count += max(0, len(position.leaves() & output) - 1)
        count += sum(
            not isinstance(a, Iter) and bool(a_leaves(a) & output) for a in position.atoms()
        )
    return count


def a_leaves(atom: object) -> frozenset[object]:
    """The leaves of one atom."""
    return Int.of(atom).leaves()  # type: ignore[arg-type]


def _linear(position: Int, moving: list[Iter]) -> Int:
    """The part of a position that is linear in some iterators; with its constant if there is no other."""
    result = Int.of(position.constant if position.leaves() <= set(moving) else 0)
    for it in moving:
        result = result + Int.of(it) * (position.coefficient(it) or 0)
    return result
