"""The runner that users get: candidates are built and timed in a child process.

LLVM ends the process on what it cannot select, and a wrong schedule may write anywhere; so untrusted
code never runs in the user's process. The child is kept between candidates (starting one takes 0.3 s),
and replaced when it dies or is too slow. What it says is JSON, a line for each candidate.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from tcomp.autotune.measurement import Measurement, Task

START_SECONDS = 60.0  # for a fresh child to import, parse and make its reference


class ProcessRunner:
    """Measures in one persistent child process. Not for use by several threads at once."""

    def __init__(self, command: list[str] | None = None) -> None:
        self._command = command or [sys.executable, "-m", "tcomp.autotune.worker"]
        self._child: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._task: Task | None = None

    def measure(self, task: Task, trace: Any, limit: float) -> Measurement:
        """See `Runner.measure`. A child that hangs is killed after `limit` seconds."""
        answer = self._about(task, {"op": "measure", "trace": trace, "limit": limit}, limit)
        return answer if isinstance(answer, Measurement) else _measurement(answer)

    def race(self, task: Task, traces: Sequence[Any], limit: float) -> list[Measurement]:
        """See `Runner.race`. What ends the child is the measurement of all."""
        answer = self._about(task, {"op": "race", "traces": list(traces)}, limit)
        if isinstance(answer, Measurement):
            return [answer] * len(traces)
        found = answer.get("race")
        if not isinstance(found, list) or len(found) != len(traces):
            return [_measurement(answer)] * len(traces)
        return [_measurement(each) for each in found]

    def close(self) -> None:
        """Ends the child."""
        child, self._child, self._task = self._child, None, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _about(
        self, task: Task, message: dict[str, Any], limit: float
    ) -> dict[str, Any] | Measurement:
        """What the child says to a message about a task, which it is given first where it has another."""
        if self._child is None or self._child.poll() is not None or self._task != task:
            opened = self._open(task)
            if opened is not None:
                return opened
        return self._ask(message, limit)

    def _open(self, task: Task) -> Measurement | None:
        """Gives the task to a child, a fresh one where needed; a failure is what every candidate gets."""
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._start()
        answer = self._ask({"op": "open", "task": asdict(task)}, START_SECONDS)
        if isinstance(answer, Measurement):
            return answer
        if "error_class" in answer:
            return Measurement((), str(answer["error_class"]), str(answer.get("error_text", "")))
        self._task = task
        return None

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # the user's Ctrl-C stops the tuner, which then stops the child
        )
        self._child = child
        self._answers = queue.Queue()
        assert child.stdout is not None
        threading.Thread(
            target=_collect, args=(child.stdout, self._answers), daemon=True, name="tcomp-runner"
        ).start()

    def _ask(self, message: dict[str, Any], limit: float) -> dict[str, Any] | Measurement:
        child = self._child
        assert child is not None and child.stdin is not None
        try:
            child.stdin.write(json.dumps(message) + "\n")
            child.stdin.flush()
            line = self._answers.get(timeout=limit)
        except queue.Empty:
            self.close()
            return Measurement((), "timeout", f"no result within {limit:.1f} s")
        except OSError as error:
            line = None
            reason = str(error)
        else:
            reason = "the process ended"
        if line is None:
            status = child.wait()
            self.close()
            return Measurement((), "crash", f"{reason} (status {status})")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self.close()
            return Measurement((), "worker", "the process gave an answer that is not JSON")
        return answer


def _measurement(answer: dict[str, Any]) -> Measurement:
    return Measurement(
        tuple(answer.get("seconds", ())),
        str(answer.get("error_class", "")),
        str(answer.get("error_text", "")),
        float(answer.get("build_seconds", 0.0)),
    )


def _collect(pipe: IO[str], answers: queue.Queue[str | None]) -> None:
    with suppress(OSError, ValueError):
        for line in pipe:
            answers.put(line)
    answers.put(None)
