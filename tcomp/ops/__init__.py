"""The scalar operations and reductions that tensor and loop programs are made of, one row each."""

from tcomp.ops.reductions import REDUCTIONS, Reduction
from tcomp.ops.registry import OPS, ScalarOp, TypeRule, result_type

__all__ = ["OPS", "REDUCTIONS", "Reduction", "ScalarOp", "TypeRule", "result_type"]
