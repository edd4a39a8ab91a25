"""The child process that builds, checks and times candidates: a line of JSON in, a line of JSON out.

A task is opened once: its program is read, planned, and evaluated by the reference interpreter. Each
candidate is then compiled, run on arrays that end at protected pages, compared with the reference, and
only timed if it is right. Whatever it does, it does to this process alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tcomp import passes, schedule
from tcomp.autotune.guard import guarded_array
from tcomp.autotune.workload import read_text
from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import compile_object
from tcomp.ir.loop.nodes import Module
from tcomp.ir.plan import Plan
from tcomp.ir.tensor.comparison import compare_with
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.ir.tensor.sampling import draw_inputs
from tcomp.runtime.artifact import Argument, Artifact
from tcomp.runtime.kernel import Kernel, load
from tcomp.schedule.trace import Trace
from tcomp.target import Target

ROUNDS = 7
REGION_SECONDS = 2e-3  # of calls in a row: long enough for the clock, short beside a time slice
GIVE_UP = 3.0  # a candidate whose first call takes this many times the best is timed once


class Wrong(Exception):
    """The candidate computed something else."""


@dataclass
class Session:
    """One opened task."""

    program: Program
    plan: Plan  # its constants are packed before what is timed
    threads: int
    inputs: list[Any]
    expected: tuple[Any, ...]
    best: float = float("inf")

    def measure(self, trace: Trace) -> dict[str, Any]:
        """Builds, checks and times one schedule."""
        start = time.perf_counter()
        kernel, inputs = self._build(trace)
        built = time.perf_counter() - start
        results = [
            guarded_array(np.zeros(a.stored_shape, a.stored_dtype.numpy))
            for a in kernel.artifact.results
        ]
        begin = time.perf_counter()
        kernel.run(inputs, results)
        first = time.perf_counter() - begin
        report = compare_with(self.program, self.expected, results)
        if not report:
            raise Wrong(str(report))
        if first > GIVE_UP * self.best:
            seconds: tuple[float, ...] = (first,)
        else:
            times = kernel.time(inputs, results, rounds=ROUNDS, region=REGION_SECONDS)
            seconds = tuple(t * 1e-9 for t in times)
        self.best = min(self.best, *seconds)
        return {"seconds": seconds, "build_seconds": built}

    def _build(self, trace: Trace) -> tuple[Kernel, list[Any]]:
        """The kernel and its inputs: what is packed of constants follows the program's own."""
        target, results = host_target(), self.program.results
        module, packing = schedule.lower_apart(self.plan, (trace,), target, self.threads)
        known = {
            b.name: a
            for b, a in zip(module.arguments[: len(self.inputs)], self.inputs, strict=True)
        }
        if packing is not None:
            made = [b for b in packing.arguments if b.name not in known]
            packed = [guarded_array(np.zeros(b.extent, b.dtype.numpy)) for b in made]
            read = [known[b.name] for b in packing.arguments if b.name in known]
            _load(packing, target, self.threads, len(packed)).run(read, packed)
            known |= {b.name: a for b, a in zip(made, packed, strict=True)}
        kernel = _load(module, target, self.threads, len(results), results)
        return kernel, list(known.values())


def _load(
    module: Module, target: Target, threads: int, made: int, results: Sequence[Tensor] = ()
) -> Kernel:
    """A module as a kernel whose last `made` arguments are results, of the tensors' shapes if there are."""
    emitted = emit(module, target)
    inputs = module.arguments[: len(module.arguments) - made]
    outputs = module.arguments[len(inputs) :]
    shapes = [tuple(int(n) for n in t.shape) for t in results] or [(b.extent,) for b in outputs]
    arguments = [Argument(b.name, b.dtype.name, (b.extent,), False) for b in inputs]
    arguments += [
        Argument(b.name, b.dtype.name, shape, True)
        for b, shape in zip(outputs, shapes, strict=True)
    ]
    artifact = Artifact(
        compile_object(emitted.text, target),
        emitted.entry,
        tuple(arguments),
        emitted.shared_bytes,
        emitted.private_bytes,
        module.faults,
    )
    return load(artifact, threads)


def open_session(task: dict[str, Any]) -> Session:
    """Reads a task's program, plans it, and evaluates it by the interpreter."""
    program, bound = read_text(task["program"])
    plan = schedule.completed(replace(passes.plan(program), constants=bound))
    if len(plan.groups) != 1:
        raise ValueError(f"the workload is {len(plan.groups)} groups, not one")
    inputs = draw_inputs(program, task["seed"], frozenset(), {})
    expected = interpret(program, inputs)
    arrays = [guarded_array(inputs[t.name]) for t in program.inputs]
    return Session(program, plan, task["threads"], arrays, expected)


def serve(lines: Any, write: Any) -> None:
    """Answers messages until there are no more."""
    session: Session | None = None
    for line in lines:
        message = json.loads(line)
        if message["op"] == "open":
            try:
                session = open_session(message["task"])
                write({})
            except Exception as error:
                write({"error_class": "build", "error_text": f"{type(error).__name__}: {error}"})
            continue
        assert session is not None
        write(_answer(session, message["trace"]))


def _answer(session: Session, trace: str) -> dict[str, Any]:
    try:
        return session.measure(Trace.from_json(trace))
    except Wrong as error:
        return {"error_class": "wrong", "error_text": str(error)}
    except IndexError as error:
        return {"error_class": "fault", "error_text": str(error)}
    except Exception as error:
        return {"error_class": "build", "error_text": f"{type(error).__name__}: {error}"[:4000]}


def main() -> None:
    """The process: standard output carries answers only, whatever libraries print goes elsewhere."""
    answers = sys.stdout
    sys.stdout = sys.stderr

    def write(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    serve(sys.stdin, write)


if __name__ == "__main__":
    main()
