"""Reading a NumPy array at the positions of a whole iteration grid."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # np.ndarray
Affine: TypeAlias = tuple[int, list[tuple[int, int]]]  # a constant, and factors of grid axes

_GROWTH = 8  # times its size that an array may grow by what is outside


def gather(array: Array, positions: list[Array], rank: int) -> Array:
    """array[positions], by slicing where each axis follows one grid axis in equal steps."""
    if not positions:
        return array.reshape((1,) * rank)
    slices: list[slice] = []
    follows: list[int] = []
    for p in positions:
        moving = [d for d in range(rank) if p.shape[d] > 1]
        if len(moving) > 1 or (moving and moving[0] in follows):
            return array[tuple(positions)]
        first = int(p.flat[0]) if p.size else 0
        step = int(p.flat[1]) - first if p.size > 1 else 1
        if step <= 0 or int(p.flat[-1]) != first + step * (p.size - 1):
            return array[tuple(positions)]
        if moving and not np.all(np.diff(p.reshape(-1)) == step):
            return array[tuple(positions)]
        slices.append(slice(first, first + step * (p.size - 1) + 1, step))
        follows.append(moving[0] if moving else -1)
    part = array[tuple(slices)]
    still = tuple(d for d, axis in enumerate(follows) if axis < 0)
    part = part.squeeze(still)
    moved = [axis for axis in follows if axis >= 0]
    part = part.transpose(np.argsort(moved)) if moved else part
    shape = [1] * rank
    for axis, extent in zip(sorted(moved), part.shape, strict=True):
        shape[axis] = extent
    return part.reshape(shape)


def view(array: Array, places: list[Affine], spans: list[tuple[int, int]], fill: Any) -> Any:
    """array[positions] without a copy, where position k is `places[k]` over grid axes that run over `spans`.

    Outside the array it is `fill`, around a copy; None where that has no value or would be large.
    """
    reach = [_reach(place, spans) for place in places]
    before = [max(0, -low) for low, _ in reach]
    behind = [max(0, high - n + 1) for (_, high), n in zip(reach, array.shape, strict=True)]
    if any(before) or any(behind):
        shape = [a + n + b for a, n, b in zip(before, array.shape, behind, strict=True)]
        if fill is None or not array.size or math.prod(shape) > _GROWTH * array.size:
            return None
        padded = np.full(shape, fill, array.dtype)
        inside = zip(before, array.shape, strict=True)
        padded[tuple([slice(a, a + n) for a, n in inside])] = array
        array = padded
    if not array.flags.c_contiguous or not array.size:
        return None
    strides, offset = [0] * len(spans), 0
    for (constant, terms), step, ahead in zip(places, array.strides, before, strict=True):
        offset += (constant + ahead) * step
        for axis, factor in terms:
            strides[axis] += factor * step
            offset += factor * spans[axis][0] * step
    used = {axis for _, terms in places for axis, _ in terms}
    extents = [high - low if k in used else 1 for k, (low, high) in enumerate(spans)]
    if not all(extents):
        return None
    made = np.ndarray(extents, array.dtype, array, offset, strides)
    made.flags.writeable = False
    return made


def _reach(place: Affine, spans: list[tuple[int, int]]) -> tuple[int, int]:
    """The first and the last position."""
    low = high = place[0]
    for axis, factor in place[1]:
        ends = factor * spans[axis][0], factor * (spans[axis][1] - 1)
        low, high = low + min(ends), high + max(ends)
    return low, high
