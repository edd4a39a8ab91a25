"""tcomp: tensor programs in index notation, derived, scheduled and compiled to CPU kernels.

`import tcomp` stays cheap: names load what they need on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcomp.api import compile, load
    from tcomp.autotune.database import Database
    from tcomp.checking import CheckReport, check
    from tcomp.compiled import Compiled
    from tcomp.diagnostics import BindingError, CompileError, Error, InternalError
    from tcomp.subscripts import einsum
    from tcomp.tuning import TuneReport, tune

__version__ = "0.1.0"

_HOME = {
    "BindingError": "tcomp.diagnostics",
    "CheckReport": "tcomp.checking",
    "CompileError": "tcomp.diagnostics",
    "Compiled": "tcomp.compiled",
    "Database": "tcomp.autotune.database",
    "Error": "tcomp.diagnostics",
    "InternalError": "tcomp.diagnostics",
    "check": "tcomp.checking",
    "compile": "tcomp.api",
    "einsum": "tcomp.subscripts",
    "load": "tcomp.api",
    "TuneReport": "tcomp.tuning",
    "tune": "tcomp.tuning",
}

__all__ = [
    "BindingError",
    "CheckReport",
    "CompileError",
    "Compiled",
    "Database",
    "Error",
    "InternalError",
    "TuneReport",
    "__version__",
    "check",
    "compile",
    "einsum",
    "load",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tcomp' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
