"""Which epilogues a contraction's vectors can make."""

from __future__ import annotations

from tcomp.ir.tensor.nodes import Expr, IndexValue, Read
from tcomp.schedule.contraction.match import Contraction


def has_even_epilogue(contraction: Contraction) -> bool:
    """Whether what stands around the sum steps evenly along the last column, as vectors do.

    `sum[k](A[i, k] * B[k, j]) + b[j//4]` does not, nor a gather by `ids[j]`: the general nest makes those.
    """
    column = contraction.vector
    pending: list[Expr] = [contraction.definition.body]
    seen: set[Expr] = {contraction.total}
    while pending:
        node = pending.pop()
        if node is contraction.total:
            continue
        index = node.index if isinstance(node, Read) else ()
        index = (node.index,) if isinstance(node, IndexValue) else index
        if any(each.coefficient(column) is None for each in index):
            return False
        fresh = [child for child in node.children() if child not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    return True
