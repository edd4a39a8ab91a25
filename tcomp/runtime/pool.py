"""The thread pools of this process: one for each number of threads, made when it is first used.

The pool itself is compiled code (`runtime.pool_ir`). Here is its memory, which never goes away, because
its threads run until the process ends, and the repair after a fork, whose child has no workers.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
import threading
from dataclasses import dataclass
from functools import cache

from tcomp.runtime import pool_ir
from tcomp.runtime.pool_ir import System

_LINE = 64
_CALL_NUMBERS = {
    "x86_64": (202, 186, 203),
    "aarch64": (98, 178, 122),
}  # futex, gettid, sched_setaffinity


@dataclass(frozen=True, slots=True)
class Pool:
    """`threads` threads, the caller's included. `address` goes into a call's context."""

    threads: int
    address: int


_pools: dict[int, Pool] = {}
_lock = threading.Lock()


def pool(threads: int) -> Pool:
    """The pool of that many threads. Its workers start with the first parallel loop that needs them."""
    found = _pools.get(threads)
    if found is None:
        with _lock:
            found = _pools.get(threads) or _pools.setdefault(threads, _make(threads))
    return found


@cache
def system() -> System:
    """What this system offers to put threads to sleep with."""
    machine = platform.machine()
    if os.name != "posix":
        return System(machine, "serial")
    block, setmask = int(signal.SIG_BLOCK), int(signal.SIG_SETMASK)
    if sys.platform.startswith("linux") and machine in _CALL_NUMBERS:
        return System(machine, "futex", *_CALL_NUMBERS[machine], block, setmask)
    return System(machine, "condition", sig_block=block, sig_setmask=setmask)


def initialise(address: int, threads: int, kind: System) -> None:
    """Writes a pool at rest, without workers, into `pool_ir`'s layout at `address`."""
    ctypes.memset(address, 0, _size(threads))
    _write(address + pool_ir.STATE, struct.pack("<Q", pool_ir.CLOSED))
    _write(address + pool_ir.THREADS, struct.pack("<I", threads))
    _write(address + pool_ir.HOME, struct.pack("<I", pool_ir.NOWHERE))
    _write(address + pool_ir.ALLOWED, _allowed())
    process = ctypes.CDLL(None) if kind.functions else None
    for n, name in enumerate(kind.functions):
        function = ctypes.cast(getattr(process, name), ctypes.c_void_p).value or 0
        _write(address + pool_ir.FUNCTIONS + 8 * n, struct.pack("<Q", function))
    if kind.sleep == "condition" and process is not None:
        process.pthread_mutex_init(ctypes.c_void_p(address + pool_ir.MUTEX), None)
        process.pthread_cond_init(ctypes.c_void_p(address + pool_ir.CONDITION), None)


def _allowed() -> bytes:
    """The processors that this thread may use as the system's bit set."""
    bits = 0
    if hasattr(os, "sched_getaffinity"):
        bits = sum(1 << cpu for cpu in os.sched_getaffinity(0) if cpu < 8 * pool_ir.ALLOWED_BYTES)
    return bits.to_bytes(pool_ir.ALLOWED_BYTES, "little")


def allocate(threads: int) -> int:
    """Memory for a pool, aligned to a cache line. It is never freed: threads use it to the very end."""
    memory = ctypes.create_string_buffer(_size(threads) + _LINE)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
    return -(-ctypes.addressof(memory) // _LINE) * _LINE


def _make(threads: int) -> Pool:
    address = allocate(threads)
    initialise(address, threads, system())
    if not _pools and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_restart)
    return Pool(threads, address)


def _restart() -> None:
    """In the child of a fork: no workers, and no region of another thread of the parent in progress."""
    global _lock
    _lock = threading.Lock()
    for each in _pools.values():
        initialise(each.address, each.threads, system())


def _size(threads: int) -> int:
    return pool_ir.SLOTS + pool_ir.SLOT_BYTES * threads


def _write(address: int, data: bytes) -> None:
    ctypes.memmove(address, data, len(data))
