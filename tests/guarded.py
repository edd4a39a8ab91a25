"""Arrays that end, or begin, exactly at a page that must not be touched.

A kernel that reads or writes one element too far dies with SIGSEGV there, instead of silently reading
what happens to lie beside its array.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest

PAGE = mmap.PAGESIZE
_PROT_NONE = 0
_PROT_READ = 1

available = sys.platform.startswith("linux") or sys.platform == "darwin"
requires_guards = pytest.mark.skipif(not available, reason="needs mprotect")


def guarded(array, edge="end", read_only=False):
    """A copy of `array` with a protected page right after its last (edge="end") or right before its
    first ("start") byte.

    Arrays that end at a page are aligned to their element only, as arguments may be.
    """
    size = max(1, array.nbytes)
    pages = -(-size // PAGE)
    region = mmap.mmap(-1, (pages + 2) * PAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(region))
    offset = PAGE + (pages * PAGE - array.nbytes if edge == "end" else 0)
    count = array.size
    flat = np.frombuffer(region, array.dtype, count, offset) if count else np.empty(0, array.dtype)
    flat[:] = array.reshape(-1)
    _protect(base, PAGE, _PROT_NONE)
    _protect(base + (pages + 1) * PAGE, PAGE, _PROT_NONE)
    if read_only:
        _protect(base + PAGE, pages * PAGE, _PROT_READ)
        flat.flags.writeable = False
    return flat.reshape(array.shape)  # its base keeps the mapping alive


def _protect(address, length, protection):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), protection):
        raise OSError(ctypes.get_errno(), "mprotect")
