"""Accuracy: how much rounding a rewritten program adds, measured, and what each accuracy class allows."""

from tcomp.passes.accuracy.measure import measure
from tcomp.passes.accuracy.report import Accuracy

__all__ = ["Accuracy", "measure"]
