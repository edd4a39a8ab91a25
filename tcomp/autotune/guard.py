"""Arrays that end at a protected page, so that a kernel that reaches beyond dies instead of lying."""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import numpy as np

PROT_NONE = 0


def guarded_array(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy of `values`, C-ordered, whose last byte is followed by a page that no one may touch.

    The start is aligned to the element size only. On systems without mprotect it is a plain copy.
    """
    source = np.ascontiguousarray(values)
    if sys.platform == "win32" or source.nbytes == 0:
        return source.copy()
    page = mmap.PAGESIZE
    body = -(-source.nbytes // page) * page
    region = mmap.mmap(-1, body + page)
    view = (ctypes.c_char * (body + page)).from_buffer(region)
    address = ctypes.addressof(view)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address + body), ctypes.c_size_t(page), PROT_NONE) != 0:
        return source.copy()
    offset = body - source.nbytes
    array = np.frombuffer(region, dtype=np.uint8, count=source.nbytes, offset=offset)
    result = array.view(source.dtype).reshape(source.shape)
    result[...] = source
    return result
