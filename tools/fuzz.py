"""Compares interpreter, loop interpreter and compiled kernel on random programs, and counts.

    python tools/fuzz.py --count 100000 --first 0

A failing seed is printed with its program; `--seed N` runs one alone and shows everything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tcomp.codegen.host import host_target
from tcomp.ir.tensor.printer import print_program
from tests.fuzz import compare
from tests.strategies import seeded_case

STAGES = ("planned", "lowered", "compiled", "lowered_and_compiled")
REPORT_SECONDS = 30


def main() -> int:
    """Exit status 1 if any program disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1000, help="how many programs")
    parser.add_argument("--seed", type=int, help="one seed alone, with its program")
    parser.add_argument("--stage", choices=STAGES, default="lowered_and_compiled")
    options = parser.parse_args()
    if options.seed is not None:
        print(print_program(seeded_case(options.seed).program))
        compare.check(seeded_case(options.seed), getattr(compare, options.stage), host_target())
        print("agrees")
        return 0
    return _run(range(options.first, options.first + options.count), options.stage)


def _run(seeds: range, stage: str) -> int:
    target, check = host_target(), getattr(compare, stage)
    failures: Counter[str] = Counter()
    begun = reported = time.monotonic()
    for seed in seeds:
        try:
            compare.check(seeded_case(seed), check, target)
        except Exception as error:  # every kind of failure is a finding
            name = type(error).__name__
            failures[name] += 1
            print(f"seed {seed}: {name}: {str(error).splitlines()[0] if str(error) else ''}")
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            done = seed - seeds.start + 1
            left = (reported - begun) / done * (len(seeds) - done)
            print(f"{done} programs, {failures.total()} failures, {left:.0f} s left", flush=True)
    spent = time.monotonic() - begun
    print(f"{len(seeds)} programs ({stage}) in {spent:.0f} s: {failures.total()} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
