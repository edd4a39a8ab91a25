"""Which positions the reads of a bound program reach, and the proof that they are inside.

The range of an index is exact where its terms fall into parts over different iterators that are each
affine, a monotone quotient, or small enough to enumerate; else an interval that holds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tcomp.diagnostics import CompileError, Span
from tcomp.ir.integer import Atom, FloorDiv, Int, Iter, Monomial, Value
from tcomp.ir.tensor.index_arrays import evaluate
from tcomp.ir.tensor.nodes import Definition, Expr, Read, Reduce

_ENUMERABLE = 1 << 24  # points: about a second
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Reach:
    """Inclusive bounds of an index; `exact` where both ends are attained. None is unbounded."""

    low: int | None
    high: int | None
    exact: bool

    def inside(self, lo: int, hi: int) -> bool:
        """True if all positions are in the half-open range lo:hi."""
        return self.low is not None and self.high is not None and lo <= self.low and self.high < hi


def check_reads(definition: Definition, spans: Mapping[Expr, Span]) -> None:
    """Raises CompileError (TC060) if an unguarded read can be outside its tensor.

    Axes whose index holds a value of a tensor are left to the check at run time. Nothing is read by a
    definition or a reduction over an empty range.
    """
    if not all(map(int, definition.tensor.shape)):
        return
    for read in live_reads(definition.body):
        if read.otherwise is not None:
            continue
        for axis, index in enumerate(read.index):
            if not any(isinstance(a, Value) for a in index.leaves()):
                _check_axis(read, axis, index, spans.get(read))


def live_reads(body: Expr) -> Iterator[Read]:
    """Every read that happens: those under reductions over empty ranges do not."""
    stack, seen = [body], {body}
    while stack:
        node = stack.pop()
        if isinstance(node, Read):
            yield node
        if isinstance(node, Reduce) and not all(int(i.extent) for i in node.iters):
            continue
        fresh = [c for c in node.children() if c not in seen]
        seen.update(fresh)
        stack.extend(fresh)


def reach(index: Int, lo: int, hi: int) -> Reach:
    """The range of a bound index; work is spent on exactness only if the interval leaves lo:hi."""
    quick = Reach(*index.bounds(), exact=_is_affine(index))
    if quick.exact or quick.inside(lo, hi):
        return quick
    low, high, exact = index.constant, index.constant, True
    for part in _independent_parts(index):
        found = _part_reach(part)
        if found.low is None or found.high is None:
            return Reach(found.low, found.high, False)
        low, high, exact = low + found.low, high + found.high, exact and found.exact
    return Reach(low, high, exact)


def _check_axis(read: Read, axis: int, index: Int, span: Span | None) -> None:
    lo, hi = (int(end) for end in read.tensor.axes[axis])
    found = reach(index, lo, hi)
    if found.inside(lo, hi):
        return
    name, text = read.tensor.name, f"the index {index} of axis {axis}"
    if found.exact:
        message = (
            f"a read of '{name}' leaves the tensor: {text} reaches {found.low} to {found.high}"
        )
    else:
        message = f"a read of '{name}' cannot be shown to stay inside: {text} is not provable"
    raise CompileError(
        f"{message}, the positions are {lo}:{hi}",
        code="TC060",
        span=span,
        hint=f"give the value outside, as in '{name}[...] else 0', or narrow the range of an iterator",
    )


def _is_affine(index: Int) -> bool:
    return all(len(m) == 1 and isinstance(m[0], Iter) for m, _ in index.terms)


def _independent_parts(index: Int) -> list[Int]:
    """Sums of terms that share iterators, each without the constant."""
    parts: list[tuple[set[Atom], list[tuple[Monomial, int]]]] = []
    for monomial, factor in index.terms:
        leaves = {leaf for atom in monomial for leaf in Int.of(atom).leaves()}
        terms = [(monomial, factor)]
        for other in [p for p in parts if p[0] & leaves]:
            leaves |= other[0]
            terms += other[1]
            parts.remove(other)
        parts.append((leaves, terms))
    return [sum((_term(t) for t in terms), Int.of(0)) for _, terms in parts]


def _term(term: tuple[Monomial, int]) -> Int:
    made = Int.of(term[1])
    for atom in term[0]:
        made = made * atom
    return made


def _part_reach(part: Int) -> Reach:
    if _is_affine(part) or _is_monotone_quotient(part):
        return Reach(*part.bounds(), exact=True)
    iters = sorted((a for a in part.leaves() if isinstance(a, Iter)), key=lambda i: i.name)
    points = math.prod(int(i.extent) for i in iters)
    if len(iters) < len(part.leaves()) or points > _ENUMERABLE:
        return Reach(*part.bounds(), exact=False)
    return _enumerate(part, iters)


def _is_monotone_quotient(part: Int) -> bool:
    if len(part.terms) != 1 or len(part.terms[0][0]) != 1:
        return False
    atom = part.terms[0][0][0]
    return isinstance(atom, FloorDiv) and _is_affine(atom.left) and atom.right.is_constant


def _enumerate(part: Int, iters: list[Iter]) -> Reach:
    lows: list[int] = []
    highs: list[int] = []
    first, rest = iters[0], iters[1:]
    per_step = math.prod(int(i.extent) for i in rest)
    step = max(1, _AT_ONCE // max(1, per_step))
    grid: dict[Atom, Any] = {i: _arange(i, n + 1, len(iters)) for n, i in enumerate(rest)}
    for begin in range(int(first.lo), int(first.hi), step):
        end = min(begin + step, int(first.hi))
        grid[first] = np.arange(begin, end).reshape([-1] + [1] * len(rest))
        values = np.asarray(evaluate(part, grid.__getitem__))
        lows.append(int(values.min()))
        highs.append(int(values.max()))
    return Reach(min(lows), max(highs), exact=True)


def _arange(it: Iter, axis: int, rank: int) -> Any:
    shape = [1] * rank
    shape[axis] = -1
    return np.arange(int(it.lo), int(it.hi)).reshape(shape)
