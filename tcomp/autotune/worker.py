"""The child process that builds, checks and times candidates: a line of JSON in, a line of JSON out.

A task is opened once: its program is read, planned, and evaluated by the reference interpreter. Each
candidate is then compiled, run on arrays that end at protected pages, compared with the reference, and
only timed if it is right. Whatever it does, it does to this process alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from tcomp import passes, schedule
from tcomp.autotune.guard import guarded_array
from tcomp.autotune.workload import read_text
from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import compile_object
from tcomp.ir.loop.nodes import Buffer, Module
from tcomp.ir.plan import Plan
from tcomp.ir.tensor.comparison import compare_with
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.ir.tensor.sampling import draw_inputs
from tcomp.runtime.artifact import Argument, Artifact
from tcomp.runtime.kernel import Kernel, Prepared, load
from tcomp.runtime.memory import aligned
from tcomp.runtime.outputs import fresh
from tcomp.schedule.trace import Trace
from tcomp.target import Target

ROUNDS = 7
RACE_ROUNDS, LEAST_ROUNDS, RACE_SECONDS = 15, 3, 3.0
REGION_SECONDS = 2e-3  # of calls in a row: long enough for the clock, short beside a time slice
GIVE_UP = 3.0  # a candidate that takes this many times the best is timed once
# Calls and seconds before that is said: first calls meet cold caches, new pages, and threads asleep. A product of
# 100 x 8192 took 150 us in its third call, 21 in the end.
WARMING, WARM_SECONDS = 3, 2e-3


class Wrong(Exception):
    """The candidate computed something else."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kernel that computes the right results, with a call of it on arrays such as callers have."""

    call: Prepared
    build_seconds: float

    def warm(self) -> float:
        """Seconds of one call, the best of a few."""
        taken: list[float] = []
        while len(taken) < WARMING or sum(taken) < WARM_SECONDS:
            taken.append(self.call.seconds(1))
        return min(taken)

    def times(self, rounds: int) -> Iterator[float]:
        """Seconds of one call, in so many rounds; nothing is done between them but what the caller does."""
        calls = self.call.calls_for(REGION_SECONDS)
        for _ in range(rounds):
            self.call.seconds(
                max(1, calls // 4)
            )  # whoever came before left its own data in the caches
            yield self.call.seconds(calls) / calls


@dataclass
class Session:
    """One opened task."""

    program: Program
    plan: Plan  # its constants are packed before what is timed
    threads: int
    inputs: list[Any]
    expected: tuple[Any, ...]
    best: float = float("inf")

    def measure(self, trace: str) -> dict[str, Any]:
        """Builds, checks and times one schedule."""
        candidate = self._candidate(trace)
        once = candidate.warm()
        seconds = (once,) if once > GIVE_UP * self.best else tuple(candidate.times(ROUNDS))
        self.best = min(self.best, *seconds)
        return {"seconds": seconds, "build_seconds": candidate.build_seconds}

    def race(self, traces: Sequence[str]) -> list[dict[str, Any]]:
        """Times schedules in turns, after all were built and checked."""
        return race([partial(self._candidate, trace) for trace in traces])

    def _candidate(self, trace: str) -> Candidate:
        start = time.perf_counter()
        kernel, packing, made = self._build(Trace.from_json(trace))
        built = time.perf_counter() - start
        results = [
            guarded_array(np.zeros(a.stored_shape, a.stored_dtype.numpy))
            for a in kernel.artifact.results
        ]
        guarded = [guarded_array(a) for a in self.inputs]
        kernel.run([*guarded, *self._packed(packing, made, guarded, _guarded)], results)
        report = compare_with(self.program, self.expected, results)
        if not report:
            raise Wrong(str(report))
        arrays = [*self.inputs, *self._packed(packing, made, self.inputs, aligned)]
        outputs = [fresh(a) for a in kernel.artifact.results]
        return Candidate(kernel.prepare(arrays, outputs), built)

    def _build(self, trace: Trace) -> tuple[Kernel, Kernel | None, Sequence[Buffer]]:
        """The kernel, the one that packs constants, and what that makes: further inputs of the first."""
        target, results = host_target(), self.program.results
        module, packing = schedule.lower_apart(self.plan, (trace,), target, self.threads)
        kernel = _load(module, target, self.threads, len(results), results)
        if packing is None:
            return kernel, None, ()
        own = {b.name for b in module.arguments[: len(self.inputs)]}
        made = [b for b in packing.arguments if b.name not in own]
        return kernel, _load(packing, target, self.threads, len(made)), made

    def _packed(
        self,
        packing: Kernel | None,
        made: Sequence[Buffer],
        inputs: Sequence[Any],
        empty: Callable[..., Any],
    ) -> list[Any]:
        """What is packed of constants, in arrays that `empty` makes."""
        if packing is None:
            return []
        names = {t.name: a for t, a in zip(self.program.inputs, inputs, strict=True)}
        packed = [empty((b.extent,), b.dtype.numpy) for b in made]
        packing.run([names[a.name] for a in packing.artifact.inputs], packed)
        return packed


def race(makers: Sequence[Callable[[], Candidate]]) -> list[dict[str, Any]]:
    """Makes candidates, and times those that are right in turns: what the machine does besides falls on all.

    Who is far behind when warm takes no part in the rounds.
    """
    answers: list[dict[str, Any]] = []
    made: list[tuple[Candidate, list[float]]] = []
    for make in makers:
        try:
            candidate = make()
        except Exception as error:
            answers.append(_failure(error))
            continue
        samples = [candidate.warm()]
        answers.append({"seconds": samples, "build_seconds": candidate.build_seconds})
        made.append((candidate, samples))
    limit = GIVE_UP * min((s[0] for _, s in made), default=0.0)
    racing = [(c, s) for c, s in made if s[0] <= limit]
    _take_turns(racing)
    return answers


def _take_turns(racing: Sequence[tuple[Candidate, list[float]]]) -> None:
    """Adds samples of all candidates, a round at a time; the order moves on from round to round."""
    each = sum(2 * max(s[0], REGION_SECONDS) for _, s in racing)
    rounds = max(LEAST_ROUNDS, min(RACE_ROUNDS, int(RACE_SECONDS / each))) if racing else 0
    running = [(candidate.times(rounds), samples) for candidate, samples in racing]
    for turn in range(rounds):
        first = turn % len(running)
        for times, samples in (*running[first:], *running[:first]):
            samples.append(next(times))


def _guarded(shape: tuple[int, ...], dtype: Any) -> Any:
    return guarded_array(np.zeros(shape, dtype))


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
    arrays = [np.array(inputs[t.name]) for t in program.inputs]
    return Session(program, plan, task["threads"], arrays, expected)


class Opened(Protocol):
    """An opened task: what is measured of it is a trace, plain data."""

    def measure(self, trace: Any) -> dict[str, Any]: ...

    def race(self, traces: Sequence[Any]) -> list[dict[str, Any]]: ...


def serve(lines: Any, write: Any, open_task: Callable[[dict[str, Any]], Opened]) -> None:
    """Answers messages until there are no more."""
    opened: Opened | None = None
    for line in lines:
        message = json.loads(line)
        try:
            if message["op"] == "open":
                opened = open_task(message["task"])
                write({})
                continue
            assert opened is not None
            if message["op"] == "race":
                write({"race": opened.race(message["traces"])})
            else:
                write(opened.measure(message["trace"]))
        except Exception as error:
            write(_failure(error))


def _failure(error: Exception) -> dict[str, Any]:
    kinds: tuple[tuple[type[Exception], str], ...] = ((Wrong, "wrong"), (IndexError, "fault"))
    for kind, name in kinds:
        if isinstance(error, kind):
            return {"error_class": name, "error_text": str(error)}
    return {"error_class": "build", "error_text": f"{type(error).__name__}: {error}"[:4000]}


def run(open_task: Callable[[dict[str, Any]], Opened]) -> None:
    """The process: standard output carries answers only, whatever libraries print goes elsewhere."""
    answers = sys.stdout
    sys.stdout = sys.stderr

    def write(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    serve(sys.stdin, write, open_task)


if __name__ == "__main__":
    run(open_session)
