"""Tables in memory: the planes of a table's positions must not fall into the same sets of a cache.

A table is made at all its positions at once, 16 or 36 of them, or reads as many planes at once: so many
places whose distance is a multiple of 4096 bytes evict each other's lines (F(2, 3) of 64 channels of 56 x 56:
178 us, planes an odd number of lines apart 56 us). Only workspace can be laid out so, and only where makers
and readers take planes one at a time or all at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Definition, Read, Tensor, postorder
from tcomp.ir.tensor.tables import table_iters
from tcomp.schedule.contraction.match import match


def plane_axes(definitions: Iterable[Definition]) -> dict[Tensor, int]:
    """For each tensor whose planes should be apart, the last of the axes that count them."""
    known = tuple(definitions)
    if not any(map(table_iters, known)):
        return {}
    found = {d.tensor: len(_planes(d)) - 1 for d in known if _planes(d)}
    at_once = {d.tensor for d in known if table_iters(d)}
    for definition in known:
        for node in postorder(definition.body):
            if isinstance(node, Read) and node.tensor in found:
                index = node.index[: found[node.tensor] + 1]
                if all(i.is_constant for i in index):
                    at_once |= {node.tensor}
                elif not all(i in map(Int.of, _batch(definition)) for i in index):
                    del found[node.tensor]
    return {tensor: axis for tensor, axis in found.items() if tensor in at_once}


def _planes(definition: Definition) -> tuple[Iter, ...]:
    """The first iterators of a definition that are a table's, or a batch's of products."""
    planes = table_iters(definition) or _batch(definition)
    leading = definition.iters[: len(planes)]
    return leading if set(leading) == set(planes) and leading != definition.iters else ()


@lru_cache(1 << 10)
def _batch(definition: Definition) -> tuple[Iter, ...]:
    product = match(definition)
    return () if product is None else product.batch
