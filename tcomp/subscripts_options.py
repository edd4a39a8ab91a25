"""The options of `tcomp.einsum` that say how the result is handed over: `out`, `casting` and `order`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tcomp.diagnostics import BindingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcomp.subscripts import Equation

_CASTINGS = ("no", "equiv", "safe", "same_kind", "unsafe")


def checked_order(order: Any) -> str:
    """`order` as an upper-case letter. Raises BindingError for any but C, F, A and K."""
    letter = order.upper() if isinstance(order, str) else order
    if letter not in ("C", "F", "A", "K"):
        raise BindingError(f"einsum: order must be C, F, A or K, not {order!r}", code="TC085")
    return str(letter)


def check_casting_name(casting: Any) -> None:
    """Raises BindingError for a rule that NumPy's einsum does not take."""
    if casting not in _CASTINGS:
        raise BindingError(
            f"einsum: casting must be one of {', '.join(_CASTINGS)}, not {casting!r}", code="TC085"
        )


def check_out(out: Any) -> None:
    """Raises BindingError for an `out` that is no array."""
    if out is not None and not isinstance(out, np.ndarray):
        raise BindingError(f"einsum: out must be an array, not {type(out).__name__}", code="TC085")


def in_order(result: Any, order: str, equation: Equation, arrays: Sequence[Any]) -> Any:
    """A fresh result in the memory order asked for; a NumPy scalar where it has no axes."""
    if result.ndim == 0:
        return result[()]
    if order == "F" or (order == "A" and all(a.flags.f_contiguous for a in arrays)):
        return np.asfortranarray(result)
    if order != "K":
        return result
    slow_to_fast = _kept_order(equation, arrays)
    if slow_to_fast == list(range(result.ndim)):
        return result
    moved = np.ascontiguousarray(result.transpose(slow_to_fast))
    return moved.transpose(np.argsort(slow_to_fast))


def _kept_order(equation: Equation, arrays: Sequence[Any]) -> list[int]:
    """Result axes from the slowest to the fastest, as near to the operands' memory order as can be.

    NumPy's rule (nditer, order "K"): an axis goes before another where some operand that has both says so
    and no operand before it disagrees; axes that no operand relates keep C order.
    """
    strides = [_strides(labels, a) for labels, a in zip(equation.inputs, arrays, strict=True)]
    order: list[int] = []  # from fast to slow
    for axis in reversed(range(len(equation.output))):
        place = len(order)
        for position in range(len(order) - 1, -1, -1):
            slower = _is_slower(equation.output[order[position]], equation.output[axis], strides)
            if slower is False:
                break
            if slower:
                place = position
        order.insert(place, axis)
    return order[::-1]


def _strides(labels: Sequence[str], array: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for label, stride, extent in zip(labels, array.strides, array.shape, strict=True):
        found[label] = found.get(label, 0) + (abs(stride) if extent > 1 else 0)
    return found


def _is_slower(one: str, other: str, strides: Sequence[dict[str, int]]) -> bool | None:
    """Whether operands say that `one` has the longer stride; None where no operand has both."""
    verdict: bool | None = None
    for operand in strides:
        a, b = operand.get(one, 0), operand.get(other, 0)
        if a and b:
            if a <= b:
                verdict = False
            elif verdict is None:
                verdict = True
    return verdict
