"""Workloads: a group of a plan as a program of its own, which can be stored, replayed and tuned alone.

What is bound before any call decides how fast a schedule is (weights are packed once): a first line of the
text names those inputs.

    # bound: W
    def workload(X: f32[8, 64], W: f32[64, 64]) -> Y: f32[8, 64]: ...
"""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.ir.plan import Group
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.canonical import fingerprint
from tcomp.ir.tensor.nodes import Program, Read, Tensor, postorder
from tcomp.ir.tensor.printer import print_program
from tcomp.lang import lower, parse
from tcomp.lang.words import BIT_FUNCTIONS, FUNCTIONS

_BOUND = "# bound: "


def identity(group: Group) -> str:
    """What equal workloads have in common: the fingerprint, and which inputs are bound, by position."""
    program = workload_of(group)
    bound = [str(n) for n, t in enumerate(program.inputs) if t in group.constants]
    return "+".join([fingerprint(program), *bound])


def text_of(group: Group) -> str:
    """The workload as text, from which `read_text` makes it again."""
    program = workload_of(group)
    return with_bound(program, [t.name for t in program.inputs if t in group.constants])


def with_bound(program: Program, names: Sequence[str]) -> str:
    """A program as text for `read_text`, which says what of its inputs is bound."""
    head = f"{_BOUND}{', '.join(names)}\n" if names else ""
    return head + print_program(program)


def read_text(text: str) -> tuple[Program, frozenset[Tensor]]:
    """A stored workload, and those of its inputs that are bound. Raises CompileError where this version
    reads the language otherwise."""
    first = text.partition("\n")[0]
    names = first.removeprefix(_BOUND).split(", ") if first.startswith(_BOUND) else []
    program = bind(lower(parse(text), functions=FUNCTIONS | BIT_FUNCTIONS), {})
    return program, frozenset(t for t in program.inputs if t.name in names)


def workload_of(group: Group) -> Program:
    """The program that makes what a group makes: its inputs are the tensors that the group reads.

    Scratch tensors stay local. Planning this program gives the group again.
    """
    made = {d.tensor for d in group.members}
    inputs: dict[Tensor, None] = {}
    for definition in group.members:
        for node in postorder(definition.body):
            if isinstance(node, Read) and node.tensor not in made:
                inputs[node.tensor] = None
    results = tuple(d.tensor for d in group.members if d.tensor not in group.scratch)
    return Program("workload", (), tuple(inputs), results, group.statements())
