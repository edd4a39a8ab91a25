"""How many threads a compiled function uses."""

from __future__ import annotations

from tcomp import config
from tcomp.cores import usable_cores


def default_threads() -> int:
    """`$TCOMP_NUM_THREADS`, else the cores that affinity and the container's quota allow; at least 1."""
    return config.num_threads.get() or usable_cores()
