"""The tuning database: an SQLite file of immutable records, safe with several writing processes.

Rows are named by their content, so adding one twice changes nothing and merging two databases is a set
union in any order. Every record is committed as it arrives: killing a tuner loses at most the candidate
in flight. What the file cannot do (corrupt, read-only, full disk, a newer schema) is one clear error, and
records already kept stay kept.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tcomp import config
from tcomp.autotune.record import ForeignRecord, Key, Record, from_line
from tcomp.diagnostics import Error

LAYOUT = 1  # of the tables; older files are migrated when they are opened
BUSY_SECONDS = 20.0  # how long to wait for another writer

_TABLES = """
CREATE TABLE IF NOT EXISTS records (
    id TEXT PRIMARY KEY,
    workload TEXT NOT NULL, target TEXT NOT NULL, threads INTEGER NOT NULL, accuracy TEXT NOT NULL,
    schedule_class TEXT NOT NULL, class_version INTEGER NOT NULL,
    best REAL, failed INTEGER NOT NULL, time REAL NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_key ON records
    (workload, target, threads, accuracy, schedule_class, class_version, best);
"""
_KEY = tuple(f.name for f in fields(Key))


class DatabaseError(Error):
    """A tuning database that cannot be read or written; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a database holds."""

    records: int
    failures: int
    workloads: int
    targets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did. `skipped` counts lines that are no records, with up to ten reasons."""

    added: int
    known: int
    skipped: int
    reasons: tuple[str, ...] = ()


class Database:
    """Measurements on disk.

    `path` defaults to `$TCOMP_DATABASE`, else to the user's data directory. The file is made when the
    first record is added; a database that does not exist reads as empty.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else default_path()

    # -- reading -------------------------------------------------------------------------------------

    def records(self, **equal: Any) -> Iterator[Record]:
        """Records whose key fields equal those given, best first, failures last.

        Raises TypeError for a name that is no field of `Key`, DatabaseError for an unreadable file.
        """
        where, values = _conditions(equal)
        query = f"SELECT body FROM records{where} ORDER BY failed, best, id"
        if not self.path.exists():
            return
        with self._connection() as connection:
            rows = connection.execute(query, values).fetchall()
        for (body,) in rows:
            try:
                yield from_line(body)
            except ForeignRecord:
                continue  # `check` reports it; one bad row must not hide the others

    def best(self, key: Key | None = None, **equal: Any) -> Record | None:
        """The fastest record of a key (or of the records that `equal` selects), or None."""
        if key is not None:
            equal = {name: getattr(key, name) for name in _KEY}
        return next((r for r in self.records(**equal) if r.seconds), None)

    def get(self, identity: str) -> Record | None:
        """The record with an id, or an unambiguous beginning of one."""
        if not self.path.exists():
            return None
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT body FROM records WHERE substr(id, 1, ?) = ? LIMIT 2",
                (len(identity), identity),
            ).fetchall()
        return from_line(rows[0][0]) if len(rows) == 1 else None

    def stats(self) -> Stats:
        """Counts and size."""
        if not self.path.exists():
            return Stats(0, 0, 0, 0, 0)
        with self._connection() as connection:
            row = connection.execute(
                "SELECT count(*), coalesce(sum(failed), 0), count(DISTINCT workload),"
                " count(DISTINCT target) FROM records"
            ).fetchone()
        records, failures, workloads, targets = row
        return Stats(records, failures, workloads, targets, self.path.stat().st_size)

    def check(self) -> tuple[str, ...]:
        """Faults found: damage that SQLite reports, rows that are no records, rows under a wrong name."""
        if not self.path.exists():
            return ()
        faults: list[str] = []
        with self._connection() as connection:
            faults += [r[0] for r in connection.execute("PRAGMA integrity_check") if r[0] != "ok"]
            for identity, body in connection.execute("SELECT id, body FROM records ORDER BY id"):
                try:
                    if from_line(body).id != identity:
                        faults.append(f"record {identity} has another content than its name says")
                except ForeignRecord as error:
                    faults.append(f"record {identity}: {error}")
        return tuple(faults)

    # -- writing -------------------------------------------------------------------------------------

    def add(self, *records: Record) -> int:
        """Keeps records; those already known are no change. Returns how many were new."""
        return self._insert(records)

    def merge(self, other: Database | str | os.PathLike[str]) -> MergeReport:
        """Adds the records of another database or of an export in JSON lines: a set union.

        Lines that are no records are counted and skipped. Raises DatabaseError where `other` cannot be
        read at all.
        """
        from tcomp.autotune.interchange import read_records

        good: list[Record] = []
        reasons: list[str] = []
        skipped = 0
        for item in other.records() if isinstance(other, Database) else read_records(Path(other)):
            if isinstance(item, Record):
                good.append(item)
            else:
                skipped += 1
                reasons.append(item)
        added = self._insert(good)
        return MergeReport(added, len(good) - added, skipped, tuple(reasons[:10]))

    def export(self, path: str | os.PathLike[str], format: str = "jsonl") -> int:
        """Writes all records to a file (`jsonl`: everything; `csv`, `parquet`: for analysis).

        The file appears whole or not at all. Returns how many records it holds.
        """
        from tcomp.autotune.interchange import write_records

        return write_records(Path(path), self.records(), format)

    def distill(self, k: int = 1) -> int:
        """Keeps the `k` best records of every key, those of its latest race before others, and forgets the
        rest. Returns how many went."""
        from tcomp.autotune.verdict import latest_race

        if not self.path.exists():
            return 0
        grouped: dict[Key, list[Record]] = {}
        for record in self.records():
            grouped.setdefault(record.key, []).append(record)
        kept: list[tuple[str]] = []
        for records in grouped.values():
            good = [r for r in records if r.seconds]
            raced = sorted(latest_race(good), key=lambda r: (r.best, r.id))
            kept += [(r.id,) for r in [*raced, *(r for r in good if r not in raced)][:k]]
        with self._connection() as connection, connection:
            connection.execute("CREATE TEMP TABLE kept (id TEXT PRIMARY KEY)")
            connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", kept)
            return connection.execute(
                "DELETE FROM records WHERE id NOT IN (SELECT id FROM kept)"
            ).rowcount

    def prune(self, older_than: float) -> int:
        """Forgets records made before a time (seconds since 1970). Returns how many went."""
        return self._delete("time < ?", (older_than,))

    # -- the file ------------------------------------------------------------------------------------

    def _insert(self, records: Iterable[Record]) -> int:
        rows = [_row(r) for r in records]
        if not rows:
            return 0
        marks = ", ".join("?" * len(rows[0]))
        with self._connection(create=True) as connection, connection:
            before = connection.total_changes
            connection.executemany(f"INSERT OR IGNORE INTO records VALUES ({marks})", rows)
            return connection.total_changes - before

    def _delete(self, condition: str, values: tuple[Any, ...]) -> int:
        if not self.path.exists():
            return 0
        with self._connection() as connection, connection:
            return connection.execute(f"DELETE FROM records WHERE {condition}", values).rowcount

    @contextmanager
    def _connection(self, create: bool = False) -> Iterator[sqlite3.Connection]:
        """An open, migrated file. Errors of SQLite become DatabaseErrors that name the file."""
        try:
            if create:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
                _migrate(connection, self.path)
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise _explained(error, self.path) from error


def default_path() -> Path:
    """Where records go when nothing else is said: `$TCOMP_DATABASE`, else the user's data directory."""
    return config.database.get()


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout > LAYOUT:
        raise DatabaseError(
            f"the tuning database {path} was written by a newer tcomp (layout {layout}, this one reads {LAYOUT})",
            code="TC093",
            hint="upgrade tcomp, or export there as JSON lines and merge here",
        )
    if layout == LAYOUT:
        return
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,)
    if tables and connection.execute("PRAGMA user_version").fetchone() == (0,):
        raise DatabaseError(
            f"{path} is an SQLite file, but not a tuning database",
            code="TC094",
            hint="name another file with --database",
        )
    with suppress(sqlite3.OperationalError):  # another process that opens the file does the same
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("BEGIN IMMEDIATE")  # waits for another process that makes the tables
    with connection:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={LAYOUT}")


def _row(record: Record) -> tuple[Any, ...]:
    failed = not record.seconds
    best = None if failed else record.best
    key = tuple(getattr(record.key, name) for name in _KEY)
    return (record.id, *key, best, int(failed), record.time, record.to_line())


def _conditions(equal: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    for name in equal:
        if name not in _KEY:
            raise TypeError(f"records are selected by {', '.join(_KEY)}, not by '{name}'")
    if not equal:
        return "", ()
    return " WHERE " + " AND ".join(f"{name} = ?" for name in equal), tuple(equal.values())


def _explained(error: Exception, path: Path) -> DatabaseError:
    text = str(error).lower()
    causes = (
        (
            "not a database",
            "is not a tuning database, or is damaged",
            "move it away; an export can be merged into a new one",
        ),
        (
            "malformed",
            "is damaged",
            "move it away; 'tcomp db merge' reads what an export of it holds",
        ),
        ("readonly", "cannot be written", "check its permissions, or name another with --database"),
        (
            "read-only",
            "cannot be written",
            "check its permissions, or name another with --database",
        ),
        (
            "permission",
            "cannot be opened",
            "check its permissions, or name another with --database",
        ),
        ("unable to open", "cannot be opened", "check that its folder exists and can be written"),
        (
            "full",
            "has no room: the disk is full",
            "free some space; what was recorded before is kept",
        ),
        (
            "locked",
            f"is held by another process for more than {BUSY_SECONDS:.0f} s",
            "let the other tuner finish",
        ),
    )
    for mark, cause, hint in causes:
        if mark in text:
            return DatabaseError(f"the tuning database {path} {cause}", code="TC092", hint=hint)
    return DatabaseError(f"the tuning database {path} failed: {error}", code="TC092")
