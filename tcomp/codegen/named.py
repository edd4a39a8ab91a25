"""Processors by name, to make code for machines other than this one.

Cache sizes are those of common parts: they only steer blocking.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tcomp.codegen.host import vector_registers
from tcomp.diagnostics import BindingError, nearest
from tcomp.target import Target

_V2 = ("cx16", "popcnt", "sahf", "sse3", "ssse3", "sse4.1", "sse4.2")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
_WASM = ("simd128", "sign-ext", "nontrapping-fptoint", "bulk-memory", "bulk-memory-opt")


@dataclass(frozen=True, slots=True)
class _Named:
    """A row of the table: LLVM's architecture, processor and features; caches in KiB."""

    architecture: str
    cpu: str
    features: tuple[str, ...]
    caches: tuple[int, int, int] = (32, 512, 8192)
    system: str = ""  # instead of this machine's


NAMED: dict[str, _Named] = {
    "x86-64-v2": _Named("x86_64", "x86-64-v2", _V2),
    "x86-64-v3": _Named("x86_64", "x86-64-v3", _V3),
    "x86-64-v4": _Named("x86_64", "x86-64-v4", _V4, (32, 1024, 16384)),
    "haswell": _Named("x86_64", "haswell", _V3, (32, 256, 8192)),
    "skylake-avx512": _Named("x86_64", "skylake-avx512", _V4, (32, 1024, 16384)),
    "icelake-server": _Named(
        "x86_64", "icelake-server", (*_V4, "avx512vnni", "avx512vbmi"), (48, 1280, 24576)
    ),
    "znver3": _Named("x86_64", "znver3", _V3, (32, 512, 32768)),
    "znver4": _Named(
        "x86_64", "znver4", (*_V4, "avx512vnni", "avx512vbmi", "avx512bf16"), (32, 1024, 32768)
    ),
    "aarch64": _Named("aarch64", "generic", ("neon", "fp-armv8")),
    "neoverse-n1": _Named("aarch64", "neoverse-n1", ("neon", "fp-armv8", "dotprod", "fullfp16")),
    "apple-m1": _Named(
        "arm64", "apple-m1", ("neon", "fp-armv8", "dotprod", "fullfp16"), (128, 12288, 12288),
        "apple-macosx11.0.0",
    ),
    "wasm32": _Named("wasm32", "generic", _WASM, system="unknown-unknown"),
}  # fmt: skip


@cache
def target_named(name: str) -> Target:
    """The processor called `name`, with one core. Raises BindingError for an unknown name."""
    if name not in NAMED:
        hint = nearest(name, NAMED) or f"known are native, {', '.join(NAMED)}"
        raise BindingError(f"unknown target '{name}'", code="TC079", hint=hint)
    row = NAMED[name]
    features = ",".join(f"+{f}" for f in row.features)
    triple = f"{row.architecture}-{row.system or _system()}"
    bits, registers = vector_registers(triple, features)
    l1, l2, l3 = (kib << 10 for kib in row.caches)
    fused = row.architecture in ("aarch64", "arm64") or "fma" in row.features
    return Target(triple, row.cpu, features, bits, registers, fused, l1, l2, l3, cores=1)


def _system() -> str:
    """Vendor, system and environment of this machine's triple."""
    import llvmlite.binding as llvm

    _, _, system = llvm.get_process_triple().partition("-")
    return str(system)
