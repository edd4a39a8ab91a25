"""What this machine is: instruction set, caches, usable cores. Found once, when first asked for."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tcomp.target import Target

_CPU = Path("/sys/devices/system/cpu/cpu0/cache")
_CGROUP = Path("/sys/fs/cgroup")
_TYPICAL = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}  # where the system does not tell


@cache
def host_target() -> Target:
    """The machine that runs this process, with every instruction set extension it has."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    triple = llvm.get_process_triple()
    bits, registers = vector_registers(triple, features)
    caches = _caches()
    return Target(
        triple=triple,
        cpu=llvm.get_host_cpu_name(),
        features=features,
        vector_bits=bits,
        vector_registers=registers,
        has_fma=_has_fma(triple, features),
        l1=caches[1],
        l2=caches[2],
        l3=caches[3],
        cores=usable_cores(),
    )


def vector_registers(triple: str, features: str) -> tuple[int, int]:
    """Width in bits of the vectors worth using, and how many registers of it there are."""
    on = {f[1:] for f in features.split(",") if f.startswith("+")}
    if not triple.startswith(("x86_64", "i686")):
        return 128, 16 if triple.startswith("wasm") else 32
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= on:
        return 512, 32
    return (256 if "avx2" in on else 128), 16


def _has_fma(triple: str, features: str) -> bool:
    if triple.startswith(("x86_64", "i686")):
        return "+fma" in features.split(",")
    return triple.startswith(("aarch64", "arm64", "riscv64", "powerpc64", "s390x"))


def usable_cores() -> int:
    """Cores that affinity and the container's quota allow this process, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota()
    return max(1, count if quota is None else min(count, round(quota)))


def _quota() -> float | None:
    """CPUs granted by the control group, version 2 or 1; None where there is no limit."""
    try:
        limit, period = (_CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (_CGROUP / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (_CGROUP / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if limit == "max" or int(limit) <= 0:
        return None
    return int(limit) / int(period)


def _caches() -> dict[int, int]:
    """Bytes of the data caches by level, as Linux reports them for the first core."""
    found = dict(_TYPICAL)
    for index in sorted(_CPU.glob("index*")):
        try:
            level, kind, size = ((index / f).read_text().strip() for f in ("level", "type", "size"))
            if kind != "Instruction":
                found[int(level)] = _bytes(size)
        except (OSError, ValueError):
            continue
    return found


def _bytes(text: str) -> int:
    """
    >>> _bytes("32K"), _bytes("1M"), _bytes("512")
    (32768, 1048576, 512)
    """
    scale = {"K": 10, "M": 20, "G": 30}.get(text[-1], 0)
    return int(text[:-1] if scale else text) << scale
