"""Installs tcomp in the checkout's own virtual environment and runs its main job on one example.

The program is compiled, checked against the reference interpreter and timed beside NumPy.
Arguments are handed to `tcomp bench`; without any it takes the linear layer with GELU.
"""

from __future__ import annotations

import sys

from environment import prepare, run

DEFAULT = ("examples/linear_gelu.tc", "--check")

if __name__ == "__main__":
    python = prepare()
    sys.exit(run(python, "-m", "tcomp", "bench", *(sys.argv[1:] or DEFAULT)))
