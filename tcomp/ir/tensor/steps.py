"""Scans step by step: what a step reads of the one before, and what stands there before the first.

    scan[b]: n[b, x] = maximum((n[b-1, x] else -inf), max[i](L[x, B*b + i]))

A step needs n of one step before, which is -inf at first. Steps that read no further back can be made
one after the other in memory for two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    Read,
    Tensor,
    postorder,
    rewrite,
    substitute,
)
from tcomp.ir.tensor.regions import reads_of


def states(members: Sequence[Definition], step: Iter) -> Mapping[Tensor, Definition] | None:
    """For each tensor of which steps read the step before, the definition of its values before the first.

    None where steps read further back, or elsewhere than at points of their own.
    """
    made = {d.tensor: d for d in members}
    found: dict[Tensor, Definition] = {}
    for definition in members:
        for read in reads_of(definition):
            if read.tensor not in made:
                continue
            owner = made[read.tensor]
            behind = Int.of(step) - read.index[owner.iters.index(step)]
            if behind == Int.of(0):
                continue
            start = _start(read, owner, step, made) if behind == Int.of(1) else None
            if start is None or found.setdefault(read.tensor, start) is not start:
                return None
    return found


def without_guards(definition: Definition, tensors: Mapping[Tensor, Definition]) -> Definition:
    """The definition for steps before which the values before the first are in place."""

    def rule(node: Expr) -> Expr | None:
        plain = isinstance(node, Read) and node.tensor in tensors
        return Read(node.tensor, node.index) if plain else None  # type: ignore[attr-defined]

    return Definition(definition.tensor, definition.iters, rewrite(definition.body, rule))


def _start(
    read: Read, owner: Definition, step: Iter, made: Mapping[Tensor, Definition]
) -> Definition | None:
    """What `read` finds before the first step, as a definition of its tensor there."""
    if read.otherwise is None:
        return None
    places: dict[Iter, Int] = {}
    for it, index in zip(owner.iters, read.index, strict=True):
        if it is step or index == it.lo == it.hi - 1:
            continue
        here = _plain(index)
        if here is None or (here.lo, here.hi) != (it.lo, it.hi):
            return None
        places[here] = Int.of(it)
    free = read.otherwise.free_atoms()
    reads = (n for n in postorder(read.otherwise) if isinstance(n, Read))
    if not free <= set(places) or any(n.tensor in made for n in reads):
        return None
    before = Iter(step.name, step.lo - 1, step.lo)
    iters = tuple(before if it is step else it for it in owner.iters)
    return Definition(owner.tensor, iters, substitute(read.otherwise, places))


def _plain(index: Int) -> Iter | None:
    atoms = index.leaves()
    it = next(iter(atoms)) if len(atoms) == 1 else None
    return it if isinstance(it, Iter) and index == Int.of(it) else None
