"""`tcomp.check`: a compiled function beside the reference interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcomp.ir.tensor.comparison import CheckReport, ResultError, compare

if TYPE_CHECKING:
    from tcomp.compiled import Compiled

__all__ = ["CheckReport", "ResultError", "check", "compare"]


def check(function: Compiled, *arrays: Any, **named: Any) -> CheckReport:
    """Calls a compiled function and the reference interpreter on the same arguments.

    The report is true where every result is as close as rounding explains; see
    `tcomp.ir.tensor.comparison.compare`.
    """
    actual = function(*arrays, **named)
    program, inputs = function.bound_program(*arrays, **named)
    return compare(program, inputs, actual if isinstance(actual, tuple) else (actual,))
