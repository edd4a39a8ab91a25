"""The child process that builds, checks and times candidates: a line of JSON in, a line of JSON out.

A task is opened once: its program is read, planned, and evaluated by the reference interpreter. Each
candidate is then compiled, run on arrays that end at protected pages, compared with the reference, and
only timed if it is right. Whatever it does, it does to this process alone.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tcomp import passes, schedule
from tcomp.autotune.guard import guarded_array
from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import compile_object
from tcomp.ir.plan import Plan
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.comparison import compare_with
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.sampling import draw_inputs
from tcomp.lang import lower, parse
from tcomp.lang.words import BIT_FUNCTIONS, FUNCTIONS
from tcomp.runtime.artifact import Argument, Artifact
from tcomp.runtime.kernel import Kernel, load
from tcomp.schedule.trace import Trace

ROUNDS = 7
REGION_SECONDS = 2e-3  # of calls in a row: long enough for the clock, short beside a time slice
GIVE_UP = 3.0  # a candidate whose first call takes this many times the best is timed once


class Wrong(Exception):
    """The candidate computed something else."""


@dataclass
class Session:
    """One opened task."""

    program: Program
    plan: Plan
    threads: int
    inputs: list[Any]
    expected: tuple[Any, ...]
    best: float = float("inf")

    def measure(self, trace: Trace) -> dict[str, Any]:
        """Builds, checks and times one schedule."""
        start = time.perf_counter()
        kernel = self._build(trace)
        built = time.perf_counter() - start
        results = [
            guarded_array(np.zeros(a.stored_shape, a.stored_dtype.numpy))
            for a in kernel.artifact.results
        ]
        begin = time.perf_counter()
        kernel.run(self.inputs, results)
        first = time.perf_counter() - begin
        report = compare_with(self.program, self.expected, results)
        if not report:
            raise Wrong(str(report))
        if first > GIVE_UP * self.best:
            seconds: tuple[float, ...] = (first,)
        else:
            times = kernel.time(self.inputs, results, rounds=ROUNDS, region=REGION_SECONDS)
            seconds = tuple(t * 1e-9 for t in times)
        self.best = min(self.best, *seconds)
        return {"seconds": seconds, "build_seconds": built}

    def _build(self, trace: Trace) -> Kernel:
        target = host_target()
        module = schedule.lower(self.plan, (trace,), target, self.threads)
        emitted = emit(module, target)
        artifact = Artifact(
            compile_object(emitted.text, target),
            emitted.entry,
            tuple(
                Argument(t.name, t.dtype.name, tuple(int(n) for n in t.shape), result)
                for tensors, result in ((self.program.inputs, False), (self.program.results, True))
                for t in tensors
            ),
            emitted.shared_bytes,
            emitted.private_bytes,
            module.faults,
        )
        return load(artifact, self.threads)


def open_session(task: dict[str, Any]) -> Session:
    """Reads a task's program, plans it, and evaluates it by the interpreter."""
    program = bind(lower(parse(task["program"]), functions=FUNCTIONS | BIT_FUNCTIONS), {})
    plan = schedule.completed(passes.plan(program))
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
