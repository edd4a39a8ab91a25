"""Arrays out: fresh results, and `out=` checked, with a detour where it is not dense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tcomp.diagnostics import BindingError
from tcomp.ir.nibbles import unpack_nibbles
from tcomp.runtime.arrays import Array, as_array, check_shape, check_type
from tcomp.runtime.artifact import Argument
from tcomp.runtime.memory import empty

_ROLE = "out for"  # how messages call these arrays


@dataclass(frozen=True, slots=True)
class Output:
    """One result of a call: `target` is what the kernel writes, `user` where it must end up, if elsewhere."""

    argument: Argument
    target: Array
    user: Array | None = None

    def finish(self) -> None:
        """Copies a result into the caller's array that the kernel could not write itself."""
        if self.user is None:
            return
        if self.argument.element.is_packed and self.user.dtype == self.argument.element.numpy:
            signed, shape = self.argument.element.is_signed, self.argument.shape
            length = shape[-1] if shape else 1
            values = unpack_nibbles(np.atleast_1d(self.target), length, signed)
            self.user[...] = values.reshape(shape).astype(self.user.dtype)
        else:
            self.user[...] = self.target


def fresh(argument: Argument) -> Array:
    """A new array for a result. 4-bit results are packed into uint8."""
    return empty(argument.stored_shape, argument.stored_dtype.numpy)


def given(value: Any, argument: Argument, others: Sequence[Array]) -> Output:
    """The caller's array for a result.

    Raises BindingError: TC074-TC077 where it is not the result's type and shape, TC079 where it is read-only,
    TC080 where its memory meets that of one of `others` or its own elements share memory.
    """
    array = as_array(value, argument.name, role=_ROLE)
    check_type(array, argument.element, argument.name, _ROLE)
    logical = argument.element.is_packed and array.dtype == argument.element.numpy
    check_shape(array, argument.shape if logical else argument.stored_shape, argument, _ROLE)
    if not array.flags.writeable:
        raise BindingError(
            f"out for '{argument.name}' is read-only", code="TC079", hint="pass a writeable array"
        )
    if _shares_with_itself(array) or any(overlap(array, other) for other in others):
        raise BindingError(
            f"out for '{argument.name}' overlaps another array of the call",
            code="TC080",
            hint="results are written while inputs are still read: pass separate memory",
        )
    direct = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
    if direct and not logical:
        return Output(argument, array)
    return Output(argument, fresh(argument), array)


def split(out: Any, results: Sequence[Argument]) -> list[Any]:
    """`out=` as one value for each result. Raises BindingError (TC078) for another number of them."""
    if len(results) == 1 and not isinstance(out, tuple | list):
        return [out]
    if not isinstance(out, tuple | list) or len(out) != len(results):
        came = f"{len(out)} values" if isinstance(out, tuple | list) else f"a {type(out).__name__}"
        names = ", ".join(a.name for a in results)
        raise BindingError(
            f"out must hold {len(results)} arrays ({names}), but is {came}", code="TC078"
        )
    return list(out)


def overlap(a: Array, b: Array) -> bool:
    """Whether two arrays share memory; where that is too hard to decide, that they do."""
    if not np.may_share_memory(a, b):
        return False
    try:
        effort: Any = 100_000  # NumPy's stubs know only two of its values
        return bool(np.shares_memory(a, b, max_work=effort))
    except np.exceptions.TooHardError:
        return True


def _shares_with_itself(array: Array) -> bool:
    if array.size <= 1 or array.flags.c_contiguous:
        return False
    steps = sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1)
    reach = array.itemsize
    for step, count in steps:  # sufficient: each axis steps over all that the smaller ones cover
        if step < reach:
            return True
        reach += step * (count - 1)
    return False
