"""Prints the processor time of compiling each workload of the suites, by phase: uncached, with LLVM loaded.

    python tools/compile_time.py                             both suites
    python tools/compile_time.py --suite derivations --json  one JSON object, with what was derived
    python tools/compile_time.py --only resnet attention     workloads whose names have one of these in them

Each workload is compiled in a process of its own, forked from one that has compiled another program, so that
nothing is remembered from the workloads before. The figures are seconds of the compiling thread; `rest` is
what no phase covers: hashing and packing constants, loading, the first call.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from statistics import median
from typing import Any

# The functions whose time is a phase's, where they are looked up; time in a later one is not the earlier one's.
PHASES = {
    "parse": ("tcomp.compiled:Compiled._check_front", "tcomp.compiled:Compiled._program"),
    "search": ("tcomp.pipeline:derive",),
    "verify": ("tcomp.passes.derivation.choose:verify_equal",),
    "accuracy": ("tcomp.passes.derivation.choose:measure",),
    "schedule": ("tcomp.passes:plan", "tcomp.schedule:completed", "tcomp.schedule:analytical"),
    "lower": ("tcomp.schedule:lower_apart",),
    "print": ("tcomp.pipeline:emit",),
    "LLVM": ("tcomp.pipeline:compile_object",),
}
WARM_UP = "def warm(A: f32[8, 64], B: f32[64, 64]) -> Y: f32[8, 64]:\n    Y = relu(matmul(A, B))\n"


class Phases:
    """Seconds of this thread in each phase, without those in phases inside it."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._inside = [0.0]

    def timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **keywords: Any) -> Any:
            self._inside.append(0.0)
            start = time.thread_time()
            try:
                return function(*args, **keywords)
            finally:
                spent = time.thread_time() - start
                self.seconds[phase] += spent - self._inside.pop()
                self._inside[-1] += spent

        return run

    @contextmanager
    def watched(self) -> Iterator[None]:
        kept = []
        for phase, names in PHASES.items():
            for name in names:
                module, _, path = name.partition(":")
                *owners, last = path.split(".")
                owner: Any = import_module(module)
                for each in owners:
                    owner = getattr(owner, each)
                kept.append((owner, last, getattr(owner, last)))
                setattr(owner, last, self.timed(phase, getattr(owner, last)))
        try:
            yield
        finally:
            for owner, last, function in kept:
                setattr(owner, last, function)


def compiled(workload: Any, threads: int) -> dict[str, Any]:
    """Compiles a workload as `tcomp bench` does, and calls it once."""
    import tcomp
    from tcomp.benchmarks import inputs

    operation = workload.operation
    arrays = inputs.draw(operation)
    given = {t.name: inputs.packed(arrays[t.name], t.dtype) for t in operation.inputs}
    constants = {t.name: given[t.name] for t in operation.inputs if t.constant}
    values = [given[t.name] for t in operation.inputs if not t.constant]
    phases = Phases()
    derivations: list[Any] = []
    with phases.watched(), noted(derivations):
        start = time.thread_time()
        function = tcomp.compile(
            operation.text,
            sizes=dict(operation.sizes),
            constants=constants,
            threads=threads,
            accuracy=workload.accuracy,
        )
        function(*values)
        total = time.thread_time() - start
    rest = total - sum(phases.seconds.values())
    found = derivations[0]
    return {
        "workload": workload.name,
        "total": total,
        **phases.seconds,
        "rest": rest,
        "states": found.states,
        "complete": found.complete,
        "cost_before": found.cost_before,
        "cost_after": found.cost_after,
        "rules": [step.rule for step in found.steps],
    }


@contextmanager
def noted(into: list[Any]) -> Iterator[None]:
    """Keeps what is derived; the first is the call's."""
    from tcomp import pipeline

    chosen_form = pipeline.chosen_form

    def noting(*args: Any) -> Any:
        into.append(chosen_form(*args))
        return into[-1]

    pipeline.chosen_form = noting
    try:
        yield
    finally:
        pipeline.chosen_form = chosen_form


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """The function's result from a process of its own, where the system can fork."""
    if not hasattr(os, "fork"):
        return function(*args)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, args)


def main() -> int:
    from tcomp.benchmarks.suites import NAMES, suite

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suite", choices=NAMES, action="append")
    parser.add_argument("--only", nargs="*", default=[], metavar="TEXT")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TCOMP_CACHE_DIR"] = folder
        os.environ["TCOMP_DATABASE"] = os.path.join(folder, "none.db")
        import tcomp

        tcomp.compile(WARM_UP).stages()
        for name in chosen.suite or NAMES:
            rows = found[name] = []
            if not chosen.json:
                print(heading(name))
            for workload in suite(name).chosen(chosen.only):
                os.environ["TCOMP_CACHE_DIR"] = tempfile.mkdtemp(dir=folder)
                rows.append(apart(compiled, workload, chosen.threads))
                if not chosen.json:
                    print(row(rows[-1]), flush=True)
            if not chosen.json and rows:
                print(summary(rows))
    if chosen.json:
        print(json.dumps(found))
    return 0


def heading(name: str) -> str:
    columns = ["total", *PHASES, "rest", "states"]
    return f"{name + ' (ms)':45} " + " ".join(f"{c:>8}" for c in columns)


def row(facts: dict[str, Any]) -> str:
    columns = [f"{1e3 * facts[c]:8.1f}" for c in ("total", *PHASES, "rest")]
    return f"{facts['workload'][:45]:45} {' '.join(columns)} {facts['states']:8}"


def summary(rows: list[dict[str, Any]]) -> str:
    """Median, nine of ten, and the largest, of the total and of every phase."""
    lines = []
    for name, pick in (("median", median), ("90 %", ninetieth), ("largest", max)):
        columns = [f"{1e3 * pick([r[c] for r in rows]):8.1f}" for c in ("total", *PHASES, "rest")]
        lines.append(f"{name:45} {' '.join(columns)}")
    return "\n".join(lines)


def ninetieth(values: list[float]) -> float:
    return sorted(values)[int(0.9 * (len(values) - 1))]


if __name__ == "__main__":
    sys.exit(main())
