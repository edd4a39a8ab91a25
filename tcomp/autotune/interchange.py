"""Exports: JSON lines for everything, CSV and Parquet for analysis.

A file appears whole or not at all: it is written beside its place and renamed. Reading never executes
nor unpickles anything; a line that is no record is handed on as the reason why.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from tcomp.autotune.record import ForeignRecord, Record, from_line

MAX_LINE = 4 << 20  # characters; a longer line is no record


def read_records(path: Path) -> Iterator[Record | str]:
    """Records of a file (a database or JSON lines), and for each bad line the reason as text."""
    from tcomp.autotune.database import Database, DatabaseError

    try:
        with path.open("rb") as file:
            is_sqlite = file.read(16).startswith(b"SQLite format 3")
    except OSError as error:
        raise DatabaseError(
            f"cannot read {path}: {error.strerror or error}", code="TC092"
        ) from error
    if is_sqlite:
        yield from Database(path).records()
        return
    with path.open("r", encoding="utf-8", errors="replace") as file:
        for number, line in _lines(file):
            try:
                yield from_line(line)
            except ForeignRecord as error:
                yield f"line {number}: {error}"


def write_records(path: Path, records: Iterable[Record], format: str) -> int:
    """Writes records in a format. Raises DatabaseError for an unknown format or an unwritable place."""
    from tcomp.autotune.database import DatabaseError

    writers: dict[str, Callable[[Path, Iterable[Record]], int]] = {
        "jsonl": _write_jsonl,
        "csv": _write_csv,
        "parquet": _write_parquet,
    }
    if format not in writers:
        raise DatabaseError(
            f"unknown export format '{format}'", code="TC095", hint=f"one of {', '.join(writers)}"
        )
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        os.close(handle)
    except OSError as error:
        raise DatabaseError(f"cannot write {path}: {error.strerror}", code="TC092") from error
    temporary = Path(name)
    try:
        count = writers[format](temporary, records)
        temporary.replace(path)
    except OSError as error:
        raise DatabaseError(f"cannot write {path}: {error.strerror}", code="TC092") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return count


def _lines(file: IO[str]) -> Iterator[tuple[int, str]]:
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if line.strip():
            yield number, line


def _write_jsonl(path: Path, records: Iterable[Record]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for count, record in enumerate(records, start=1):  # noqa: B007
            file.write(record.to_line() + "\n")
    return count


def _flat(record: Record) -> dict[str, Any]:
    """One row for analysis: the key, the trace as text, and statistics of the samples."""
    import json

    return {
        "id": record.id,
        **asdict(record.key),
        "trace": json.dumps(record.trace),
        "best_seconds": record.best if record.seconds else None,
        "median_seconds": record.median if record.seconds else None,
        "samples": len(record.seconds),
        "error_class": record.error_class,
        "error_text": record.error_text,
        "machine": json.dumps(dict(record.machine)),
        "seed": record.seed,
        "time": record.time,
        "program": record.program,
    }


def _write_csv(path: Path, records: Iterable[Record]) -> int:
    rows = [_flat(r) for r in records]
    with path.open("w", encoding="utf-8", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return len(rows)


def _write_parquet(path: Path, records: Iterable[Record]) -> int:
    from tcomp.autotune.database import DatabaseError

    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DatabaseError(
            "Parquet needs pyarrow, which is not installed",
            code="TC095",
            hint="pip install 'tcomp[analysis]', or export as csv",
        ) from None
    rows = [_flat(r) for r in records]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return len(rows)
