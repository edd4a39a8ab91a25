"""The way of a program, from bound definitions to object code: each step one line, with its reason.

`Stages` keeps what every step made, so that `dump` and `explain` show exactly what was compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcomp import passes, schedule
from tcomp.autotune.forms import known_form
from tcomp.autotune.lookup import known_schedules
from tcomp.codegen.emit import emit
from tcomp.codegen.llvm import assembly, compile_object
from tcomp.collecting import paused
from tcomp.ir.loop.printer import print_module
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.printer import print_program
from tcomp.ir.tensor.verifier import verify
from tcomp.memory_speed import relative_rates
from tcomp.passes.derivation import (
    Derivation,
    call_cost,
    derive,
    derive_whole,
    doubtful,
    least_cost,
    replayed,
)
from tcomp.passes.derivation.machine import AVX512, Machine
from tcomp.runtime.artifact import Argument, Artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcomp.codegen.emit import Emitted
    from tcomp.ir.loop.nodes import Buffer, Module
    from tcomp.ir.plan import Plan
    from tcomp.ir.tensor.nodes import Program, Tensor
    from tcomp.options import Options
    from tcomp.schedule.trace import Trace
    from tcomp.target import Target

DERIVE_SECONDS = (
    0.16  # of the processor, in a compilation; `tcomp derive --seconds` searches longer
)
# States without progress in that time. Of 150 workloads the one that took longest to show any gain showed it
# with the 41st state; a box filter of 15 x 15 improved with its 5th state and then with its 150th.
PATIENCE = 96


@dataclass(frozen=True, slots=True)
class Stages:
    """What each step made of one program of concrete sizes."""

    program: Program
    derivation: Derivation
    once: Program | None  # what folds the constants, before any call
    called: Program  # what every call computes
    plan: Plan
    traces: tuple[Trace, ...]
    loops: Module
    packing: Module | None  # what packs constant operands, before any call
    emitted: Emitted
    target: Target

    def text(self, stage: str) -> str:
        """The printed form of a stage: `program derived loops llvm asm`. Raises KeyError for another."""
        printers: dict[str, Callable[[], str]] = {
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


@paused()
def build(program: Program, options: Options, constants: frozenset[str] = frozenset()) -> Stages:
    """Every step from a bound program to LLVM text. `constants` names inputs that are bound for good."""
    derivation = chosen_form(program, options, constants)  # cheaper equal definitions
    return _scheduled(program, derivation, options, constants)


@paused()
def build_form(
    program: Program,
    derivation: Derivation,
    options: Options,
    constants: frozenset[str] = frozenset(),
) -> Stages:
    """The same with a derivation that is given: what is shown, or raced, is what is built."""
    return _scheduled(program, derivation, options, constants)


@paused()
def build_as_written(
    program: Program, options: Options, constants: frozenset[str] = frozenset()
) -> Stages:
    """The same without deriving: what a derivation is measured against."""
    return _scheduled(program, derive(program, rules=()), options, constants)


def _scheduled(
    program: Program, derivation: Derivation, options: Options, constants: frozenset[str]
) -> Stages:
    once, called, plan = planned(program, derivation.program, constants)
    analytical = schedule.analytical(plan, options.target, options.threads)  # without measuring
    traces = known_schedules(plan, analytical, options)  # what was measured to be better
    loops, packing = schedule.lower_apart(
        plan, traces, options.target, options.threads
    )  # vectors, tiles, threads
    emitted = emit(loops, options.target)  # instructions; LLVM allocates registers
    return Stages(
        program, derivation, once, called, plan, traces, loops, packing, emitted, options.target
    )


def planned(
    program: Program, form: Program, constants: frozenset[str]
) -> tuple[Program | None, Program, Plan]:
    """A form of a program divided into what is computed once and what every call computes, and the latter's plan."""
    narrow = passes.bytes_for_nibbles(form)  # nothing behind knows of 4-bit types
    once, called = passes.split_constants(narrow, constants)  # weights do their part once
    free = {t.name for t in program.inputs} - constants
    bound = frozenset(t for t in called.inputs if t.name not in free)
    plan = replace(passes.plan(called), constants=bound)  # lifted, inlined, grouped
    return once, called, schedule.completed(plan)


@paused()
def chosen_form(
    program: Program,
    options: Options,
    constants: frozenset[str] = frozenset(),
    seconds: float = DERIVE_SECONDS,
) -> Derivation:
    """The form that was measured to be the fastest, where there is a record of that, else the one that should be
    by the estimates; for each part of a program. All are proven equal and accurate enough."""
    machine = machine_of(options)

    def search(part: Program, known: frozenset[str], share: float) -> Derivation:
        return measured_form(part, options, known) or searched(
            part, options.accuracy, known, share, machine, patience=seconds
        )

    return _in_parts(program, options.accuracy, constants, seconds, machine, search)


def measured_form(
    program: Program, options: Options, constants: frozenset[str] = frozenset()
) -> Derivation | None:
    """The form that the latest race on record chose, if it still holds."""
    known = known_form(program, constants, options)
    if known is None:
        return None
    machine = machine_of(options)
    found = replayed(
        program, known.steps, lambda p: call_cost(p, constants, machine), options.accuracy
    )
    return None if found is None else replace(found, measured=known.measured)


@paused()
def derived(
    program: Program,
    accuracy: str,
    constants: frozenset[str] = frozenset(),
    seconds: float = DERIVE_SECONDS,
    machine: Machine = AVX512,
) -> Derivation:
    """The cheapest equal program by the estimates that is proven equal and accurate enough; else itself.

    What depends on `constants` alone costs nothing: it is computed once.
    """

    def search(part: Program, known: frozenset[str], share: float) -> Derivation:
        return searched(part, accuracy, known, share, machine, patience=seconds)

    return _in_parts(program, accuracy, constants, seconds, machine, search)


def _in_parts(
    program: Program,
    accuracy: str,
    constants: frozenset[str],
    seconds: float,
    machine: Machine,
    search: Callable[[Program, frozenset[str], float], Derivation],
) -> Derivation:
    return derive_whole(
        program,
        accuracy,
        search=search,
        cost=lambda p, known: call_cost(p, known, machine),
        seconds=seconds,
        constants=constants,
    )


def searched(
    program: Program,
    accuracy: str,
    constants: frozenset[str] = frozenset(),
    seconds: float = DERIVE_SECONDS,
    machine: Machine = AVX512,
    patience: float = DERIVE_SECONDS,
) -> Derivation:
    """What the search finds for a program of one part: candidates that are neither verified nor measured yet.
    `patience` is the budget whose patience it has."""
    return derive(
        program,
        seconds=seconds,
        cost=lambda p: call_cost(p, constants, machine),
        promise=lambda p: least_cost(p, constants, machine),
        reassociate_floats=accuracy != "strict",
        clock=time.thread_time,  # what is found must not depend on the machine's other work
        patience=PATIENCE * patience / DERIVE_SECONDS,
        doubtful=doubtful(program, accuracy),
    )


def machine_of(options: Options) -> Machine:
    """What estimates know of the processor that code is made for. Of a shared cache a quarter counts as ours."""
    target = options.target
    near = target.l2 * options.threads
    own, shared, far = relative_rates(options)
    return Machine(
        vector_bytes=target.vector_bits // 8,
        registers=target.vector_registers,
        products=AVX512.products if target.has_fma else AVX512.products / 2,
        near=near,
        shared=max(near, target.l3 // 4),
        near_rate=AVX512.near_rate * own,
        shared_rate=AVX512.shared_rate * shared,
        far_rate=AVX512.far_rate * far,
    )


@paused()
def compile_stages(stages: Stages) -> Artifact:
    """Object code with all that the runtime must know to call it."""
    logical = {t.name: t for t in stages.program.inputs}  # 4-bit arguments keep their own type
    inputs = [logical.get(t.name, t) for t in stages.called.inputs]
    packed = stages.loops.arguments[len(inputs) : -len(stages.program.results)]
    return Artifact(
        object=compile_object(stages.emitted.text, stages.target),
        entry=stages.emitted.entry,
        arguments=(
            *(_argument(t, result=False) for t in inputs),
            *(_whole(buffer, result=False) for buffer in packed),
            *(_argument(t, result=True) for t in stages.program.results),
        ),
        shared_bytes=stages.emitted.shared_bytes,
        private_bytes=stages.emitted.private_bytes,
        faults=stages.loops.faults,
        triple=stages.target.triple,
        features=tuple(f[1:] for f in stages.target.features.split(",") if f.startswith("+")),
    )


@paused()
def compile_packing(stages: Stages) -> Artifact | None:
    """Object code that packs constant operands; None where there are none."""
    if stages.packing is None:
        return None
    emitted = emit(stages.packing, stages.target)
    known = {b.name: t for b, t in zip(stages.loops.arguments, stages.called.inputs, strict=False)}
    read = [b for b in stages.packing.arguments if b.name in known]
    made = stages.packing.arguments[len(read) :]
    return Artifact(
        object=compile_object(emitted.text, stages.target),
        entry=emitted.entry,
        arguments=(
            *(_argument(known[b.name], result=False) for b in read),
            *(_whole(b, result=True) for b in made),
        ),
        shared_bytes=emitted.shared_bytes,
        private_bytes=emitted.private_bytes,
        triple=stages.target.triple,
        features=tuple(f[1:] for f in stages.target.features.split(",") if f.startswith("+")),
    )


def _whole(buffer: Buffer, *, result: bool) -> Argument:
    return Argument(buffer.name, buffer.dtype.name, (buffer.extent,), result)


def _argument(tensor: Tensor, *, result: bool) -> Argument:
    shape = tuple(int(extent) for extent in tensor.shape)
    return Argument(tensor.name, tensor.dtype.name, shape, result)
