"""The database keeps what it was given, whatever happens around it."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tcomp.autotune.database import Database, DatabaseError
from tcomp.autotune.record import ForeignRecord, Key, Record, from_line

KEY = Key("w1", "x86-64-v3", 2, "standard", "contraction", 1)


def record(best: float = 1e-3, **changes: object) -> Record:
    made = Record(
        KEY, "def f() -> y: f32:\n    y = 1\n", [["tile", 8]], (best, best * 1.1), time=5.0
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "t.sqlite")


def test_a_missing_file_is_empty(database: Database) -> None:
    assert list(database.records()) == []
    assert database.best(KEY) is None
    assert database.stats().records == 0
    assert not database.path.exists()


def test_add_is_idempotent_and_best_is_fastest(database: Database) -> None:
    slow, fast = record(2e-3), record(1e-3)
    failure = record(seconds=(), error_class="crash", error_text="status -11")
    assert database.add(slow, fast, failure) == 3
    assert database.add(fast) == 0
    assert database.best(KEY) == fast
    assert list(database.records()) == [fast, slow, failure]
    assert database.get(fast.id[:10]) == fast
    stats = database.stats()
    assert (stats.records, stats.failures, stats.workloads) == (3, 1, 1)


def test_records_of_other_keys_do_not_compete(database: Database) -> None:
    database.add(record(1e-6, key=replace(KEY, target="aarch64")), record(1e-3))
    assert database.best(KEY) == record(1e-3)


def test_merge_is_a_set_union_in_any_order(tmp_path: Path) -> None:
    rng = random.Random(0)
    every = [record(1e-3 * (n + 1), seed=n) for n in range(12)]
    contents = []
    for order in range(3):
        parts = []
        for n in range(4):
            part = Database(tmp_path / f"{order}-{n}.sqlite")
            part.add(*rng.sample(every, 6))
            part.add(*every[3 * n : 3 * n + 3])
            parts.append(part)
        rng.shuffle(parts)
        whole = Database(tmp_path / f"whole{order}.sqlite")
        for part in parts:
            whole.merge(part)
            whole.merge(part)
        contents.append({r.id for r in whole.records()})
    assert contents[0] == contents[1] == contents[2] == {r.id for r in every}


def test_export_delete_merge_gives_the_same_best(database: Database, tmp_path: Path) -> None:
    database.add(*(record(1e-3 * (n + 1), seed=n) for n in range(5)))
    out = tmp_path / "export.jsonl"
    assert database.export(out) == 5
    before = database.best(KEY)
    database.path.unlink()
    assert database.merge(out).added == 5
    assert database.best(KEY) == before


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "null",
        "[1, 2]",
        '{"schema": 99}',
        '{"schema": 1}',
        "__import__('os').system('true')",
        "\x80\x04\x95.",
        "[" * 100_000,
        record().to_line()[:-20],
        record().to_line().replace('"threads":2', '"threads":"2"'),
        record().to_line().replace("0.001", "-0.001"),
        record().to_line().replace("0.001", "1e999"),
        record().to_line().replace('"seed"', '"evil":1,"seed"'),
    ],
)
def test_bad_lines_are_skipped_and_counted(database: Database, tmp_path: Path, line: str) -> None:
    bad = tmp_path / "bad.jsonl"
    text = "\n".join([record(seed=1).to_line(), line, record(seed=2).to_line(), ""])
    bad.write_text(text, encoding="utf-8")
    report = database.merge(bad)
    assert report.added == 2
    assert report.skipped == (1 if line else 0)
    with pytest.raises(ForeignRecord):
        from_line(line)


def test_lines_round_trip() -> None:
    original = record(machine={"cpu": "znver4"}, versions={"tcomp": "0.1"}, seed=-3)
    again = from_line(original.to_line())
    assert again.id == original.id
    assert again.seconds == original.seconds


def test_csv_names_what_it_holds(database: Database, tmp_path: Path) -> None:
    database.add(record())
    out = tmp_path / "records.csv"
    database.export(out, "csv")
    header, row = out.read_text().splitlines()[:2]
    assert header.startswith("id,workload,target")
    assert "contraction" in row
    with pytest.raises(DatabaseError, match="unknown export format"):
        database.export(out, "xml")


def test_distill_keeps_the_fastest(database: Database) -> None:
    database.add(*(record(1e-3 * (n + 1), seed=n) for n in range(5)))
    assert database.distill(2) == 3
    assert [r.best for r in database.records()] == [1e-3, 2e-3]


def test_check_finds_a_changed_row(database: Database) -> None:
    database.add(record(), record(2e-3))
    assert database.check() == ()
    with sqlite3.connect(database.path) as connection:
        connection.execute("UPDATE records SET body = replace(body, '0.002', '0.0001')")
    assert len(database.check()) == 1


# -- faults ------------------------------------------------------------------------------------------


def test_a_corrupt_file_is_one_clear_error(database: Database) -> None:
    database.path.write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    with pytest.raises(DatabaseError) as caught:
        database.add(record())
    assert str(database.path) in str(caught.value)
    assert caught.value.hint


def test_another_kind_of_file_is_refused(database: Database) -> None:
    database.path.write_text("hello, this is no database at all, just some text " * 40)
    with pytest.raises(DatabaseError):
        list(database.records())
    other = Database(database.path.with_name("other.sqlite"))
    with sqlite3.connect(other.path) as connection:
        connection.execute("CREATE TABLE things (x)")
    with pytest.raises(DatabaseError, match="not a tuning database"):
        other.add(record())


def test_a_newer_layout_is_refused_and_left_alone(database: Database) -> None:
    database.add(record())
    with sqlite3.connect(database.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DatabaseError, match="newer"):
        database.add(record(2e-3))
    with sqlite3.connect(database.path) as connection:
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DatabaseError):
        Database(blocked / "inside" / "t.sqlite").add(record())


def test_a_full_disk_loses_nothing(database: Database) -> None:
    database.add(record())
    with sqlite3.connect(database.path) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    limited = Database(database.path)
    original = sqlite3.connect

    def small(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = original(*args, **kwargs)  # type: ignore[call-overload]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection  # type: ignore[no-any-return]

    sqlite3.connect = small  # type: ignore[assignment]
    try:
        with pytest.raises(DatabaseError, match="full"):
            limited.add(*(record(seed=n, error_text="x" * 5000) for n in range(50)))
    finally:
        sqlite3.connect = original
    assert [r.id for r in database.records()] == [record().id]


def _writer(path: str, base: int) -> None:
    for n in range(20):
        Database(path).add(record(seed=base + n))


def test_several_processes_write_at_once(database: Database) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_writer, args=(str(database.path), 100 * n)) for n in range(3)
    ]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    assert database.stats().records == 60
    assert database.check() == ()


def test_export_is_plain_json_with_its_schema(database: Database, tmp_path: Path) -> None:
    database.add(record())
    out = tmp_path / "e.jsonl"
    database.export(out)
    body = json.loads(out.read_text())
    assert body["schema"] == 1
    assert body["key"]["workload"] == "w1"
