"""The process runner against children that misbehave in every way."""

from __future__ import annotations

import sys

import pytest

from tcomp.autotune.measurement import Task
from tcomp.autotune.runner import ProcessRunner

TASK = Task("text", 1, "standard")
_LOOP = """
import json, sys, os, time, signal
for line in sys.stdin:
    message = json.loads(line)
    if message["op"] == "open":
        print(json.dumps({}), flush=True)
        continue
    how = message["trace"]
    if how == "hang":
        time.sleep(60)
    elif how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "exit":
        sys.exit(3)
    elif how == "noise":
        print("Traceback: this is not JSON", flush=True)
    elif how == "wrong":
        print(json.dumps({"error_class": "wrong", "error_text": "Y differs"}), flush=True)
    else:
        print(json.dumps({"seconds": [0.25, 0.5], "build_seconds": 0.1}), flush=True)
"""


@pytest.fixture
def runner() -> ProcessRunner:
    return ProcessRunner([sys.executable, "-c", _LOOP])


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("hang", "timeout"),
        ("segfault", "crash"),
        ("exit", "crash"),
        ("noise", "worker"),
        ("wrong", "wrong"),
    ],
)
def test_a_bad_candidate_costs_only_itself(runner: ProcessRunner, how: str, error: str) -> None:
    limit = 0.5 if how == "hang" else 20.0
    assert runner.measure(TASK, "good", 20.0).seconds == (0.25, 0.5)
    assert runner.measure(TASK, how, limit).error_class == error
    assert runner.measure(TASK, "good", 20.0).ok
    runner.close()


def test_a_child_that_cannot_start_is_reported() -> None:
    runner = ProcessRunner([sys.executable, "-c", "raise SystemExit(1)"])
    assert runner.measure(TASK, "good", 5.0).error_class == "crash"
    runner.close()
