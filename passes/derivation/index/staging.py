"""Summation splitting: some iterators of a sum stay outside, the others make an intermediate tensor."""

from __future__ import annotations

from collections.abc import Iterator

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Definition, Read, Reduce, Tensor
from tcomp.passes.derivation.index.reindex import depends_on_data, indices, summed
from tcomp.passes.derivation.rule import replaced
from tcomp.passes.lift import postorder_outside_reductions
from tcomp.passes.scoping import free_iters, fresh_name

MAX_SPLIT = 6  # iterators of a sum that is split


def split_summation(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[x] = e(sum[j, k](f))  =  S[j, x] = sum[k](f); T[x] = e(sum[j](S[j, x])).

    Tried for iterators j that f slides over (a position moves with j and an output iterator together):
    only there does the intermediate tensor repeat less work than it stores. Either all of them move out, or
    the outer level of a window in two levels, such as r in a position h + 3*r + s.
    """
    for node in postorder_outside_reductions(definition.body):
        if not isinstance(node, Reduce) or not summed(node) or len(node.iters) > MAX_SPLIT:
            continue
        sliding = [it for it in node.iters if slides(node, it)]
        for outside in dict.fromkeys((tuple(sliding), tuple(_outer_level(node, sliding)))):
            if outside and len(outside) < len(node.iters):
                yield _staged(definition, node, outside, set(taken))


def _outer_level(node: Reduce, sliding: list[Iter]) -> list[Iter]:
    """The iterators with larger steps than another one in a position that moves with both."""
    coarse: set[Iter] = set()
    for index in indices(node.body):
        steps = {it: abs(index.coefficient(it) or 0) for it in sliding if it in index.leaves()}
        coarse |= {it for it, step in steps.items() if step > min(steps.values())}
    return [it for it in sliding if it in coarse]


def _staged(
    definition: Definition, node: Reduce, outside: tuple[Iter, ...], taken: set[str]
) -> tuple[Definition, ...]:
    inside = Reduce("sum", tuple(it for it in node.iters if it not in outside), node.body)
    free = free_iters(inside)
    iters = tuple(it for it in (*outside, *definition.iters) if it in free)
    name = fresh_name(f"{definition.tensor.name}_terms", taken)
    tensor = Tensor(name, node.dtype, tuple((it.lo, it.hi) for it in iters))
    total = Reduce("sum", outside, Read(tensor, tuple(map(Int.of, iters))))
    rest = replaced(definition.body, node, total)
    return (
        Definition(tensor, iters, inside),
        Definition(definition.tensor, definition.iters, rest),
    )


def slides(node: Reduce, it: Iter) -> bool:
    """Whether some position moves with `it` and with something outside the sum together."""
    inner = set(node.iters)
    return not depends_on_data(node.body) and any(
        it in index.leaves() and any(a not in inner for a in index.leaves())
        for index in indices(node.body)
    )
