"""Views: a definition that only gives the elements of another tensor other coordinates needs no copy.

    T[n, ty, dy, tx, dx] = ...;  Y[n, y, x] = T[n, y // 2, y % 2, x // 2, x % 2]

If every element is as far from the start of T as from that of Y, both in row-major order, T is made where
Y lies and Y is not computed at all. Tilings come back to plain images in this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tcomp.ir.integer import ZERO, Int, Iter, product, row_major_strides
from tcomp.ir.tensor.nodes import Axis, Definition, Program, Read, Reduce, postorder
from tcomp.ir.tensor.tables import table_iters
from tcomp.passes.scoping import plain_iter


@lru_cache(1 << 14)
def viewed(definition: Definition) -> Read | None:
    """The read of a definition that is a view of the tensor that it reads; None where it is none."""
    read, tensor = definition.body, definition.tensor
    if not isinstance(read, Read) or read.otherwise is not None or read.dtype is not tensor.dtype:
        return None
    sizes = [product(t.shape) for t in (read.tensor, tensor)]
    if not all(size.is_constant for size in sizes) or sizes[0].constant != sizes[1].constant:
        return None
    still: dict[Iter, Int] = {it: it.lo for it in definition.iters if it.extent.constant == 1}
    own = tuple(still.get(it, Int.of(it)) for it in definition.iters)
    there = tuple(index.sub(still) for index in read.index)
    same = _offset(read.tensor.axes, there) - _offset(tensor.axes, own)
    return read if same.is_constant and same.constant == 0 else None


def views_of(program: Program) -> tuple[Definition, ...]:
    """The definitions that need no copy: views of tensors that the program makes and that are not results.

    A tensor has one place, so of two views of it the second is copied.
    """
    made = {d.tensor for d in program.definitions()} - set(program.results)
    found: list[Definition] = []
    for statement in program.body:
        read = viewed(statement) if isinstance(statement, Definition) else None
        if read is not None and isinstance(statement, Definition) and read.tensor in made:
            found.append(statement)
            made.remove(read.tensor)
    return tuple(found)


def free_views(program: Program) -> frozenset[Definition]:
    """The views that divide or join axes of what stays a tensor: reading through them would spoil plain
    indices and save nothing."""
    views = views_of(program)
    if not views:
        return frozenset()
    stay = {d.tensor for d in program.definitions() if _reduces(d) or table_iters(d)}
    return frozenset(
        view
        for view in views
        if isinstance(view.body, Read)
        and view.body.tensor in stay
        and any(plain_iter(i) is None for i in view.body.index)
    )


@lru_cache(1 << 14)
def _reduces(definition: Definition) -> bool:
    return any(isinstance(node, Reduce) for node in postorder(definition.body))


def _offset(axes: Sequence[Axis], index: Sequence[Int]) -> Int:
    """The distance of a position from the first one in row-major order."""
    strides = row_major_strides(tuple(hi - lo for lo, hi in axes))
    total = ZERO
    for (lo, _), position, stride in zip(axes, index, strides, strict=True):
        total = total + (position - lo) * stride
    return total
