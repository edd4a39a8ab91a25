"""Derivation: search for a cheaper program that is equal to the given one, with a proof log."""

from tcomp.passes.derivation.choose import chosen
from tcomp.passes.derivation.cost import Cost, arithmetic_cost, call_cost, least_cost
from tcomp.passes.derivation.derive import Candidate, Derivation, DerivedPart, derive
from tcomp.passes.derivation.rule import Rule, Step
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.derivation.whole import derive_whole, holding

__all__ = [
    "RULES",
    "Candidate",
    "Cost",
    "Derivation",
    "DerivedPart",
    "Rule",
    "Step",
    "arithmetic_cost",
    "call_cost",
    "chosen",
    "derive",
    "derive_whole",
    "holding",
    "least_cost",
]
