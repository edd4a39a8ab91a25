"""The runtime's own compiled code, loaded once a process: thread pool, call wrapper, timing loop.

Its object depends on the system and this version of tcomp only, so it lies in the cache like a kernel.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import platform
import struct
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from tcomp.runtime import wrapper_ir
from tcomp.runtime.jit import Library, compile_support, load_object
from tcomp.runtime.pool import system
from tcomp.runtime.pool_ir import pool_text
from tcomp.runtime.wrapper_ir import Layout, wrapper_text

_NEW_FROM_DESCR = 94  # in NumPy's API table, since 1.7
_log = logging.getLogger("tcomp")


@dataclass(frozen=True, slots=True)
class Support:
    """Addresses of the runtime's compiled functions; `call` and `install` are 0 without the wrapper."""

    parallel: int
    repeat: int
    call: int
    install: int


@cache
def support() -> Support:
    """The runtime's compiled code."""
    text = pool_text(system()) + wrapper_text(layout())
    names = ("tcomp_parallel", "tcomp_repeat", "tcomp_call", "tcomp_install")
    library = _library(text, names)
    library.keep_forever()  # the pool's threads run in it to the end
    parallel, repeat, call, install = (library.address(name) for name in names)
    if wrapper_works():
        return Support(parallel, repeat, call, install)
    _log.info("calls go through Python: this interpreter or NumPy is laid out differently")
    return Support(parallel, repeat, 0, 0)


def _library(text: str, names: tuple[str, ...]) -> Library:
    from tcomp.runtime import cache as store
    from tcomp.runtime.artifact import Artifact
    from tcomp.runtime.versions import toolchain

    identity = "\0".join((text, platform.machine(), sys.platform, toolchain()))
    key = hashlib.sha256(identity.encode()).hexdigest()
    known = store.default().get(key)
    if known is not None:
        return load_object(known.object, names)
    code = compile_support(text)
    store.default().put(key, Artifact(code, "tcomp_call", (), facts={"kind": "runtime support"}))
    return load_object(code, names)


# -- what the wrapper assumes --------------------------------------------------------------------------


@cache
def layout() -> Layout:
    """Where this interpreter keeps a tuple's items and a bytes object's data."""
    return Layout(tuple_items=tuple.__basicsize__, bytes_data=bytes.__basicsize__ - 1)


@cache
def wrapper_works() -> bool:
    """Whether objects lie in memory as the wrapper reads them, tried on samples."""
    usual = sys.implementation.name == "cpython" and "t" not in sys.abiflags
    if not usual or struct.calcsize("P") != 8 or sys.byteorder != "little":
        return False
    return _tuples_fit() and _arrays_fit()


def _tuples_fit() -> bool:
    data = b"tcomp probes this"
    pair = (data, data)
    first = _read(id(pair) + layout().tuple_items, "Q")
    text = ctypes.string_at(id(data) + layout().bytes_data, len(data))
    size = _read(id(pair) + 16, "q")
    kind = _read(id(pair) + 8, "Q")
    return first == id(data) and text == data and size == 2 and kind == id(tuple)


def _arrays_fit() -> bool:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    frozen = array[:, ::2]
    frozen.flags.writeable = False
    samples: tuple[Any, ...] = (array, frozen, np.zeros((0, 5), np.int8), np.array(1.5))
    return all(_array_fits(a) for a in samples)


def _array_fits(array: np.ndarray[Any, Any]) -> bool:
    at = id(array)
    rank = _read(at + wrapper_ir.ARRAY_NDIM, "i")
    flags = _read(at + wrapper_ir.ARRAY_FLAGS, "i")
    if rank != array.ndim or _read(at + 8, "Q") != id(np.ndarray):
        return False
    dims = _read(at + wrapper_ir.ARRAY_DIMS, "Q")
    shape = tuple(_read(dims + 8 * n, "q") for n in range(rank))
    dense = array.flags.c_contiguous and array.flags.aligned
    return (
        shape == array.shape
        and _read(at + wrapper_ir.ARRAY_DATA, "Q") == array.ctypes.data
        and _read(at + wrapper_ir.ARRAY_DESCR, "Q") == id(array.dtype)
        and (flags & wrapper_ir.DENSE == wrapper_ir.DENSE) == dense
        and bool(flags & wrapper_ir.WRITEABLE) == array.flags.writeable
    )


def _read(address: int, kind: str) -> int:
    value: int = struct.unpack("<" + kind, ctypes.string_at(address, struct.calcsize(kind)))[0]
    return value


# -- the API table -------------------------------------------------------------------------------------


@cache
def api_table() -> int:
    """The address of the table of functions and objects that the wrapper uses; it is never freed."""
    from tcomp.runtime.workspace import workspaces

    sources = {
        "PyArray_NewFromDescr": _numpy_function(_NEW_FROM_DESCR),
        "PyArray_Type": id(np.ndarray),
        "PyTuple_Type": id(tuple),
        "out": id(sys.intern("out")),
        "workspaces": workspaces().table,
    }
    values = [sources[name] if name in sources else _interpreter(name) for name in wrapper_ir.API]
    table = ctypes.create_string_buffer(struct.pack(f"<{len(values)}Q", *values))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(table))
    return ctypes.addressof(table)


def _interpreter(name: str) -> int:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def _numpy_function(number: int) -> int:
    umath: Any = import_module("numpy._core._multiarray_umath")
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = get(umath._ARRAY_API, None)
    return _read(table + 8 * number, "Q")
