"""The language: text to tensor programs.

`parse` reads text into a syntax tree, `signature` tells what a def takes and gives, `lower` makes its
tensor program.
"""

from tcomp.lang.lower import lower
from tcomp.lang.parser import parse
from tcomp.lang.signature import Argument, Generic, Signature, signature
from tcomp.lang.syntax import Module

__all__ = ["Argument", "Generic", "Module", "Signature", "lower", "parse", "signature"]
