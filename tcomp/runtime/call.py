"""The compiled call wrapper around one kernel, as a Python callable.

The wrapper's code is the same for all kernels; what differs is its `self`, a tuple that begins with the
kernel's descriptor (`runtime.wrapper_ir`) and holds on to everything that the descriptor points to.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tcomp.runtime.memory import LARGE, empty
from tcomp.runtime.support import api_table, support
from tcomp.runtime.wrapper_ir import ArrayRecord, Descriptor

if TYPE_CHECKING:
    from tcomp.runtime.artifact import Argument
    from tcomp.runtime.kernel import Kernel

_METH_FASTCALL_KEYWORDS = 0x80 | 0x02
# Giving up the interpreter's lock costs 70 ns; calls predicted to be shorter than this keep it.
_WORTH_RELEASING_NS = 10_000


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def make_callable(
    kernel: Kernel, slow: Callable[..., Any], fail: Callable[[int], None]
) -> Callable[..., Any]:
    """A built-in function that runs the kernel on arrays that fit and else calls `slow`.

    `fail` raises what a status other than 0 means.
    """
    code = support()
    if not code.call:
        return slow
    artifact = kernel.artifact
    allocators = {
        a.name: partial(empty, a.stored_shape, a.stored_dtype.numpy)
        for a in artifact.results
        if a.nbytes >= LARGE
    }
    method = _MethodDef(artifact.entry.encode(), code.call, _METH_FASTCALL_KEYWORDS, None)
    descriptor = Descriptor(
        api=api_table(),
        entry=kernel.entry_address,
        parallel=code.parallel,
        pool=kernel.pool.address,
        threads=kernel.threads,
        release_gil=artifact.facts.get("nanoseconds", _WORTH_RELEASING_NS) >= _WORTH_RELEASING_NS,
        slow=id(slow),
        fail=id(fail),
        workspace_bytes=artifact.workspace_bytes(kernel.threads),
        inputs=tuple(_record(a, kernel.constants.get(a.name)) for a in artifact.inputs),
        results=tuple(_record(a, allocator=allocators.get(a.name)) for a in artifact.results),
    ).to_bytes()
    dtypes = tuple(a.stored_dtype.numpy for a in artifact.arguments)
    keep = (descriptor, method, slow, fail, kernel.library, kernel.constants, allocators, dtypes)
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p],
    )
    function: Callable[..., Any] = new(ctypes.addressof(method), keep, None)
    return function


def _record(argument: Argument, bound: Any = None, allocator: Any = None) -> ArrayRecord:
    return ArrayRecord(
        dtype=id(argument.stored_dtype.numpy),
        shape=argument.stored_shape,
        nbytes=argument.nbytes,
        bound=None if bound is None else bound.ctypes.data,
        allocator=0 if allocator is None else id(allocator),
    )
