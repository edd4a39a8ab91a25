"""A field in which log(a b) = log(a) + log(b) and log(exp(a)) = a: what the logarithm of a softmax rests on.

Like `exponential_field`, but for a prime that is small enough to tabulate the exponents of all residues, and
seen from the other half: results are residues modulo Q. A residue or its negative is a power of the base, and its
logarithm is that exponent: a homomorphism of the field's multiplication to addition modulo Q. The logarithm's own
value modulo P means nothing and is an uninterpreted function.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tcomp.ir.tensor.interpreter import Array
from tcomp.ir.tensor.nodes import Apply
from tcomp.passes.verification.exponential_field import (
    BASES,
    HALF,
    MASK,
    ExponentialField,
    packed,
)
from tcomp.passes.verification.field import FieldInterpreter, mixed

P = 4_194_287  # the largest safe prime below 2**22
LOGARITHMS = {"log": "exp", "log2": "exp2"}


class LogarithmField(ExponentialField):
    """Evaluates with floats as pairs of residues; results are the residues modulo Q alone."""

    p, q = P, (P - 1) // 2

    def run(self) -> tuple[Array, ...]:
        found = zip(FieldInterpreter.run(self), self.program.results, strict=True)
        return tuple(a & MASK if t.dtype.is_float else a for a, t in found)

    def apply(self, node: Apply, operands: list[Array]) -> Array:
        if node.op not in LOGARITHMS:
            return super().apply(node, operands)
        exponents = _exponents()
        scale = pow(int(exponents[BASES[LOGARITHMS[node.op]]]), -1, self.q)
        low = exponents[operands[0] >> HALF] * scale % self.q
        return packed(mixed("p", [low]) % self.p, low)


@lru_cache(1)
def _exponents() -> Array:
    """The exponent of the base of `exp` for each residue or its negative; of 0 some number."""
    base, powers = BASES["exp"], np.ones(1, np.int64)
    while len(powers) < LogarithmField.q:
        powers = np.concatenate((powers, powers * pow(base, len(powers), P) % P))
    powers = powers[: LogarithmField.q]
    exponents = np.ones(P, np.int64)
    exponents[powers] = exponents[P - powers] = np.arange(len(powers))
    return exponents
