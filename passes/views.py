"""Views: a definition that only gives the elements of another tensor other coordinates needs no copy.

    T[n, ty, dy, tx, dx] = ...;  Y[n, y, x] = T[n, y // 2, y % 2, x // 2, x % 2]

If every element is as far from the start of T as from that of Y, both in row-major order, T is made where
Y lies and Y is not computed at all. Tilings come back to plain images in this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from tcomp.ir.integer import ZERO, FloorDiv, Int, Iter, Mod, product, row_major_strides
from tcomp.ir.tensor.nodes import (
    Axis,
    Definition,
    Program,
    Read,
    Reduce,
    Statement,
    Tensor,
    postorder,
    substitute,
    tensors_read,
)
from tcomp.ir.tensor.tables import table_iters
from tcomp.passes.scoping import fresh_name, names_of, plain_iter


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


def parts_of_views(program: Program) -> Program:
    """The program with each read of a part of a divided tensor as a plain read of a view of all of it.

        Y[y in 0:30] = T[(y + 1) // 2, (y + 1) % 2]   =   V[w in 0:36] = T[w // 2, w % 2];  Y[y] = V[y + 1]

    So what tiles and phases are cut from is copied in whole vectors.
    """
    if not any(isinstance(s, Definition) and _reads_digits(s) for s in program.body):
        return program
    made = {d.tensor: d for d in program.definitions()}
    body: list[Statement] = []
    for statement in program.body:
        found = None
        if isinstance(statement, Definition) and _reads_digits(statement):
            found = _part_of_view(statement, made, program)
        body += [statement] if found is None else found
    if len(body) == len(program.body):
        return program
    return replace(program, body=tuple(body))


@lru_cache(1 << 12)
def _reads_digits(definition: Definition) -> bool:
    """Whether a definition is a read of quotients and remainders, and no view."""
    read = definition.body
    if not isinstance(read, Read) or read.otherwise is not None:
        return False
    divided = any(isinstance(a, FloorDiv | Mod) for index in read.index for a in index.atoms())
    return divided and viewed(definition) is None


def _part_of_view(
    definition: Definition, made: dict[Tensor, Definition], program: Program
) -> tuple[Definition, Definition] | None:
    read = definition.body
    while isinstance(read, Read) and read.otherwise is None:
        behind = made.get(read.tensor)
        if behind is None or read.tensor in program.results or _readers(read.tensor, program) > 1:
            return None  # of several views all but one are copied
        if viewed(behind) is None:
            break
        read = substitute(behind.body, dict(zip(behind.iters, read.index, strict=True)))
    if not isinstance(read, Read):
        return None
    runs = _runs(read)
    if len(runs) == len(read.index):
        return None
    taken = names_of(program)
    iters: list[Iter] = []
    index: list[Int] = []
    for first, last, _ in runs:
        axes = read.tensor.axes[first:last]
        lo, hi = axes[0] if len(axes) == 1 else (ZERO, product(h - l for l, h in axes))
        whole = Iter(fresh_name("whole", taken), lo, hi)
        iters.append(whole)
        index += [Int.of(whole)] if len(axes) == 1 else _digits(whole, axes)
    name = fresh_name(f"{read.tensor.name}_whole", taken)
    view = Tensor(name, read.dtype, tuple((it.lo, it.hi) for it in iters))
    return (
        Definition(view, tuple(iters), Read(read.tensor, tuple(index))),
        Definition(definition.tensor, definition.iters, Read(view, tuple(at for _, _, at in runs))),
    )


def _readers(tensor: Tensor, program: Program) -> int:
    return sum(tensor in tensors_read(d.body) for d in program.definitions())


def _digits(whole: Iter, axes: Sequence[Axis]) -> list[Int]:
    """The positions along axes of a position in all of them."""
    strides = row_major_strides(hi - lo for lo, hi in axes)
    quotients = [Int.of(whole) // stride for stride in strides]
    return [
        lo + (q if n == 0 else q % (hi - lo))
        for n, (q, (lo, hi)) in enumerate(zip(quotients, axes, strict=True))
    ]


@lru_cache(1 << 12)
def _runs(read: Read) -> list[tuple[int, int, Int]]:
    """Axes one after the other whose positions are the digits of one: the first, behind the last, and that one."""
    runs: list[tuple[int, int, Int]] = []
    first, count = 0, len(read.index)
    while first < count:
        last, position = first + 1, read.index[first]
        for end in range(_alike(read.index, first), last, -1):
            joined = _offset(read.tensor.axes[first:end], read.index[first:end])
            if plain_iter(joined - joined.constant) is not None:
                last, position = end, joined
                break
        runs.append((first, last, position))
        first = last
    return runs


def _alike(index: Sequence[Int], first: int) -> int:
    """Behind the last of the positions that move with the same one iterator as the first."""
    leaves = index[first].leaves()
    last = first + 1
    while len(leaves) == 1 and last < len(index) and index[last].leaves() == leaves:
        last += 1
    return last
