"""Reading a NumPy array at the positions of a whole iteration grid."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any  # np.ndarray


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
