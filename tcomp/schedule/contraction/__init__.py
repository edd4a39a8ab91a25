"""Contractions: matrix products in every guise, through packed operands and register tiles."""

from tcomp.schedule.contraction import stepwise
from tcomp.schedule.contraction.coded import CodedContraction
from tcomp.schedule.contraction.group import (
    KIND,
    analytical_trace,
    lower_contraction,
    match_group,
)
from tcomp.schedule.contraction.match import Contraction, match
from tcomp.schedule.contraction.space import ContractionSpace

__all__ = [
    "KIND",
    "CodedContraction",
    "Contraction",
    "ContractionSpace",
    "analytical_trace",
    "lower_contraction",
    "match",
    "match_group",
    "stepwise",
]
