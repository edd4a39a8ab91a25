"""How many processor cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def usable_cores() -> int:
    """Cores that the affinity mask and the container's quota of CPU time allow; at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it, macOS and Windows do not
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The container's CPU time per wall time in cores (cgroup v2, then v1); None where there is no limit."""
    for group in _own_groups(root):
        try:
            quota, period = (group / "cpu.max").read_text().split()[:2]
            return None if quota == "max" else int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            pass
        try:
            limit = int((group / "cpu.cfs_quota_us").read_text())
            period_us = int((group / "cpu.cfs_period_us").read_text())
            return None if limit <= 0 else limit / period_us
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
