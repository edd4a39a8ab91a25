"""Softmax as programs say it: a maximum, exponentials of what is below it, and sums that read those.

m[x] = max[t](L[x, t]); E[x, t] = exp(L[x, t] - m[x]); S[x, y] = sum[t](E[x, t] * g(t, y))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.scoping import free_iters
from tcomp.passes.semiring import SUM_PRODUCT


@dataclass(frozen=True, slots=True)
class Softmax:
    """The parts of a softmax: its maximum, its exponentials, and the sums that read them."""

    maximum: Definition
    exponential: Definition
    position: Iter  # of the exponential
    sums: tuple[tuple[Definition, Reduce, Read], ...]

    @property
    def rest(self) -> tuple[Iter, ...]:
        """The iterators of the rows."""
        return tuple(it for it in self.exponential.iters if it is not self.position)

    @property
    def values(self) -> Expr:
        """What the softmax is of."""
        body = self.exponential.body
        assert isinstance(body, Apply) and isinstance(body.args[0], Apply)
        return body.args[0].args[0]


def softmaxes(program: Program) -> Iterator[Softmax]:
    """Every softmax of a program."""
    definitions = [s for s in program.body if isinstance(s, Definition)]
    for maximum in definitions:
        body = maximum.body
        if not (isinstance(body, Reduce) and body.op == "max" and len(body.iters) == 1):
            continue
        for exponential in definitions:
            found = _softmax(program, definitions, maximum, exponential)
            if found is not None:
                yield found


def _softmax(
    program: Program, definitions: list[Definition], maximum: Definition, exponential: Definition
) -> Softmax | None:
    body = exponential.body
    if exponential.tensor in program.results or not isinstance(body, Apply) or body.op != "exp":
        return None
    difference = body.args[0]
    if not isinstance(difference, Apply) or difference.op != "sub":
        return None
    values, subtracted = difference.args
    if not isinstance(subtracted, Read) or subtracted.tensor is not maximum.tensor:
        return None
    across = [it for it in exponential.iters if it not in free_iters(subtracted)]
    position = max(across, key=lambda it: int(it.extent), default=None)
    rest = tuple(it for it in exponential.iters if it is not position)
    if position is None or not _at(subtracted, rest):
        return None
    assert isinstance(maximum.body, Reduce)
    (inner,) = maximum.body.iters
    renamed = {a: Int.of(b) for a, b in zip(maximum.iters, rest, strict=True)}
    renamed[inner] = Int.of(position)
    same_range = (inner.lo, inner.hi) == (position.lo, position.hi)
    if not same_range or substitute(maximum.body.body, renamed) is not values:
        return None
    sums = _sums(program, definitions, exponential, position)
    return Softmax(maximum, exponential, position, sums) if sums else None


def _at(read: Read, iters: tuple[Iter, ...]) -> bool:
    """Whether a read is at the point of some iterators."""
    return len(read.index) == len(iters) and all(
        index is Int.of(it) or (it.extent == Int.of(1) and index is it.lo)
        for index, it in zip(read.index, iters, strict=True)
    )


def _sums(
    program: Program, definitions: list[Definition], exponential: Definition, position: Iter
) -> tuple[tuple[Definition, Reduce, Read], ...] | None:
    """Every reading of the exponentials, if all are sums over the position; else None."""
    found: list[tuple[Definition, Reduce, Read]] = []
    later: set[Tensor] = set()  # what depends on the exponentials
    for definition in program.definitions():
        reads = [n for n in postorder(definition.body) if isinstance(n, Read)]
        own = [r for r in reads if r.tensor is exponential.tensor]
        if own and definition not in definitions:
            return None
        if own:
            sums = [n for n in postorder(definition.body) if _sums_over(n, exponential, position)]
            inside = {f for n in sums for f in SUM_PRODUCT.factors(_reduce(n).body)}
            if len(sums) != len(own) or not inside.issuperset(own):
                return None
            if any(isinstance(f, Read) and f.tensor in later for n in sums for f in postorder(n)):
                return None
            found += [
                (
                    definition,
                    _reduce(n),
                    next(f for f in SUM_PRODUCT.factors(_reduce(n).body) if f in own),
                )
                for n in sums
            ]
        if own or any(r.tensor in later for r in reads):
            later.add(definition.tensor)
    return tuple(found)


def _sums_over(node: Expr, exponential: Definition, position: Iter) -> bool:
    if not isinstance(node, Reduce) or node.op != "sum" or len(node.iters) != 1:
        return False
    (it,) = node.iters
    axis = exponential.iters.index(position)
    return (it.lo, it.hi) == (position.lo, position.hi) and any(
        isinstance(f, Read)
        and f.tensor is exponential.tensor
        and f.index[axis] is Int.of(it)
        and it not in {a for n, i in enumerate(f.index) if n != axis for a in i.leaves()}
        for f in SUM_PRODUCT.factors(node.body)
    )


def _reduce(node: Expr) -> Reduce:
    assert isinstance(node, Reduce)
    return node
