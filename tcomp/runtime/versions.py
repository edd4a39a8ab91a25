"""What compiled code depends on beside its source: versions that go into every cache key."""

from __future__ import annotations

import hashlib
import os
from functools import cache

import tcomp

# Raised whenever the same program, schedule and target may give other object code or another ABI: for
# installations whose source files cannot be listed.
CODE_GENERATION = 15
_APART = ("__pycache__", "benchmarks", "cli", "interop")  # folders that no kernel depends on
_SOURCES = (".py", ".tc")


@cache
def toolchain() -> str:
    """Versions of tcomp, of its code generation, and of llvmlite, which fixes LLVM's."""
    import llvmlite  # the package alone: LLVM itself is loaded by llvmlite.binding

    code = f"{CODE_GENERATION} {sources(os.path.dirname(tcomp.__file__))}"
    return f"tcomp {tcomp.__version__}, code {code}, llvmlite {llvmlite.__version__}"


def sources(folder: str) -> str:
    """A digest of the names, sizes and times of a package's source files: 1 ms, and what is edited or
    installed anew never meets kernels that other sources made. '' where there are none to be seen."""
    found: list[tuple[str, int, int]] = []
    pending = [folder]
    try:
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(_SOURCES):
                        status = entry.stat()
                        name = entry.path[len(folder) :]
                        found.append((name, status.st_size, status.st_mtime_ns))
                    elif entry.name not in _APART and entry.is_dir():
                        pending.append(entry.path)
    except OSError:
        return ""
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()[:16] if found else ""
