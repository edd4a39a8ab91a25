"""From a bound program to a plan: the passes in order, each line with its reason."""

from __future__ import annotations

from tcomp.ir.plan import Plan
from tcomp.ir.tensor.nodes import Program
from tcomp.passes.blocks import in_blocks
from tcomp.passes.group import group
from tcomp.passes.inline import drop_unread, inline
from tcomp.passes.lift import lift, split_products
from tcomp.passes.share import share_equal
from tcomp.passes.simplify import simplify


def plan(program: Program) -> Plan:
    """The plan of a bound program (all extents constant, no 4-bit tensors)."""
    program = simplify(program)  # provable guards vanish, so later passes see plain reads
    program = drop_unread(program)  # nothing is planned for what no result needs
    program = share_equal(program)  # nor twice
    program = lift(program)  # reductions that loops would repeat become definitions
    program = inline(program)  # producers that need no memory join their readers
    program = simplify(program)  # inlined guards may be provable at their new place
    program = drop_unread(program)
    program = split_products(program)  # the contraction generator makes one product at a time
    grouped = group(program)  # definitions that share rows are made together
    return in_blocks(grouped)  # groups between which too much would go through memory
