"""Derives random programs and compares what the search reached with the source; counts the rules that fired.

    python tools/fuzz_derivation.py --count 10000 --jobs 2 --state derivations.json

Programs are of the forms that rules match. States are compared over the prime field, some of them by the
interpreter in float64 as well. With `--stage networks` programs have several layers and are derived in parts.
A state file is gone on with; `--seed N` shows one program.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tcomp.ir.tensor.printer import print_program
from tests.fuzz import derivations, networks
from tools.fuzz import arguments, long_run


def main() -> int:
    """Exit status 1 if any state is unequal."""
    stages = {"searched": derivations, "networks": networks}
    options = arguments(__doc__ or "", tuple(stages), "searched")
    of = stages[options.stage]
    if options.seed is not None:
        print(print_program(of.program_of(options.seed)))
        for name, number in sorted(of.check(options.seed).items()):
            print(f"{number:4} {name}")
        return 0
    return long_run(options, of.check, f"programs ({options.stage})")


if __name__ == "__main__":
    sys.exit(main())
