"""Arrays in: any object that holds one becomes the dense NumPy array that kernels read.

An array that already is dense, aligned, C-ordered and in native byte order is passed as it is; others are
copied. All refusals are `BindingError`s that name the argument, what was expected and what came.
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np

from tcomp.diagnostics import BindingError
from tcomp.ir.dtypes import DType, dtype
from tcomp.ir.nibbles import pack_nibbles
from tcomp.runtime.artifact import Argument

Array: TypeAlias = np.ndarray[Any, Any]

_CPU, _PINNED = 1, 3  # DLPack device types whose memory the processor reads


def as_array(value: Any, name: str, element: DType | None = None, role: str = "argument") -> Array:
    """A NumPy array over an argument's memory, without a copy where that is possible.

    Takes arrays of NumPy, Python and NumPy numbers (of type `element` where it is given), objects with
    `__dlpack__`, with the buffer protocol, or with `__array__`. Raises BindingError (TC077, TC082).
    """
    if isinstance(value, np.ndarray):
        masked = sys.modules.get("numpy.ma")  # touching np.ma would import it: 10 ms
        if masked is not None and isinstance(value, masked.MaskedArray):
            raise _no_array(role, name, value, "fill the mask first: array.filled(value)")
        return np.asarray(value)
    if isinstance(value, bool | int | float | np.generic):
        return _number(value, name, element)
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value, name, role)
    if isinstance(value, list | tuple | set | dict | str | complex) or value is None:
        raise _no_array(role, name, value, "pass numpy.asarray(..., dtype=...)")
    try:
        return np.asarray(memoryview(value))
    except (TypeError, ValueError, BufferError):
        pass
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return np.asarray(value)
    raise _no_array(role, name, value, "arrays come from NumPy, DLPack or the buffer protocol")


def dense(array: Array, argument: Argument) -> Array:
    """The array as the kernel reads it: right type and shape, C-ordered, aligned, native byte order.

    Raises BindingError (TC074, TC075, TC076) where type, rank or sizes are not the argument's.
    """
    element = argument.element
    check_type(array, element, argument.name)
    if element.is_packed and array.dtype == element.numpy:
        check_shape(array, argument.shape, argument)
        array = pack_nibbles(array) if argument.shape else array.astype(np.uint8) & 15
    else:
        check_shape(array, argument.stored_shape, argument)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.array(array, order="C", copy=True, subok=False)


def ready(value: Any, kind: np.dtype[Any], shape: tuple[int, ...]) -> Array | None:
    """What `dense` would make of an array of exactly that dtype and shape; None for anything else."""
    if type(value) is not np.ndarray or value.dtype is not kind or value.shape != shape:
        return None
    flags = value.flags
    if flags.c_contiguous and flags.aligned:
        return value
    return np.array(value, order="C", copy=True)


def check_type(array: Array, element: DType, name: str, role: str = "argument") -> None:
    """Raises BindingError (TC074) unless the array's elements are of that type, in any byte order."""
    if element_of(array, element) is None:
        raise BindingError(
            f"{role} '{name}' has dtype {array.dtype}, expected {_expected(element)}",
            code="TC074",
            hint=f"convert it with .astype({_type_hint(element)})",
        )


def check_shape(
    array: Array, shape: tuple[int, ...], argument: Argument, role: str = "argument"
) -> None:
    """Raises BindingError (TC075 for the rank, TC076 for a size) unless the array has that shape."""
    if array.shape == shape:
        return
    packed = " (4-bit elements, two to a byte)" if argument.element.is_packed else ""
    if array.ndim != len(shape):
        raise BindingError(
            f"{role} '{argument.name}' has {_axes(array.ndim)} (shape {array.shape}), "
            f"expected {_axes(len(shape))} (shape {shape}{packed})",
            code="TC075",
        )
    axis = next(n for n, (a, b) in enumerate(zip(array.shape, shape, strict=True)) if a != b)
    raise BindingError(
        f"{role} '{argument.name}' has shape {array.shape}, expected {shape}{packed}: "
        f"axis {axis} has size {array.shape[axis]}, not {shape[axis]}",
        code="TC076",
    )


def element_of(array: Array, expected: DType) -> DType | None:
    """The language's type of an array's elements, `expected` if they are that; None where they are not.

    4-bit elements come packed in uint8, or as ml_dtypes' own arrays.
    """
    kind = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
    if kind == expected.numpy or (expected.is_packed and kind == np.dtype(np.uint8)):
        return expected
    return None


def _number(value: Any, name: str, element: DType | None) -> Array:
    """A number as an array of rank 0: a float may not become an integer, nor an integer overflow."""
    if element is None:
        return np.asarray(value)
    wanted = dtype("u8") if element.is_packed else element
    is_float = isinstance(value, float | np.floating) or (
        isinstance(value, np.generic) and value.dtype.kind not in "biu"
    )
    if (is_float and not element.is_float) or (
        element.is_bool and not isinstance(value, bool | np.bool)
    ):
        raise BindingError(
            f"argument '{name}' is {value!r}, expected a number of type {element}", code="TC074"
        )
    if not element.is_float and not element.is_bool and not _fits(int(value), element):
        raise BindingError(
            f"argument '{name}' is {value}, which {element} cannot hold", code="TC074"
        )
    with np.errstate(over="ignore"):
        if element.is_packed:
            return np.asarray(int(value) & 15, dtype=np.uint8)
        return np.asarray(value).astype(wanted.numpy)


def _fits(value: int, element: DType) -> bool:
    low = -(1 << (element.bits - 1)) if element.is_signed else 0
    return low <= value < low + (1 << element.bits)


def _from_dlpack(value: Any, name: str, role: str) -> Array:
    device = value.__dlpack_device__()[0] if hasattr(value, "__dlpack_device__") else _CPU
    if int(device) not in (_CPU, _PINNED):
        raise BindingError(
            f"{role} '{name}' is on another device (DLPack device type {int(device)})",
            code="TC082",
            hint="copy it to the host's memory first",
        )
    from tcomp.runtime.dlpack import from_dlpack

    try:
        return from_dlpack(value)
    except BufferError as cause:
        if hasattr(value, "__array__"):
            return np.asarray(value)
        raise _no_array(role, name, value, f"its DLPack export failed: {cause}") from cause


def _no_array(role: str, name: str, value: Any, hint: str) -> BindingError:
    return BindingError(
        f"{role} '{name}' is no array but a {type(value).__name__}", code="TC077", hint=hint
    )


def _expected(element: DType) -> str:
    if element.is_packed:
        return f"{element} (uint8 with two elements a byte, or ml_dtypes.{element.numpy_name})"
    return f"{element} ({element.numpy.name})"


def _type_hint(element: DType) -> str:
    home = "np" if hasattr(np, element.numpy_name) else "ml_dtypes"
    return f"{home}.{element.numpy_name}"


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"
