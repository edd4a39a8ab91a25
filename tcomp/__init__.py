"""tcomp: tensor programs in index notation, derived, scheduled and compiled to CPU kernels.

`import tcomp` stays cheap: names load what they need on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcomp.api import compile, load
    from tcomp.checking import CheckReport, check
    from tcomp.compiled import Compiled
    from tcomp.diagnostics import BindingError, CompileError, Error, InternalError
    from tcomp.einsum import einsum
    from tcomp.tune.database import Database

__version__ = "0.1.0"

_HOME = {
    "BindingError": "tcomp.diagnostics",
    "CheckReport": "tcomp.checking",
    "CompileError": "tcomp.diagnostics",
    "Compiled": "tcomp.compiled",
    "Database": "tcomp.tune.database",
    "Error": "tcomp.diagnostics",
    "InternalError": "tcomp.diagnostics",
    "check": "tcomp.checking",
    "compile": "tcomp.api",
    "einsum": "tcomp.einsum",
    "load": "tcomp.api",
}

__all__ = [
    "BindingError",
    "CheckReport",
    "CompileError",
    "Compiled",
    "Database",
    "Error",
    "InternalError",
    "__version__",
    "check",
    "compile",
    "einsum",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tcomp' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
