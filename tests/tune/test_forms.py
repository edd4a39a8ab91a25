"""Races of forms with a fake clock: what is measured is recorded, found again, replayed and verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

import tcomp
from tcomp.autotune.database import Database
from tcomp.autotune.forms import form_key, form_text, keep_forms, trace_of
from tcomp.autotune.measurement import Measurement, Task
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.nodes import Program
from tcomp.lang import lower, parse
from tcomp.options import Options, options_from
from tcomp.pipeline import chosen_form, derived, measured_form, searched
from tcomp.racing import candidates, race

CHAIN = """
def chain(A: f32[40, 41], B: f32[41, 42], v: f32[42]) -> y: f32[40]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
"""
DISTANCES = """
def distances(X: f32[200, 16], C: f32[64, 16]) -> Q: f32[200, 64]:
    Q[n, k] = sum[d]((X[n, d] - C[k, d]) * (X[n, d] - C[k, d]))
"""
LAYERS = """
def layers(I: f32[1, 8, 32, 32], F: f32[8, 8, 3, 3], G: f32[16, 8, 3, 3]) -> Y: f32[1, 16, 32, 32]:
    A = conv2d[pad=1](I, F)
    R = relu(A)
    B = conv2d[pad=1](R, G)
    Y = relu(B)
"""
Clock = Callable[[Sequence[str]], float]


def program(text: str) -> Program:
    return bind(lower(parse(text)), {})


class FakeRunner:
    """Says of every form what `clock` says of its rules; of every schedule the same."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.races, self.closed = clock, [], False  # type: ignore[var-annotated]

    def measure(self, task: Task, trace: Any, limit: float) -> Measurement:
        return Measurement((1e-3,))

    def race(self, task: Task, traces: Sequence[Any], limit: float) -> list[Measurement]:
        if any(isinstance(t, str) for t in traces):
            return [self.measure(task, t, limit) for t in traces]
        self.races.append((task, [[s["rule"] for s in t] for t in traces]))
        seconds = [self.clock([s["rule"] for s in t]) for t in traces]
        return [Measurement((s, 1.1 * s)) if s else Measurement((), "crash", "") for s in seconds]

    def close(self) -> None:
        self.closed = True


def tuned(text: str, path: Path, clock: Clock, **more: Any) -> tuple[Any, FakeRunner]:
    runner = FakeRunner(clock)
    report = tcomp.tune(
        text, trials=1, database=path, progress=False, threads=1, runner=runner, **more
    )
    assert runner.closed
    return report, runner


def rules(options: Options, text: str = CHAIN) -> list[str]:
    return [s.rule for s in chosen_form(program(text), options).steps]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "forms.db"


def options(path: Path, **more: Any) -> Options:
    return options_from(database=path, threads=1, **more)


def test_the_estimates_choose_where_nothing_was_measured(path: Path) -> None:
    assert rules(options(path)) == ["traversal merging", "factor pull-out"]


def test_the_program_as_written_stands_in_the_race_and_may_win(path: Path) -> None:
    report, runner = tuned(CHAIN, path, lambda rules: 2e-3 if rules else 1e-3)
    (_, forms), *_ = runner.races
    assert forms[0] == [] and ["traversal merging", "factor pull-out"] in forms
    assert report.races[0].chosen == 0
    assert "chosen as written" in str(report)
    assert rules(options(path)) == []
    found = chosen_form(program(CHAIN), options(path))
    assert found.measured is not None and found.measured.forms == len(forms)


def test_the_fastest_form_is_what_compile_takes(path: Path) -> None:
    slow = ["traversal merging", "factor pull-out"]
    report, runner = tuned(CHAIN, path, lambda r: 4e-3 if r in ([], slow) else 1e-3)
    chosen = runner.races[0][1][report.races[0].chosen]
    assert chosen not in ([], slow)
    assert rules(options(path)) == chosen
    assert rules(options(path, tune="off")) == slow
    f = tcomp.compile(CHAIN, database=path, threads=1)
    arrays = [np.random.default_rng(n).standard_normal(s).astype(np.float32) for n, s in
              enumerate(((40, 41), (41, 42), (42,)))]  # fmt: skip
    assert tcomp.check(f, *arrays)
    text = str(f.explain())
    assert f"measured: {len(runner.races[0][1])} forms" in text
    assert f"chosen {', '.join(chosen)} at 4x" in text
    assert f.explain().to_json()["derivation"]["measured"]["speedup"] == pytest.approx(4.0)
    assert json.dumps(report.to_json())
    assert [f["chosen"] for f in report.to_json()["forms"]].count(True) == 1


def test_races_of_parts_are_told_by_what_the_parts_make(path: Path) -> None:
    _, runner = tuned(LAYERS, path, lambda rules: 1e-3 if rules else 4e-3)
    assert len(runner.races) > 1
    explanation = tcomp.compile(LAYERS, database=path, threads=1).explain()
    assert [race.makes for race in explanation.races] == [("R",), ("Y",)]
    text = str(explanation)
    assert "R: measured: " in text and "Y: measured: " in text and "programs looked at" not in text
    races = explanation.to_json()["derivation"]["races"]
    assert [r["makes"] for r in races] == [["R"], ["Y"]] and all(r["forms"] > 1 for r in races)


def test_nothing_clearly_faster_leaves_the_program_as_it_is(path: Path) -> None:
    report, _ = tuned(CHAIN, path, lambda rules: 0.99e-3 if rules else 1e-3)
    assert report.races[0].chosen == 0


def test_a_form_that_fails_is_no_winner(path: Path) -> None:
    report, _ = tuned(CHAIN, path, lambda rules: 0.0 if rules else 1e-3)
    assert report.races[0].chosen == 0
    everything, _ = tuned(CHAIN, path.with_name("none.db"), lambda rules: 0.0)
    assert "none of" in str(everything)
    assert rules(options(path.with_name("none.db"))) == ["traversal merging", "factor pull-out"]


def test_a_race_on_record_is_not_run_again(path: Path) -> None:
    tuned(CHAIN, path, lambda rules: 1e-3)
    again, runner = tuned(CHAIN, path, lambda rules: 1e-3)
    assert runner.races == [] and again.races == ()


def test_a_close_second_is_tuned_a_little_and_races_once_more(path: Path) -> None:
    def clock(rules: Sequence[str]) -> float:
        return 1.0e-3 if len(rules) == 2 else 1.05e-3 if rules else 9e-3

    runner = FakeRunner(clock)
    runner.measure = lambda task, trace, limit: Measurement(
        (1.0 / (2 + crc32(trace.encode()) % 9),)
    )  # type: ignore[method-assign]
    report = tcomp.tune(
        CHAIN, trials=40, database=path, progress=False, threads=1, runner=runner
    )  # fmt: skip
    assert len(runner.races) == 2
    (first, all_forms), (last, finalists) = runner.races
    assert first.database is None and last.database == str(path)
    assert finalists[0] == [] and len(finalists) == 3 < len(all_forms) + 1
    assert len({k.name for k in report.kernels}) > 1


def test_zero_budgets_race_nothing(path: Path) -> None:
    for budget in ({"trials": 0}, {"seconds": 0}):
        runner = FakeRunner(lambda rules: 1e-3)
        tcomp.tune(CHAIN, database=path, progress=False, runner=runner, **budget)  # type: ignore[arg-type]
        assert runner.races == []
    assert not path.exists()


def test_records_travel(path: Path, tmp_path: Path) -> None:
    tuned(CHAIN, path, lambda r: 1e-3 if len(r) > 2 or r == ["layout transformation"] else 4e-3)
    out, other = tmp_path / "out.jsonl", Database(tmp_path / "other.db")
    Database(path).export(out)
    assert other.merge(out).skipped == 0
    assert other.check() == ()
    assert rules(options(other.path)) == rules(options(path))
    other.distill(1)
    assert rules(options(other.path)) == rules(options(path))


def test_renamed_programs_find_it_and_constants_keep_apart(path: Path) -> None:
    tuned(CHAIN, path, lambda rules: 9e-3 if rules else 1e-3)
    renamed = CHAIN.replace("A", "P").replace("C[", "Q[")
    assert rules(options(path), renamed) == []
    assert measured_form(program(CHAIN), options(path), frozenset("B")) is None
    assert form_text(program(CHAIN), {"B", "v"}).startswith("# bound: B, v\n")


def forged(path: Path, trace: Any, text: str = CHAIN, **more: Any) -> Options:
    """Options with a database that says that a form is fast."""
    chosen = options(path, **more)
    key = form_key(program(text), (), chosen)
    (record,) = Database(path).records() if path.exists() else [None]
    assert record is None
    keep_forms(program(text), (), chosen, [((), Measurement((1.0,)))])
    (record,) = Database(path).records()
    Database(path).add(replace(record, key=key, trace=trace, seconds=(1e-9,)))
    return chosen


@pytest.mark.parametrize(
    "trace",
    [
        "traversal merging",
        [["traversal merging"]],
        [{"rule": "traversal merging", "tensor": "C", "fingerprint": "0" * 64}],
        [{"rule": "no such rule", "tensor": "C", "fingerprint": ""}],
        [{}] * 1000,
        {"rule": 3},
    ],
)
def test_a_record_that_does_not_replay_is_not_used(path: Path, trace: Any) -> None:
    assert rules(forged(path, trace)) == ["traversal merging", "factor pull-out"]


def test_steps_that_the_accuracy_class_forbids_are_not_taken(path: Path) -> None:
    """A record may claim them; the measured error decides, as for any derivation."""
    steps = derived(program(DISTANCES), "fast").steps
    assert [s.rule for s in steps] == ["expansion"]
    assert rules(forged(path, trace_of(steps), DISTANCES), DISTANCES) == []
    fast = forged(path.with_name("fast.db"), trace_of(steps), DISTANCES, accuracy="fast")
    assert rules(fast, DISTANCES) == ["expansion"]
    strict = forged(path.with_name("strict.db"), trace_of(steps), DISTANCES, accuracy="strict")
    assert rules(strict, DISTANCES) == []


def test_a_step_that_changes_the_meaning_is_found_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that is wrong, as a record of another version may have it."""
    from tcomp.passes.derivation import proof
    from tcomp.passes.derivation.rule import Rule

    other = program(CHAIN.replace("B[k, j]", "B[k, j] * 2"))
    wrong = Rule("wrong", "", "", "", "", lambda p: iter([("C", other)]))
    monkeypatch.setattr(proof, "RULES", (wrong,))
    trace = [{"rule": "wrong", "tensor": "C", "fingerprint": proof.fingerprint(proof.normal_form(other))}]  # fmt: skip
    assert len(proof.replay_steps(program(CHAIN), trace)) == 1
    assert rules(forged(path, trace)) == ["traversal merging", "factor pull-out"]


def test_contenders_hold_and_are_told_apart() -> None:
    found = candidates(program(CHAIN), options_from(threads=1), frozenset())
    assert found[0].steps == () and found[0].program is found[0].source
    assert [s.rule for s in found[1].steps] == ["traversal merging", "factor pull-out"]
    assert len({d.program for d in found}) == len(found) <= 5
    assert all(d.cost_after <= 1.5 * d.cost_before for d in found)
    assert found[1].cost_after == searched(program(CHAIN), "standard").cost_after


def test_a_race_for_real(path: Path) -> None:
    from tcomp.racing import process_runner

    chosen = options(path)
    runner = process_runner()
    forms = candidates(program(CHAIN), chosen, frozenset({"B", "v"}))
    result = race(forms, chosen, frozenset({"B", "v"}), runner)
    runner.close()
    assert all(f.measurement.ok for f in result.forms), result.to_json()
    found = measured_form(program(CHAIN), chosen, frozenset({"B", "v"}))
    assert found is not None and found.measured is not None
    assert found.measured.forms == len(forms)
    assert Database(path).check() == ()


def test_wrong_forms_are_not_timed(path: Path) -> None:
    """The worker replays steps on its own and refuses what is no derivation of its program."""
    from tcomp.race_worker import open_forms

    task = {"program": form_text(program(CHAIN), "B"), "threads": 1, "accuracy": "standard", "seed": 0}  # fmt: skip
    forms = open_forms(task)
    answers = forms.race([[], [{"rule": "factor pull-out", "fingerprint": "?"}]])
    assert answers[0]["seconds"] and "ProofError" in answers[1]["error_text"]


def test_forms_of_4_bit_weights_are_checked_too() -> None:
    from tcomp.race_worker import open_forms

    text = """
def f(X: f32[8, 9], W: i4[7, 9], s: f32[7]) -> Y: f32[8, 7]:
    Y[i, j] = sum[k](X[i, k] * W[j, k] * s[j])
"""
    for bound in ("", "W"):
        task = {"program": form_text(program(text), bound), "threads": 1, "seed": 0}
        (answer,) = open_forms({**task, "accuracy": "standard"}).race([[]])
        assert answer.get("seconds"), answer
