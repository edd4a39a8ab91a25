"""What the tuning database looks like from outside, without opening it.

This is on the way of every call that finds its kernel in the cache: it imports nothing of the tuner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcomp import config

if TYPE_CHECKING:
    from tcomp.options import Options


def database_state(options: Options) -> str:
    """Text that changes whenever records are added: kernels made before are then looked at anew."""
    if options.tune == "off":
        return "off"
    path = options.database or config.database.get()
    marks = []
    for file in (path, path.with_name(path.name + "-wal")):
        try:
            status = file.stat()
        except OSError:
            continue
        marks.append(f"{status.st_mtime_ns}:{status.st_size}")
    return " ".join([str(path), *marks]) if marks else ""
