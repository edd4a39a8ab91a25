"""Memory for large results and workspaces: 2-MB aligned, on huge pages, and used again when freed.

First touching fresh pages costs more than most kernels: 64 MB take 11-47 ms to fault in, 4.7 ms to fill once
they are there. So blocks of freed results are kept, up to a limit, and handed to the next one.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

LARGE = 1 << 20  # results from this size on are made here, smaller ones by NumPy
KEPT_BYTES = 512 << 20  # freed memory that is kept at most
_HUGE_PAGE = 2 << 20
CACHE_LINE = 64
_SMALL_STEP = 1 << 16


class Block:
    """Zero-filled or used memory at `address`, of at least `nbytes`."""

    __slots__ = ("_memory", "address", "nbytes")

    def __init__(self, nbytes: int) -> None:
        aligned = nbytes >= LARGE
        self.nbytes = nbytes
        self._memory = _anonymous(nbytes + _HUGE_PAGE if aligned else max(nbytes, 1))
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.address = -(-start // _HUGE_PAGE) * _HUGE_PAGE if aligned else start
        if aligned and hasattr(mmap, "MADV_HUGEPAGE"):
            # Refused by kernels built without transparent huge pages: then pages are just small.
            with suppress(OSError):
                self._memory.madvise(mmap.MADV_HUGEPAGE)


class Recycler:
    """Freed blocks by size class. Safe to use from finalizers, which run at any moment in any thread."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._lock = threading.Lock()
        self._free: dict[int, list[Block]] = {}
        self._held = 0
        self._limit = kept_bytes

    @property
    def held_bytes(self) -> int:
        """Memory that is kept for later."""
        return self._held

    def take(self, nbytes: int) -> Block:
        """A block of at least `nbytes` with any contents. Raises MemoryError."""
        size = size_class(nbytes)
        with self._lock:
            blocks = self._free.get(size)
            if blocks:
                self._held -= size
                return blocks.pop()
        try:
            return Block(size)
        except (OSError, ValueError, OverflowError) as cause:
            self.clear()
            raise MemoryError(f"no memory for {nbytes} bytes") from cause

    def give(self, block: Block) -> None:
        """Takes a block back, to keep it or to free it."""
        # A finalizer may interrupt `take` in this very thread: then do not wait, let the block go.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._held + block.nbytes <= self._limit:
                self._free.setdefault(block.nbytes, []).append(block)
                self._held += block.nbytes
        finally:
            self._lock.release()

    def after_fork(self) -> None:
        """In the child: a thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Frees all that is kept."""
        with self._lock:
            self._free.clear()
            self._held = 0


recycler = Recycler()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=recycler.after_fork)


class _Lease:
    """What an array made here has as its base: it gives the block back when the last view is gone."""

    __slots__ = ("__array_interface__", "_block")

    def __init__(self, block: Block, nbytes: int) -> None:
        self._block = block
        self.__array_interface__ = {
            "version": 3,
            "data": (block.address, False),
            "shape": (nbytes,),
            "typestr": "|u1",
        }

    def __del__(self) -> None:
        if recycler is not None:  # module globals go first when the interpreter shuts down
            recycler.give(self._block)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """A C-ordered array with any contents; large ones on recycled huge pages. Raises MemoryError."""
    nbytes = prod(shape) * dtype.itemsize
    if nbytes < LARGE:
        return np.empty(shape, dtype)
    lease = _Lease(recycler.take(nbytes), nbytes)
    return np.asarray(lease).view(dtype).reshape(shape)


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The same, at the start of a cache line: for what kernels read again and again in whole vectors."""
    nbytes = prod(shape) * dtype.itemsize
    room = empty((nbytes + CACHE_LINE,), np.dtype(np.uint8))
    start = -room.ctypes.data % CACHE_LINE
    return room[start : start + nbytes].view(dtype).reshape(shape)


def size_class(nbytes: int) -> int:
    """What a request is rounded up to: whole pages, with at most an eighth of waste above 16 MB."""
    small = max(1, -(-nbytes // _SMALL_STEP)) * _SMALL_STEP
    if small < LARGE:
        return small
    step = max(_HUGE_PAGE, 1 << (nbytes.bit_length() - 4))
    return -(-nbytes // step) * step


def _anonymous(nbytes: int) -> mmap.mmap:
    if hasattr(mmap, "MAP_PRIVATE"):  # Python's default, shared, gets no huge pages
        return mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, nbytes)
