"""What compiled code depends on beside its source: versions that go into every cache key."""

from __future__ import annotations

from functools import cache

import tcomp

# Raised whenever the same program, schedule and target may give other object code or another ABI.
CODE_GENERATION = 14


@cache
def toolchain() -> str:
    """Versions of tcomp, of its code generation, and of llvmlite, which fixes LLVM's."""
    import llvmlite  # the package alone: LLVM itself is loaded by llvmlite.binding

    return f"tcomp {tcomp.__version__}, code {CODE_GENERATION}, llvmlite {llvmlite.__version__}"
