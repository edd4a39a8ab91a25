"""Installs tcomp in the checkout's own virtual environment and runs its main job on one example.

The program is derived into a cheaper equal one, tuned for some twenty seconds, checked against the
reference interpreter and timed beside NumPy; then the records that tuning left are listed. Another
program's path may be given as the argument; `--seconds N` changes the tuning time.
"""

from __future__ import annotations

import argparse
import sys

from environment import prepare, run

DEFAULT = "examples/matrix_chain.tc"


def main() -> int:
    """Exit status 0, or that of the first step that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=DEFAULT, help="a .tc program with its sizes")
    parser.add_argument("--seconds", default="20", help="time for tuning")
    options = parser.parse_args()
    python = prepare()
    steps = (
        ("1. derive a cheaper equal program, proven step by step", ("derive", options.file)),
        (
            f"2. tune its kernels for {options.seconds} s (Ctrl-C keeps what was measured)",
            ("tune", options.file, "--seconds", options.seconds),
        ),
        ("3. check it and time it beside NumPy", ("bench", options.file, "--check")),
        ("4. what the tuning database remembers", ("db", "best")),
    )
    for title, command in steps:
        print(f"\n== {title}\n   tcomp {' '.join(command)}\n", flush=True)
        status = run(python, "-m", "tcomp", *command)
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
