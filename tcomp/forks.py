"""Locks across `fork`: the child has only the forking thread, and whatever another one held stays locked.

Locks that are declared here are taken before a fork and given back after it, in parent and child. So a fork
waits for a parse or a compilation of another thread to end, and the child finds its data whole. LLVM's own
lock, which llvmlite keeps, is among them once llvmlite is loaded.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

# Which lock is taken first where several are held at once: the outer before the inner.
PARSER, CODEGEN, LLVM, INTERNING, COLLECTING = range(5)

_WAIT_SECONDS = (
    30  # a fork inside of what a lock protects (in a signal handler) must not hang for ever
)
_declared: list[tuple[int, Lock]] = []
_held: list[Lock] = []


class Lock(Protocol):
    """What `threading.Lock` and `threading.RLock` make."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...


def held_across_forks(lock: Lock, order: int) -> None:
    """Declares a lock that lives as long as the process."""
    _declared.append((order, lock))
    _declared.sort(key=lambda each: each[0])


def _take() -> None:
    llvm = _llvm_lock()
    every = [*_declared, *([] if llvm is None else [(LLVM, llvm)])]
    for _, lock in sorted(every, key=lambda each: each[0]):
        if lock.acquire(timeout=_WAIT_SECONDS):
            _held.append(lock)


def _give_back() -> None:
    while _held:
        _held.pop().release()


def _llvm_lock() -> Lock | None:
    ffi: Any = sys.modules.get("llvmlite.binding.ffi")
    guard = getattr(getattr(ffi, "lib", None), "_lock", None)
    lock: Lock | None = getattr(
        guard, "_lock", None
    )  # not public: where it moved, forks go without it
    return lock


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take, after_in_parent=_give_back, after_in_child=_give_back)
