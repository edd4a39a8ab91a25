"""Rewrites of tensor programs. Import it as `tcomp.passes`."""

if not __name__.startswith("tcomp."):
    raise ImportError("import this package as 'tcomp.passes'")

from tcomp.passes.constants import split_constants
from tcomp.passes.nibbles import bytes_for_nibbles
from tcomp.passes.planning import plan

__all__ = ["bytes_for_nibbles", "plan", "split_constants"]
