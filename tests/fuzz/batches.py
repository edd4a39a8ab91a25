"""Long runs over seeds: child processes forked after warm-up, a state file that loses nothing.

A batch of seeds is one child. A child that dies or takes too long costs its batch alone: the batch is
cut in halves until the seed is known. What is done is written after every batch.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

Contents = Counter[str]
Task = Callable[[int], Contents]  # runs one seed; says what it contained; raises what is wrong


@dataclass(slots=True)
class State:
    """What a run has done so far. `next` is the first seed of no batch yet."""

    next: int
    programs: int = 0
    seconds: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)  # by seed
    contents: Contents = field(default_factory=Counter)
    open: list[tuple[int, int]] = field(default_factory=list)  # batches begun and not ended
    slices: list[dict[str, Any]] = field(default_factory=list)  # commit, seeds, programs

    @staticmethod
    def load(path: Path) -> State:
        """Reads what `save` wrote. Raises ValueError for anything else."""
        data = json.loads(path.read_text(encoding="utf-8"))
        data["contents"] = Counter(data["contents"])
        data["open"] = [(first, last) for first, last in data["open"]]
        return State(**data)

    def save(self, path: Path) -> None:
        """Replaces the file at once, so that an interrupted write leaves the old one."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)

    def take(self, size: int, end: int) -> tuple[int, int] | None:
        """The next batch below `end`: one that was begun before, or new seeds."""
        if self.next >= end:
            return None
        batch = (self.next, min(self.next + size, end))
        self.next = batch[1]
        return batch


@dataclass(frozen=True, slots=True)
class _Child:
    process: int
    pipe: Connection
    batch: tuple[int, int]
    deadline: float


def run(
    state: State,
    task: Task,
    count: int,
    *,
    jobs: int = 1,
    size: int = 100,
    seconds_a_seed: float = 20.0,
    grace: float = 60.0,
    ended: Callable[[State], None] = lambda state: None,
) -> None:
    """Runs `count` further seeds of `state`, the batches that it left open first.

    A batch is given up after `seconds_a_seed` each and `grace`. `ended` is called after every batch.
    KeyboardInterrupt ends the children and passes through; what they were at stays open in the state.
    """
    end = state.next + count
    pending, children = list(state.open), list[_Child]()
    state.open = []
    try:
        while True:
            while len(children) < jobs and (batch := _following(pending, state, size, end)):
                children.append(_fork(task, batch, seconds_a_seed * (batch[1] - batch[0]) + grace))
            if not children:
                return
            for child in _ready(children):
                children.remove(child)
                pending += _collect(state, child)
                state.open = [*pending, *(c.batch for c in children)]
                ended(state)
    finally:
        state.open = [*pending, *(c.batch for c in children)]
        for child in children:
            os.kill(child.process, signal.SIGKILL)
            os.waitpid(child.process, 0)


def _following(
    pending: list[tuple[int, int]], state: State, size: int, end: int
) -> tuple[int, int] | None:
    return pending.pop(0) if pending else state.take(size, end)


def _fork(task: Task, batch: tuple[int, int], seconds: float) -> _Child:
    receiving, sending = Pipe(duplex=False)
    process = os.fork()
    if process == 0:  # the child leaves by _exit alone: nothing of the parent's runs twice
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            sending.send(_reports(task, range(*batch)))
        finally:
            os._exit(0)
    sending.close()
    return _Child(process, receiving, batch, time.monotonic() + seconds)


def _reports(task: Task, seeds: range) -> tuple[Contents, dict[str, str]]:
    contents: Contents = Counter()
    failures: dict[str, str] = {}
    for seed in seeds:
        try:
            contents += task(seed)
        except Exception as error:  # every kind of failure is a finding
            text = str(error).strip()
            failures[str(seed)] = f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
    return contents, failures


def _ready(children: Sequence[_Child]) -> Iterator[_Child]:
    """Those that have reported, died, or are late."""
    heard = wait([c.pipe for c in children], timeout=0.2)
    now = time.monotonic()
    for child in list(children):
        if child.pipe in heard or now > child.deadline:
            yield child


def _collect(state: State, child: _Child) -> list[tuple[int, int]]:
    """Adds what a child reports; else the batches that find out at which seed it ended."""
    first, last = child.batch
    late = not child.pipe.poll()
    try:
        report = None if late else child.pipe.recv()
    except EOFError:
        report = None
    if late:
        os.kill(child.process, signal.SIGKILL)
    _, status = os.waitpid(child.process, 0)
    child.pipe.close()
    if report is not None:
        contents, failures = report
        state.programs += last - first
        state.contents += contents
        state.failures.update(failures)
        return []
    if last - first > 1:
        middle = (first + last) // 2
        return [(first, middle), (middle, last)]
    state.programs += 1
    number = os.waitstatus_to_exitcode(status)
    state.failures[str(first)] = "takes too long" if late else f"ends its process ({number})"
    return []
