"""Where and with what something was measured, as plain data for records."""

from __future__ import annotations

import os
import platform
from functools import cache
from typing import Any

import tcomp


@cache
def machine_facts() -> dict[str, Any]:
    """The processor and system, without anything that names a person or a host."""
    from tcomp.codegen.host import host_target

    target = host_target()
    return {
        "cpu": target.cpu,
        "model": _model_name(),
        "cores": target.cores,
        "all_cores": os.cpu_count() or 1,
        "l1": target.l1,
        "l2": target.l2,
        "l3": target.l3,
        "vector_bits": target.vector_bits,
        "system": platform.system(),
        "machine": platform.machine(),
    }


@cache
def version_facts() -> dict[str, str]:
    """Versions that timings depend on."""
    import llvmlite
    import numpy

    return {
        "tcomp": tcomp.__version__,
        "llvmlite": llvmlite.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def _model_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()
