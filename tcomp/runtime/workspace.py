"""Scratch memory of calls: a few blocks, shared by all kernels, each used by one call at a time.

The compiled call wrapper takes and gives them (`runtime.wrapper_ir`); where no idle block is large enough the
call goes through Python, which makes one and leaves it for later calls.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from tcomp.runtime.memory import Block, recycler
from tcomp.runtime.wrapper_ir import WORKSPACES

_ENTRY_BYTES = 24
KEPT_BYTES = 512 << 20  # of workspaces in all; larger ones come from the recycler every time


class Workspaces:
    """The table that the wrapper reads, and the memory behind it."""

    def __init__(self) -> None:
        memory = ctypes.create_string_buffer(_ENTRY_BYTES * WORKSPACES)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        self.table = ctypes.addressof(memory)
        self._installed: dict[int, Block] = {}
        self._lock = threading.Lock()

    @contextmanager
    def block(self, nbytes: int) -> Iterator[int]:
        """The address of scratch memory for one call, 64-byte aligned; 0 where none is needed."""
        if not nbytes:
            yield 0
            return
        block = recycler.take(nbytes)
        try:
            yield block.address
        finally:
            self._leave(block)

    def after_fork(self) -> None:
        """In the child: the parent's other threads, which may hold the lock and entries, are gone."""
        self._lock = threading.Lock()
        for entry in range(WORKSPACES):
            ctypes.c_int64.from_address(self.table + _ENTRY_BYTES * entry).value = 0

    def _leave(self, block: Block) -> None:
        """Offers a block to later calls."""
        from tcomp.runtime.support import support

        with self._lock:
            held = sum(each.nbytes for each in self._installed.values())
            if not support().install or held + block.nbytes > KEPT_BYTES:
                recycler.give(block)
                return
            # PYFUNCTYPE keeps the interpreter's lock: the wrapper cannot take an entry meanwhile.
            install = ctypes.PYFUNCTYPE(
                ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int64
            )(support().install)
            self._installed[block.address] = block
            displaced = install(self.table, block.address, block.nbytes)
            if displaced:
                recycler.give(self._installed.pop(displaced))


@cache
def workspaces() -> Workspaces:
    """This process's workspaces."""
    made = Workspaces()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=made.after_fork)
    return made
