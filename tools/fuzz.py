"""Compares interpreter, loop interpreter and compiled kernel on random programs, and counts.

    python tools/fuzz.py --count 100000 --jobs 2 --state fuzz.json

A state file is gone on with; Ctrl-C loses nothing. A failing seed is printed with what is wrong;
`--seed N` runs one alone and shows its program and everything else.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tcomp.codegen.host import host_target
from tcomp.ir.tensor.printer import print_program
from tests.fuzz import compare
from tests.fuzz.batches import State, Task, run
from tests.fuzz.contents import contents, show
from tests.strategies import seeded_case

STAGES = ("planned", "lowered", "lowered_and_compiled", "drawn_and_compiled")
REPORT_SECONDS = 30
ROOT = Path(__file__).parent.parent


def main() -> int:
    """Exit status 1 if any program disagrees."""
    options = arguments(__doc__ or "")
    task = _task(options.stage)
    if options.seed is not None:
        print(print_program(seeded_case(options.seed).program))
        task(options.seed)
        print("agrees")
        return 0
    return long_run(options, task, f"programs ({options.stage})")


def _task(stage: str) -> Task:
    target, check = host_target(), getattr(compare, stage)

    def one(seed: int) -> Counter[str]:
        case = seeded_case(seed)
        compare.check(case, check, target)
        return contents(case.program)

    return one


def arguments(
    description: str, stages: tuple[str, ...] = STAGES, usual: str = "lowered_and_compiled"
) -> argparse.Namespace:
    """The options of a long run."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed of a new run")
    parser.add_argument("--count", type=int, default=1000, help="how many programs")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--state", type=Path, help="where to note what is done; gone on with")
    parser.add_argument("--seed", type=int, help="one seed alone, with its program")
    parser.add_argument("--stage", choices=stages, default=usual)
    return parser.parse_args()


def long_run(options: argparse.Namespace, task: Task, what: str) -> int:
    """Runs the seeds, reporting now and then and at the end. Exit status 1 for any failure."""
    resumed = options.state is not None and options.state.exists()
    state = State.load(options.state) if resumed else State(options.first)
    state.slices.append({"commit": _commit(), "what": what, "first": state.next, "programs": 0})
    task(0)  # what is imported and built once is inherited by every child
    before, begun = state.programs, time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    told = set(state.failures)
    reported = begun

    def ended(state: State) -> None:
        nonlocal reported
        state.slices[-1]["programs"] = done = state.programs - before
        for seed in sorted(set(state.failures) - told, key=int):
            told.add(seed)
            print(f"seed {seed}: {state.failures[seed]}", flush=True)
        if options.state:
            state.save(options.state)
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            left = (reported - begun) / max(done, 1) * (options.count - done)
            print(
                f"{state.programs} {what}, {len(state.failures)} failures, {left:.0f} s left",
                flush=True,
            )

    try:
        run(state, task, options.count, jobs=options.jobs, ended=ended)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on" if options.state else "interrupted")
    state.seconds += time.monotonic() - begun
    if options.state:
        state.save(options.state)
    print("\n".join(show(state.contents, state.programs)))
    print(f"{state.programs} {what} in {state.seconds:.0f} s: {len(state.failures)} failures")
    return 1 if state.failures else 0


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
