"""DLPack for the element types that NumPy's own import does not know: bfloat16 and the 8-bit floats.

Structures as in dlpack.h of DLPack 1.1 (dmlc/dlpack), the unversioned exchange.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType, bf16, f8e4m3, f8e5m2

# DLDataTypeCode and bits -> element type
_TYPES: dict[tuple[int, int], DType] = {(4, 16): bf16, (10, 8): f8e4m3, (12, 8): f8e5m2}


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Exported:
    """Memory of another library, alive as long as its capsule: the base of the array over it."""

    def __init__(self, capsule: Any, interface: dict[str, Any]) -> None:
        self.capsule = capsule
        self.__array_interface__ = interface


def from_dlpack(value: Any) -> np.ndarray[Any, Any]:
    """An array over the memory of any DLPack object on the processor. Raises BufferError."""
    try:
        return np.from_dlpack(value)
    except (RuntimeError, BufferError, TypeError, ValueError) as cause:
        known = _narrow_float(value)
        if known is None:
            raise BufferError(str(cause)) from cause
        return known


def _narrow_float(value: Any) -> np.ndarray[Any, Any] | None:
    try:
        capsule = value.__dlpack__()
        pointer = _pointer(capsule)
    except (RuntimeError, BufferError, TypeError, ValueError):
        return None
    tensor = _Tensor.from_address(pointer)
    element = _TYPES.get((tensor.code, tensor.bits))
    if element is None or tensor.lanes != 1:
        return None
    shape = tuple(tensor.shape[n] for n in range(tensor.ndim))
    strides = None
    if tensor.strides:
        strides = tuple(tensor.strides[n] * element.bytes for n in range(tensor.ndim))
    interface = {
        "version": 3,
        "data": ((tensor.data or 0) + tensor.byte_offset, False),
        "shape": shape,
        "strides": strides,
        "typestr": f"<u{element.bytes}",
    }
    return np.asarray(_Exported(capsule, interface)).view(element.numpy)


def _pointer(capsule: Any) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(capsule, b"dltensor"))
