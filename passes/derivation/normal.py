"""The normal form of states, and the mark that tells them apart."""

from __future__ import annotations

from tcomp.ir.tensor.canonical import result_digests
from tcomp.ir.tensor.nodes import Program
from tcomp.passes.inline import drop_unread, inline
from tcomp.passes.lift import lift
from tcomp.passes.share import share_equal
from tcomp.passes.simplify import simplify


def normal_form(program: Program) -> Program:
    """The form in which states are compared: what planning does to every program anyway, so that only
    what goes beyond it counts as a step."""
    return share_equal(inline(lift(share_equal(drop_unread(simplify(program))))))


def mark(program: Program) -> tuple[str, ...]:
    """Equal for programs of one source that say the same, whatever their iterators and locals are called.

    It names each result by the digest of its canonical definition, and that names what it reads in turn.
    """
    return result_digests(program)
