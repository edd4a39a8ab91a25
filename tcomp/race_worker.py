"""The child process that times forms of a program; `tcomp.racing` tells it which.

A form is the steps that lead to it. They are applied, the result is built as any program is, run on arrays that end
at protected pages, compared with the reference interpreter, and only timed if it is right.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tcomp.autotune.guard import guarded_array
from tcomp.autotune.worker import Candidate, Wrong, race, run
from tcomp.autotune.workload import read_text
from tcomp.ir.nibbles import unpack_nibbles
from tcomp.ir.tensor.comparison import compare_with
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.sampling import draw_inputs
from tcomp.options import Options, options_from
from tcomp.passes.derivation import derive
from tcomp.passes.derivation.proof import replay_steps
from tcomp.pipeline import build_form
from tcomp.runtime.outputs import fresh
from tcomp.specialise import load_parts, parts_from

if TYPE_CHECKING:
    from tcomp.ir.tensor.nodes import Program, Tensor


@dataclass(frozen=True, slots=True)
class Forms:
    """An opened program."""

    program: Program
    options: Options
    inputs: dict[str, Any]
    constants: dict[str, Any]
    expected: tuple[Any, ...]

    def measure(self, trace: Any) -> dict[str, Any]:
        """Times one form."""
        return self.race([trace])[0]

    def race(self, traces: Sequence[Any]) -> list[dict[str, Any]]:
        """Times forms in turns, after all were built and checked."""
        return race([partial(self._candidate, trace) for trace in traces])

    def _candidate(self, trace: Any) -> Candidate:
        start = time.perf_counter()
        written = derive(self.program, rules=())
        steps = replay_steps(self.program, trace)
        form = replace(written, program=steps[-1].program, steps=steps) if steps else written
        stages = build_form(self.program, form, self.options, frozenset(self.constants))
        kernel = load_parts(parts_from(stages, self.options), self.options, self.constants)
        built = time.perf_counter() - start
        arrays = [self.inputs[a.name] for a in kernel.parameters]
        results = [
            guarded_array(np.zeros(a.stored_shape, a.stored_dtype.numpy))
            for a in kernel.artifact.results
        ]
        kernel.run([guarded_array(a) for a in arrays], results)
        report = compare_with(self.program, self.expected, results)
        if not report:
            raise Wrong(str(report))
        return Candidate(kernel.prepare(arrays, [fresh(a) for a in kernel.artifact.results]), built)


def open_forms(task: dict[str, Any]) -> Forms:
    """Reads a task's program and evaluates it by the interpreter."""
    program, bound = read_text(task["program"])
    database = task.get("database")
    options = options_from(
        threads=task["threads"],
        accuracy=task["accuracy"],
        tune="off" if database is None else "cached",
        database=Path(database) if database else None,
    )
    drawn = draw_inputs(program, task["seed"], frozenset(), {})
    names = {t.name for t in bound}
    return Forms(
        program,
        options,
        {n: np.array(a) for n, a in drawn.items()},
        {n: a for n, a in drawn.items() if n in names},
        interpret(program, {t.name: _logical(t, drawn[t.name]) for t in program.inputs}),
    )


def _logical(tensor: Tensor, array: Any) -> Any:
    """An input with one element of 4 bits in each place."""
    if not (tensor.dtype.is_packed and tensor.rank):
        return array
    return unpack_nibbles(array, int(tensor.shape[-1]), tensor.dtype.is_signed)


if __name__ == "__main__":
    run(open_forms)
