"""How many threads a compiled function uses."""

from __future__ import annotations

import os
from pathlib import Path

from tcomp import config


def default_threads() -> int:
    """`$TCOMP_NUM_THREADS`, else the cores that affinity and the container's quota allow; at least 1."""
    return config.num_threads.get() or available_cores()


def available_cores() -> int:
    """Cores that this process may use: its affinity mask, rounded down to the cgroup's CPU quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it, macOS and Windows do not
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The container's CPU time per wall time in cores (cgroup v2, then v1); None where there is no limit."""
    for own in _own_groups(root):
        try:
            quota, period = (own / "cpu.max").read_text().split()[:2]
            return None if quota == "max" else int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            pass
        try:
            limit = int((own / "cpu.cfs_quota_us").read_text())
            return None if limit <= 0 else limit / int((own / "cpu.cfs_period_us").read_text())
        except (OSError, ValueError, ZeroDivisionError):
            pass
    return None


def _own_groups(root: Path) -> list[Path]:
    """Folders that may hold this process's limits: its own group, then what a container sees as root."""
    groups: list[Path] = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            groups.append(root / path.lstrip("/"))
        elif "cpu" in controllers.split(","):
            groups.append(root / "cpu" / path.lstrip("/"))
    return [*groups, root, root / "cpu"]
