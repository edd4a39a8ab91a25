"""The interior of guarded reads: where every guard holds, masks and alternatives fall away.

Guards are tests of affine positions against ranges, so they hold for all lanes of a vector if they hold
for its first and its last one: a scalar test decides for a whole vector. Border vectors stay masked.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.ir.dtypes import boolean
from tcomp.ir.loop.nodes import Expr, IntValue, Load, LoopVar, Op, postorder, rewrite


@dataclass(frozen=True, slots=True)
class Interior:
    """`value` is right where `inside` holds."""

    inside: Expr
    value: Expr


def interior(expr: Expr, counter: LoopVar) -> Interior | None:
    """The interior of a scalar expression along a counter; None where it has no guards of that kind."""
    guards = {n.mask for n in postorder(expr) if isinstance(n, Load) and n.mask is not None}
    if not guards or not all(_is_range(g, counter) for g in guards):
        return None

    def unguarded(node: Expr) -> Expr | None:
        match node:
            case Load(buffer, index, lanes, stride, mask, word) if mask is not None:
                return Load(buffer, index, lanes, stride, None, word)
            case Op("where", (condition, then, _), _) if condition in guards:
                return then
        return None

    inside, *others = sorted(guards, key=lambda g: g.key)
    for guard in others:
        inside = Op("and", (inside, guard), boolean)
    return Interior(inside, rewrite(expr, unguarded))


def _is_range(guard: Expr, counter: LoopVar) -> bool:
    """Whether a guard is a conjunction of range tests of positions that are affine along the counter."""
    match guard:
        case Op("and", (left, right), _):
            return _is_range(left, counter) and _is_range(right, counter)
        case Op("lt" | "ge", (IntValue(base, _, _, _), _), _):
            return base.coefficient(counter) is not None
    return False
