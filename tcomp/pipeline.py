"""The way of a program, from bound definitions to object code: each step one line, with its reason.

`Stages` keeps what every step made, so that `dump` and `explain` show exactly what was compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcomp import passes, schedule
from tcomp.codegen import emit
from tcomp.codegen.llvm import assembly, compile_object
from tcomp.ir.loop.printer import print_module
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.printer import print_program
from tcomp.ir.tensor.verifier import verify
from tcomp.runtime.artifact import Argument, Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcomp.codegen.emit import Emitted
    from tcomp.ir.loop.nodes import Module
    from tcomp.ir.plan import Plan
    from tcomp.ir.tensor.nodes import Program, Tensor
    from tcomp.schedule.trace import Trace
    from tcomp.target import Target


@dataclass(frozen=True, slots=True)
class Stages:
    """What each step made of one program of concrete sizes."""

    program: Program
    plan: Plan
    traces: tuple[Trace, ...]
    loops: Module
    emitted: Emitted
    target: Target

    def text(self, stage: str) -> str:
        """The printed form of a stage: `program derived loops llvm asm`. Raises KeyError for another."""
        printers = {
            "program": lambda: print_program(self.program),
            "derived": lambda: print_program(self.plan.derived()),
            "loops": lambda: print_module(self.loops),
            "llvm": lambda: self.emitted.text,
            "asm": lambda: assembly(self.emitted.text, self.target),
        }
        return printers[stage]()


def specialise(program: Program, sizes: Mapping[str, int]) -> Program:
    """A program for concrete sizes, proven to read inside its tensors."""
    verify(program)  # a front end's slip must not become wrong code
    return bind(program, sizes)  # sizes, constraints and borders are decided here, with spans


def build(program: Program, target: Target, threads: int) -> Stages:
    """Every step from a bound program to LLVM text."""
    narrow = passes.bytes_for_nibbles(program)  # nothing behind knows of 4-bit types
    plan = passes.plan(narrow)  # what is computed: lifted, inlined, grouped
    traces = schedule.analytical(plan, target, threads)  # how: good without measuring
    loops = schedule.lower(plan, traces, target, threads)  # loops, vectors, tiles, threads
    emitted = emit(loops, target)  # instructions, still for LLVM to allocate registers
    return Stages(program, plan, traces, loops, emitted, target)


def compile_stages(stages: Stages) -> Artifact:
    """Object code with all that the runtime must know to call it."""
    return Artifact(
        object=compile_object(stages.emitted.text, stages.target),
        entry=stages.emitted.entry,
        arguments=(
            *(_argument(t, result=False) for t in stages.program.inputs),
            *(_argument(t, result=True) for t in stages.program.results),
        ),
        shared_bytes=stages.emitted.shared_bytes,
        private_bytes=stages.emitted.private_bytes,
        faults=stages.loops.faults,
    )


def _argument(tensor: Tensor, *, result: bool) -> Argument:
    shape = tuple(int(extent) for extent in tensor.shape)
    return Argument(tensor.name, tensor.dtype.name, shape, result)
