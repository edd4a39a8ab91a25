"""Measures this machine once and remembers it: multiply-add peak, bandwidth of each memory level."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from tcomp import memory_speed
from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import compile_object
from tcomp.cost_model.machine import peak_module, read_module
from tcomp.runtime.artifact import Argument, Artifact
from tcomp.runtime.kernel import Kernel, load
from tcomp.runtime.threads import default_threads

if TYPE_CHECKING:
    from tcomp.ir.loop.nodes import Module

_BYTES_A_CALL = (
    64 << 20
)  # read by one call: some milliseconds, so that starting threads does not count


def machine_speed(again: bool = False) -> dict[str, Any]:
    """Gigaflops of f32 multiply-adds by one and by all threads, and gigabytes read a second by level.

    Measured in about two seconds the first time, then read from the user's cache folder.
    """
    target, threads = host_target(), default_threads()
    identity = memory_speed.identity(target, threads)
    path = memory_speed.path()
    kept = None if again else memory_speed.measured(identity)
    if kept is not None:
        return kept
    speed = _measured(threads)
    with suppress(OSError):  # a folder that cannot be written only costs the measurement
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps({"identity": identity, "speed": speed}), encoding="utf-8")
        temporary.replace(path)
    return speed


def peak_kernel(threads: int) -> tuple[Kernel, float]:
    """The canary of benchmarks: a kernel without inputs, and its operations a call."""
    module, operations = peak_module(host_target(), threads)
    return _kernel(module, threads), operations


def bandwidth_kernel(nbytes: int, threads: int) -> tuple[Kernel, np.ndarray[Any, Any], float]:
    """A kernel that reads an array of about `nbytes` bytes, the array, and the bytes that a call reads."""
    elements = max(1 << 14, nbytes // 4)
    repeats = max(1, (8 << 20) // (4 * elements))
    kernel = _kernel(read_module(host_target(), elements, threads, repeats), threads)
    return kernel, np.ones(elements, np.float32), 4.0 * elements * repeats


def _measured(threads: int) -> dict[str, Any]:
    target = host_target()
    speed: dict[str, Any] = {}
    for count in sorted({1, threads}):
        kernel, operations = peak_kernel(count)
        speed[f"peak_gflops_{count}"] = operations / min(kernel.time([], rounds=30))
    levels = {
        "l1": target.l1 // 2,
        "l2": target.l2 // 2,
        "l3": target.l3 // 4,
        "memory": 4 * target.l3,
    }
    for level, size in levels.items():
        for count in sorted({1, threads}):
            elements = size // 4 * (count if level in ("l1", "l2") else 1)
            repeats = max(1, _BYTES_A_CALL // (4 * elements))
            kernel = _kernel(read_module(target, elements, count, repeats), count)
            source = np.ones(elements, np.float32)
            nanoseconds = min(kernel.time([source], rounds=10))
            speed[f"{level}_gbytes_{count}"] = 4.0 * elements * repeats / nanoseconds
    return speed


def _kernel(module: Module, threads: int) -> Kernel:
    emitted = emit(module, host_target())
    arguments = tuple(
        Argument(b.name, b.dtype.name, (b.extent,), b.name == "Y") for b in module.arguments
    )
    artifact = Artifact(
        compile_object(emitted.text, host_target()),
        emitted.entry,
        arguments,
        emitted.shared_bytes,
        emitted.private_bytes,
    )
    return load(artifact, threads)
