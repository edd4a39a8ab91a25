"""The normal form of states."""

from __future__ import annotations

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.inline import drop_unread, inline
from tcomp.passes.lift import lift
from tcomp.passes.share import share_equal
from tcomp.passes.simplify import simplify
from tcomp.passes.views import parts_of_views


def normal_form(program: Program) -> Program:
    """The form in which states are compared: what planning does to every program anyway, so that only
    what goes beyond it counts as a step. Conditions of what was inlined may be decided where it stands."""
    lifted = lift(share_equal(drop_unread(simplify(program))))
    inlined = inline(lifted)
    whole = inlined if inlined is lifted else simplify(inlined)
    return share_equal(drop_unread(parts_of_views(whole)))
