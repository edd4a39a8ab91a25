"""Installs tcomp in the checkout's own virtual environment and runs its main job on one example.

The cheaper program that tcomp derives is shown, its schedules are tuned for some twenty seconds, the result is
checked against the reference interpreter and timed beside NumPy, and the tuning database is asked what it
remembers. `start.py examples/softmax.tc` takes another program.
"""

from __future__ import annotations

import sys

from environment import prepare, run

EXAMPLE = "examples/matrix_chain.tc"


def commands(program: str) -> list[list[str]]:
    """The commands, as a user would type them."""
    return [
        ["derive", program],
        ["tune", program, "--seconds", "20"],
        ["bench", program, "--check"],
        ["db", "best"],
    ]


def main(program: str) -> int:
    """Runs the commands in turn; the exit status of the first that fails."""
    python = prepare()
    for command in commands(program):
        print(f"\n$ tcomp {' '.join(command)}", flush=True)
        if status := run(python, "-m", "tcomp", *command):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE))
