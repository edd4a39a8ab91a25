"""Elementary functions, divisions and conversions as primitive operations.

`expand` rewrites every composite operation of a loop expression into primitives that any processor has
(README of the family files: one file for each family of functions).
"""

from tcomp.codegen.math.expand import Accuracy, expand

__all__ = ["Accuracy", "expand"]
