"""Runs the tests in the checkout's own virtual environment, on all cores. Arguments are handed to pytest."""

from __future__ import annotations

import sys

from environment import prepare, run

if __name__ == "__main__":
    python = prepare("dev")
    sys.exit(run(python, "-m", "pytest", "-n", "auto", *sys.argv[1:]))
