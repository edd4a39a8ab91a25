"""Bytes a cycle from each level of memory, where `tcomp.probe` measured this machine before.

This is on the way of every call that finds its kernel in the cache: it reads one small file.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcomp import config

if TYPE_CHECKING:
    from tcomp.options import Options

VERSION = 2  # of what is measured
_LEVELS = ("l2", "l3", "memory")
# What the probe says of the machine to which the rates of estimates were fitted, bytes a cycle and core.
_FITTED = {"l2": 47.8, "l3": 28.4, "memory": 6.0}


def path() -> Path:
    """The file that holds what was measured."""
    return config.cache_dir.get() / "machine.json"


def measured(identity: str) -> dict[str, Any] | None:
    """What was measured of the machine of that identity; None where nothing was."""
    with suppress(OSError, ValueError, AttributeError):
        kept = json.loads(path().read_text(encoding="utf-8"))
        if kept.get("identity") == identity:
            return dict(kept["speed"])
    return None


def identity(target: object, threads: int) -> str:
    """What measurements belong to."""
    return f"{VERSION} {target} {threads}"


def relative_rates(options: Options) -> tuple[float, ...]:
    """How many times the fitted machine's bytes a cycle each core gets from its own cache, from the shared one
    and from memory; all 1 where nothing was measured. Powers of 2, so that measuring again, or on a busy
    machine, rarely changes what is derived."""
    from tcomp.runtime.processor import native_target
    from tcomp.runtime.threads import default_threads

    if options.target_name != "native":
        return (1.0,) * len(_LEVELS)
    return _relative(identity(native_target(), default_threads()), default_threads(), str(path()))


@lru_cache(8)
def _relative(of: str, threads: int, file: str) -> tuple[float, ...]:
    """Once for each process: what is derived in it does not change in between."""
    from tcomp.runtime.processor import native_target

    speed = measured(of) or {}
    try:
        gigahertz = float(speed["peak_gflops_1"]) / (4.0 * native_target().lanes(32))
        cores = [float(speed[f"{level}_gbytes_{threads}"]) / threads for level in _LEVELS]
        found = [c / gigahertz / _FITTED[n] for c, n in zip(cores, _LEVELS, strict=True)]
        return tuple(2.0 ** round(log2(ratio)) for ratio in found)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return (1.0,) * len(_LEVELS)
