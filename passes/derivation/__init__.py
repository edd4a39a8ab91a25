"""Derivation: search for a cheaper program that is equal to the given one, with a proof log."""

from tcomp.passes.derivation.choose import chosen, holding, replayed
from tcomp.passes.derivation.cost import Cost, arithmetic_cost, call_cost, least_cost
from tcomp.passes.derivation.derive import Candidate, Derivation, Measured, contenders, derive
from tcomp.passes.derivation.rule import Rule, Step
from tcomp.passes.derivation.rules import RULES

__all__ = [
    "RULES",
    "Candidate",
    "Cost",
    "Derivation",
    "Measured",
    "Rule",
    "Step",
    "arithmetic_cost",
    "call_cost",
    "chosen",
    "contenders",
    "derive",
    "holding",
    "least_cost",
    "replayed",
]
