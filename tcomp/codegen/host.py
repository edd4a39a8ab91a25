"""What this machine is: instruction set, caches, usable cores. Found once, when first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tcomp.cores import usable_cores
from tcomp.target import Target

_CPU = Path("/sys/devices/system/cpu/cpu0/cache")
_TYPICAL = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}  # where the system does not tell


@dataclass(frozen=True, slots=True)
class Processor:
    """What LLVM says of the host: target triple, name of the processor, feature string."""

    triple: str
    cpu: str
    features: str


@cache
def host_target() -> Target:
    """The machine that runs this process, with every instruction set extension it has."""
    return target_of(probe())


def probe() -> Processor:
    """Asks LLVM what this machine is."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    return Processor(llvm.get_process_triple(), llvm.get_host_cpu_name(), features)


def target_of(processor: Processor) -> Target:
    """The host's target record: the processor with this machine's caches and usable cores."""
    bits, registers = vector_registers(processor.triple, processor.features)
    caches = _caches()
    return Target(
        triple=processor.triple,
        cpu=processor.cpu,
        features=processor.features,
        vector_bits=bits,
        vector_registers=registers,
        has_fma=_has_fma(processor.triple, processor.features),
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
