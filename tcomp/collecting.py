"""Python's collector of cycles, paused while something compiles.

A compilation makes some hundred thousand small objects, hardly any of them in cycles, and most of them are kept.
The collector goes through them again and again for nothing: a third of the time in a process that has
compiled much before.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tcomp.forks import COLLECTING, held_across_forks

_lock = threading.Lock()
held_across_forks(_lock, COLLECTING)
_inside = 0  # threads and calls that have paused it
_ours = False  # whether it ran before the first of them


@contextmanager
def paused() -> Iterator[None]:
    """While any thread is inside, cycles are not collected. A decorator too."""
    global _inside, _ours
    with _lock:
        if not _inside:
            _ours = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside = max(0, _inside - 1)
            if not _inside and _ours:
                _resume()


def _resume() -> None:
    """What was made meanwhile counts as old: going through all of it now would take what was saved."""
    if not gc.get_freeze_count():  # else somebody keeps objects frozen
        gc.freeze()
        gc.unfreeze()
    gc.enable()


def _alone() -> None:
    """The threads that had paused it are not in a child."""
    global _inside
    if _inside and _ours:
        gc.enable()
    _inside = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone)
