"""Verification: two programs that should be equal are evaluated over a prime field and compared."""

from tcomp.passes.verification.field import PRIME, FieldInterpreter
from tcomp.passes.verification.verify import Verdict, known_equal, verify_equal

__all__ = ["PRIME", "FieldInterpreter", "Verdict", "known_equal", "verify_equal"]
