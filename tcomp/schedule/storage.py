"""Where the elements of tensors live: a buffer, and an address in it that is affine in the position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

from tcomp.ir.integer import ZERO, Int
from tcomp.ir.loop.nodes import Buffer, Local, Space
from tcomp.ir.tensor.nodes import Tensor


@dataclass(frozen=True, slots=True)
class Placement:
    """A tensor in a buffer: position `p` is the element `origin + sum(p[k] * strides[k])`.

    `origin` may hold loop variables: a tile of a tensor is a placement whose origin moves with the tile.
    """

    buffer: Buffer
    origin: Int
    strides: tuple[Int, ...]

    def address(self, index: Sequence[Int]) -> Int:
        """The address of a position, in elements of the buffer."""
        total = self.origin
        for position, stride in zip(index, self.strides, strict=True):
            total = total + position * stride
        return total


Storage: TypeAlias = Mapping[Tensor, "Placement | Local"]
"""Tensors in memory, and those of one element at each point of the loops around, kept in a local."""


_LINE = 64  # bytes of a cache line


def dense(tensor: Tensor, space: Space, name: str = "", planes: int | None = None) -> Placement:
    """The whole tensor in a C-ordered buffer of its own. Its extents are constant."""
    return tile(tensor, tuple(int(extent) for extent in tensor.shape), space, name, None, planes)


def tile(
    tensor: Tensor,
    extents: Sequence[int | None],
    space: Space,
    name: str = "",
    starts: Sequence[Int] | None = None,
    planes: int | None = None,
) -> Placement:
    """A C-ordered box of `extents` elements of the tensor whose first position is `starts`.

    Of an axis with extent None one position at a time is kept: its stride is 0 and its start is not
    used. `starts` defaults to the tensor's own first positions. Neighbours along the axis `planes` are an
    odd number of cache lines apart.
    """
    first = tuple(lo for lo, _ in tensor.axes) if starts is None else tuple(starts)
    sizes = tuple(1 if e is None else e for e in extents)
    steps: list[int] = []
    size = 1
    for axis in reversed(range(len(sizes))):
        if axis == planes:
            size = line_pitch(size, tensor.dtype.bytes)
        steps.insert(0, size)
        size *= sizes[axis]
    strides = tuple(ZERO if e is None else Int.of(s) for e, s in zip(extents, steps, strict=True))
    origin = ZERO
    for start, stride in zip(first, strides, strict=True):
        origin = origin - start * stride
    buffer = Buffer(name or tensor.name, tensor.dtype, size, space)
    return Placement(buffer, origin, strides)


def line_pitch(extent: int, size: int) -> int:
    """Elements between rows: whole cache lines, an odd number so that rows fall into different sets."""
    lines = ceil(extent * size / _LINE)
    return (lines | 1) * _LINE // size
