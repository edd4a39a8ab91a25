"""Tuning for real: candidates in child processes, records in a database, schedules found again."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tcomp
from tcomp.autotune.database import Database
from tcomp.autotune.measurement import Measurement, Task
from tcomp.autotune.record import Record
from tcomp.autotune.tuner import FINALISTS
from tcomp.autotune.verdict import decided
from tcomp.diagnostics import BindingError
from tcomp.options import options_from
from tcomp.pipeline import build
from tcomp.source import read_source
from tcomp.tuning import program_of

SOFTMAX = """
def softmax(X: f32[M, N]) -> P: f32[M, N]:
    m[i] = max[j](X[i, j])
    E[i, j] = exp(X[i, j] - m[i])
    P[i, j] = E[i, j] / sum[k](E[i, k])
"""
SIZES = {"M": 64, "N": 96}


class AsWritten:
    """A runner of forms that finds the program as written to be the fastest."""

    def race(self, task: Task, traces: Sequence[Any], limit: float) -> list[Measurement]:
        return [Measurement((1e-3 if not trace else 2e-3,)) for trace in traces]

    def measure(self, task: Task, trace: Any, limit: float) -> Measurement:
        raise AssertionError("forms race")

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database after six candidates."""
    path = tmp_path_factory.mktemp("tune") / "tuned.db"
    report = tcomp.tune(
        SOFTMAX,
        sizes=SIZES,
        trials=6,
        database=path,
        progress=False,
        threads=1,
        form_runner=AsWritten(),
    )
    assert report.trials == 6
    assert report.kernels[0].tuned <= report.kernels[0].untuned
    return Database(path)


def chosen_traces(database: Database) -> list[str]:
    options = options_from(database=database.path, threads=1)
    stages = build(program_of(read_source(SOFTMAX), SIZES, {}), options)
    return [t.to_json() for t in stages.traces]


def test_every_candidate_is_on_record(tuned: Database) -> None:
    assert 6 <= len(kernels(tuned)) <= 6 + FINALISTS  # which are timed once more
    assert tuned.check() == ()


def kernels(database: Database) -> list[Record]:
    """The records of schedules; others are of forms."""
    return [r for r in database.records() if r.key.schedule_class != "derivation"]


def best_trace(database: Database) -> str:
    best = decided(kernels(database), untuned_trace())
    assert best is not None
    return str(best.trace)


def untuned_trace() -> str:
    options = options_from(tune="off", threads=1)
    stages = build(program_of(read_source(SOFTMAX), SIZES, {}), options)
    return stages.traces[0].to_json()


def test_the_winner_of_the_race_is_used_afterwards(tuned: Database) -> None:
    assert chosen_traces(tuned) == [best_trace(tuned)]


def test_renamed_programs_find_it_too(tuned: Database) -> None:
    other = SOFTMAX.replace("X[", "Z[").replace("X:", "Z:").replace("E[", "U[")
    options = options_from(database=tuned.path, threads=1)
    stages = build(program_of(read_source(other), SIZES, {}), options)
    assert [t.to_json() for t in stages.traces] == [best_trace(tuned)]


def test_export_delete_merge_gives_the_same_schedule(tuned: Database, tmp_path: Path) -> None:
    out = tmp_path / "export.jsonl"
    tuned.export(out)
    again = Database(tmp_path / "again.db")
    again.merge(out)
    assert chosen_traces(again) == chosen_traces(tuned)


def test_tuned_kernels_are_right(tuned: Database) -> None:
    f = tcomp.compile(SOFTMAX, database=tuned, threads=1)
    x = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)
    assert tcomp.check(f, x)


def test_a_hostile_record_is_not_used(tuned: Database, tmp_path: Path) -> None:
    """Schedules that the generator could not make: absurd widths, missing decisions, another kind."""
    best = min(kernels(tuned), key=lambda r: r.best)
    options = options_from(database=tmp_path / "bad.db", threads=1)
    text = str(best.trace)
    store = Database(tmp_path / "bad.db")
    bad = [text.replace('"tile": 1', '"tile": 1000000'), '{"kind": "nest", "decisions": {}}', "[]"]
    bad += [text.replace("nest", "contraction"), text.replace(": 1", ": -7")]
    store.add(*(replace(best, trace=t, seconds=(1e-12,)) for t in bad if t != text))
    stages = build(program_of(read_source(SOFTMAX), SIZES, {}), options)
    analytical = build(stages.program, options_from(tune="off", threads=1)).traces
    assert stages.traces == analytical


def test_zero_budgets_measure_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    for budget in ({"trials": 0}, {"seconds": 0}):
        report = tcomp.tune(SOFTMAX, sizes=SIZES, database=path, progress=False, **budget)  # type: ignore[arg-type]
        assert report.trials == 0
    assert not path.exists()


def test_compile_with_seconds_tunes_first(tmp_path: Path) -> None:
    path = tmp_path / "seconds.db"
    f = tcomp.compile(SOFTMAX, database=path, tune=1.5, threads=1)
    x = np.random.default_rng(1).standard_normal((64, 96)).astype(np.float32)
    assert tcomp.check(f, x)
    assert Database(path).stats().records >= 1


def test_an_untuned_kernel_in_the_cache_is_no_reason_not_to_tune(tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    x = np.random.default_rng(3).standard_normal((32, 40)).astype(np.float32)
    tcomp.compile(SOFTMAX, database=path, threads=1)(x)
    assert not path.exists()
    tcomp.compile(SOFTMAX, database=path, tune=0.5, threads=1)(x)
    kept = Database(path).stats().records
    assert kept >= 1
    tcomp.compile(SOFTMAX, database=path, tune=0.5, threads=1)(x)  # the database has a result
    assert Database(path).stats().records == kept
    Database(path).prune(older_than=float("inf"))
    tcomp.compile(SOFTMAX, database=path, tune=0.5, threads=1)(x)
    assert Database(path).stats().records >= 1


def test_constants_are_tuned_as_they_are_compiled(tmp_path: Path) -> None:
    """Weights that are packed before any call are another workload than weights that are not."""
    path = tmp_path / "weights.db"
    text = "def f(X: f32[40, 64], W: f32[64, 48]) -> Y: f32[40, 48]:\n    Y[i, j] = sum[k](X[i, k] * W[k, j])\n"
    with pytest.raises(BindingError, match="no input 'V'"):
        tcomp.tune(text, constants=("V",), trials=1, database=path, progress=False)
    tcomp.tune(text, constants=("W",), trials=2, database=path, progress=False, threads=1)
    assert {r.key.workload.partition("+")[2] for r in Database(path).records()} == {"1"}


def test_tuning_in_the_background_replaces_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcomp.compiled.BACKGROUND_SECONDS", 0.5)
    f = tcomp.compile(SOFTMAX, database=tmp_path / "behind.db", tune="background", threads=1)
    x = np.random.default_rng(2).standard_normal((48, 80)).astype(np.float32)
    first = f(x)
    before = f._latest
    for thread in threading.enumerate():
        if thread.name == "tcomp-tuning":
            thread.join(60)
    assert f._latest is not before
    np.testing.assert_allclose(f(x), first, rtol=1e-5)


_BEYOND = """
import ctypes, sys, numpy as np
from tcomp.autotune.guard import guarded_array
a = guarded_array(np.zeros(100, np.float32))
a[:] = 1
print("inside", flush=True)
ctypes.memset(a.ctypes.data + a.nbytes, 0, 1)
print("beyond", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no mprotect")
def test_writing_beyond_an_array_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", _BEYOND], capture_output=True, text=True)
    assert done.stdout == "inside\n"
    assert done.returncode < 0
