"""derive, tune, db, machine and model from the command line."""

from __future__ import annotations

import json

CHAIN = """\
# sizes: N=64
def chain(A: f32[N, N], B: f32[N, N], v: f32[N]) -> y: f32[N]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
"""


def test_derive_shows_every_step_and_its_log_replays(tcomp):
    (tcomp.folder / "chain.tc").write_text(CHAIN)
    text = tcomp("derive", "chain.tc", "--log", "proof.json").stdout
    assert "traversal merging" in text
    assert "factor pull-out" in text
    assert "x less" in text
    facts = json.loads(tcomp("derive", "chain.tc", "--check", "proof.json", "--json").stdout)
    assert facts["equal"] is True
    log = json.loads((tcomp.folder / "proof.json").read_text())
    log["steps"][0]["fingerprint"] = "0" * 64
    (tcomp.folder / "forged.json").write_text(json.dumps(log))
    forged = tcomp("derive", "chain.tc", "--check", "forged.json", status=2)
    assert "step 1" in forged.stderr


def test_a_log_is_checked_on_its_own(tcomp):
    (tcomp.folder / "chain.tc").write_text(CHAIN)
    tcomp("derive", "chain.tc", "--log", "proof.json")
    text = tcomp("derive", "--check", "proof.json").stdout
    assert "every step replays" in text and "factor pull-out" in text
    log = json.loads((tcomp.folder / "proof.json").read_text())
    log["source"] = log["source"].replace("B[k, j]", "B[j, k]")
    (tcomp.folder / "forged.json").write_text(json.dumps(log))
    assert "another program" in tcomp("derive", "--check", "forged.json", status=2).stderr
    assert "FILE is missing" in tcomp("derive", status=2).stderr


def test_derive_measures_the_cheapest_candidates(tcomp):
    (tcomp.folder / "chain.tc").write_text(CHAIN)
    facts = json.loads(tcomp("derive", "chain.tc", "--measure", "--json").stdout)
    measured = facts["measured"]
    assert (
        measured["as_written"] > 0 and measured["derived"] == measured["candidates"][0]["seconds"]
    )
    assert [s["rule"] for s in facts["steps"]] == measured["candidates"][0]["rules"]
    costs = [each["cost"] for each in measured["candidates"]]
    assert costs == sorted(costs)


def test_derive_of_another_program_refuses_the_log(tcomp):
    (tcomp.folder / "chain.tc").write_text(CHAIN)
    tcomp("derive", "chain.tc", "--log", "proof.json")
    assert (
        "another program" in tcomp("derive", "layer.tc", "--check", "proof.json", status=2).stderr
    )


def test_tune_remembers_and_db_shows(tcomp):
    tuned = tcomp("tune", "layer.tc", "--trials", "3", "--database", "t.db", "--json")
    facts = json.loads(tuned.stdout)
    assert facts["trials"] == 3
    best = json.loads(tcomp("db", "best", "--database", "t.db", "--json").stdout)
    assert len(best["records"]) == 1
    identity = best["records"][0]["id"]
    assert "def workload" in tcomp("db", "show", identity[:8], "--database", "t.db").stdout
    stats = json.loads(tcomp("db", "stats", "--database", "t.db", "--json").stdout)
    assert 3 <= stats["records"] <= 5  # the winner may be confirmed
    assert "written" in tcomp("db", "export", "e.jsonl", "--database", "t.db").stdout
    merged = tcomp("db", "merge", "e.jsonl", "--database", "other.db", "--json")
    assert json.loads(merged.stdout)["added"] == stats["records"]
    assert "whole" in tcomp("db", "check", "--database", "other.db").stdout
    removed = json.loads(tcomp("db", "distill", "--database", "other.db", "--json").stdout)
    assert removed["removed"] == stats["records"] - 1
    assert "csv" in tcomp("db", "export", "e.csv", "--database", "t.db", "--json").stdout


def test_bad_lines_are_counted_and_named(tcomp):
    (tcomp.folder / "bad.jsonl").write_text('{"schema": 99}\nnonsense\n')
    done = tcomp("db", "merge", "bad.jsonl", "--database", "t.db")
    assert "2 skipped" in done.stdout
    assert "line 1" in done.stderr
    assert "line 2" in done.stderr


def test_a_file_that_is_no_database_is_one_clear_error(tcomp):
    (tcomp.folder / "text.db").write_text("hello " * 500)
    done = tcomp("db", "ls", "--database", "text.db", status=2)
    assert "text.db" in done.stderr
    assert "hint" in done.stderr


def test_a_model_needs_measurements(tcomp):
    assert "too few" in tcomp("model", "train", "m.json", "--database", "t.db", status=2).stderr
    assert "terms" in tcomp("model", "show").stdout


def test_machine_tells_its_peak(tcomp):
    facts = json.loads(tcomp("machine", "--json").stdout)
    assert facts["peak_gflops_1"] > 0
    assert facts["memory_gbytes_1"] > 0
