"""Index rules: equalities that change iterators, their ranges and the layout of what is read.

They are OLLIE's (arXiv 2208.02025) and EinNet's (OSDI 2023), stated for total reads: outside a tensor a
read is its `else`, so that paddings are no attributes but facts that ranges and guards imply, and the
rules need no exception at borders.
"""

from tcomp.passes.derivation.index.table import INDEX_RULES

__all__ = ["INDEX_RULES"]
