"""`tcomp bench --suite` as users see it."""

from __future__ import annotations

import json

import pytest

ONE = (
    "bench",
    "--suite",
    "contractions",
    "--only",
    "matmul 8x8x8",
    "--threads",
    "1",
    "--seconds",
    "0",
)


def test_a_suite_beside_numpy_is_measured_kept_and_resumed(tcomp):
    done = tcomp(*ONE, "--against", "numpy", "--output", "r.jsonl", "--json")
    facts = json.loads(done.stdout)
    (workload,) = facts["workloads"]
    assert workload["workload"] == "blas matmul 8x8x8"
    assert workload["best_peer"] == "numpy" and workload["target"] == 1.15
    assert facts["geometric_mean"] == pytest.approx(workload["ratio"])
    assert {s["name"] for s in workload["standings"]} == {"tcomp", "tcomp, into out", "numpy"}
    again = tcomp(*ONE, "--output", "r.jsonl", "--resume", "--markdown", "t.md")
    assert "blas matmul 8x8x8" in again.stdout and not again.stderr
    assert len((tcomp.folder / "r.jsonl").read_text().splitlines()) == 1
    assert "| small | 1 |" in (tcomp.folder / "t.md").read_text()


def test_derivations_are_timed_beside_the_program_as_written(tcomp):
    done = tcomp(
        "bench", "--suite", "derivations", "--only", "XW + YW", "--threads", "1", "--seconds", "0"
    )
    assert "[1/1] algebra XW + YW" in done.stderr
    assert "as written" in done.stdout and "engine" in done.stdout


MISTAKES = [
    (("--suite", "contraction"), "did you mean 'contractions'?"),
    (("--suite", "models"), "there are contractions, derivations"),
    (("--suite", "contractions", "--against", "tourch"), "did you mean 'torch'?"),
    (("--suite", "contractions", "--only", "nothing"), "its classes are cube"),
    (("--suite", "contractions", "--resume"), "--output"),
    (("layer.tc", "--suite", "contractions"), "one of the two"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_names_what_there_is(tcomp, arguments, message):
    assert message in tcomp("bench", *arguments, status=2).stderr
