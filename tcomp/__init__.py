"""tcomp: tensor programs in index notation, derived, scheduled and compiled to CPU kernels.

`import tcomp` stays cheap: names load what they need on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcomp.diagnostics import BindingError, CompileError, Error, InternalError

__version__ = "0.1.0"

_HOME = {
    "Error": "tcomp.diagnostics",
    "CompileError": "tcomp.diagnostics",
    "BindingError": "tcomp.diagnostics",
    "InternalError": "tcomp.diagnostics",
}

__all__ = ["BindingError", "CompileError", "Error", "InternalError", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tcomp' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
