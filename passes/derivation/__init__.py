"""Derivation: search for a cheaper program that is equal to the given one, with a proof log."""

from tcomp.passes.derivation.choose import candidates_holding, chosen, doubtful, replayed
from tcomp.passes.derivation.cost import Cost, arithmetic_cost, call_cost, least_cost
from tcomp.passes.derivation.derive import (
    Candidate,
    Derivation,
    DerivedPart,
    Measured,
    Race,
    contenders,
    derive,
)
from tcomp.passes.derivation.partition import Part
from tcomp.passes.derivation.rule import Rule, Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.derivation.whole import derive_whole, distinct_parts, holding

__all__ = [
    "RULES",
    "Candidate",
    "Cost",
    "Derivation",
    "DerivedPart",
    "Measured",
    "Part",
    "Race",
    "Rule",
    "Step",
    "arithmetic_cost",
    "call_cost",
    "candidates_holding",
    "chosen",
    "contenders",
    "derive",
    "derive_whole",
    "distinct_parts",
    "doubtful",
    "holding",
    "least_cost",
    "replayed",
]
