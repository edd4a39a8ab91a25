"""`tcomp db`: the tuning database: what it holds, and moving records about."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tcomp.cli import output
from tcomp.cli.options import json_option
from tcomp.diagnostics import BindingError

if TYPE_CHECKING:
    from tcomp.autotune.database import Database
    from tcomp.autotune.record import Record

Function = TypeVar("Function", bound=Callable[..., Any])


def database_option(function: Function) -> Function:
    """The option that names the file."""
    return click.option(
        "--database", type=click.Path(path_type=Path), metavar="F", help="Tuning database to use."
    )(function)


def _open(path: Path | None) -> Database:
    from tcomp.autotune.database import Database

    return Database(path)


@click.group("db")
def command() -> None:
    """Look into the tuning database, export it, merge others into it.

    \b
    Examples:
      tcomp db best
      tcomp db export tuned.jsonl
      tcomp db merge tuned.jsonl --database mine.db
    """


@command.command("ls")
@database_option
@click.option("--failed", is_flag=True, help="Only candidates that failed.")
@json_option
def list_records(database: Path | None, failed: bool, as_json: bool) -> None:
    """List every record, the fastest of each workload first."""
    store = _open(database)
    records = [r for r in store.records() if not (failed and r.seconds)]
    records.sort(key=lambda r: (r.key.workload, r.best))
    _print(store, records, as_json)


@command.command("best")
@database_option
@json_option
def best(database: Path | None, as_json: bool) -> None:
    """List the best schedule of every workload, and the best form of every program."""
    from tcomp.autotune.verdict import decided

    store = _open(database)
    grouped: dict[Any, list[Record]] = {}
    for record in store.records():
        grouped.setdefault(record.key, []).append(record)
    found = [decided(records) for records in grouped.values()]
    _print(store, [record for record in found if record is not None], as_json)


@command.command("show")
@click.argument("identity", metavar="ID")
@database_option
@json_option
def show(identity: str, database: Path | None, as_json: bool) -> None:
    """Show one record whole; the beginning of its ID is enough."""
    store = _open(database)
    record = store.get(identity)
    if record is None:
        raise BindingError(
            f"no single record's id begins with '{identity}' in {store.path}",
            code="TC095",
            hint="'tcomp db ls' lists the ids",
        )
    if as_json:
        output.print_json({"id": record.id, **record.to_json()})
        return
    click.echo(f"{record.id}  {_when(record)}  seed {record.seed}")
    click.echo(
        f"{record.key.schedule_class} for {record.key.target.split(' ')[1]}, "
        f"{record.key.threads} threads, {record.key.accuracy}"
    )
    click.echo(f"\n{record.program}")
    click.echo(_decisions(record.trace))
    if record.seconds:
        samples = "  ".join(output.seconds(s) for s in record.seconds)
        click.echo(f"samples  {samples}")
    else:
        click.echo(f"failed: {record.error_class}: {record.error_text}")


def _decisions(trace: Any) -> str:
    """A schedule's trace, or the steps to a form, each with the beginning of its fingerprint."""
    if not isinstance(trace, list):
        return f"schedule {trace}"
    steps = [s for s in trace if isinstance(s, dict)]
    told = [
        f"{s.get('rule')} at {s.get('tensor')} ({str(s.get('fingerprint'))[:10]})" for s in steps
    ]
    return f"form     {', '.join(told) or 'as written'}"


@command.command("stats")
@database_option
@json_option
def stats(database: Path | None, as_json: bool) -> None:
    """Count records, failures, workloads and targets."""
    store = _open(database)
    found = store.stats()
    facts = {
        "path": str(store.path),
        "records": found.records,
        "failures": found.failures,
        "workloads": found.workloads,
        "targets": found.targets,
        "bytes": found.bytes,
    }
    if as_json:
        output.print_json(facts)
    else:
        click.echo(
            f"{found.records} records ({found.failures} failures) of {found.workloads} workloads "
            f"on {found.targets} targets, {found.bytes / 1024:.0f} kB in {store.path}"
        )


@command.command("export")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="What to write; by default what the file's suffix says, else jsonl.",
)
@database_option
@json_option
def export(out: Path, kind: str | None, database: Path | None, as_json: bool) -> None:
    """Write all records to OUT: JSON lines hold everything, CSV and Parquet are for analysis."""
    store = _open(database)
    suffix = out.suffix.lstrip(".")
    chosen = kind or (suffix if suffix in ("csv", "parquet") else "jsonl")
    count = store.export(out, chosen)
    facts = {"path": str(store.path), "output": str(out), "format": chosen, "records": count}
    _tell(facts, f"{count} records written to {out}", as_json)


@command.command("merge")
@click.argument(
    "others", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@database_option
@json_option
def merge(others: tuple[Path, ...], database: Path | None, as_json: bool) -> None:
    """Add the records of OTHERS: exports in JSON lines, or databases. Bad lines are skipped and counted."""
    store = _open(database)
    added = known = skipped = 0
    reasons: list[str] = []
    for other in others:
        report = store.merge(other)
        added, known, skipped = added + report.added, known + report.known, skipped + report.skipped
        reasons += [f"{other}: {reason}" for reason in report.reasons]
    facts = {
        "path": str(store.path),
        "added": added,
        "known": known,
        "skipped": skipped,
        "reasons": reasons,
    }
    for reason in reasons:
        click.echo(f"skipped {reason}", err=True)
    _tell(facts, f"{added} added, {known} known before, {skipped} skipped", as_json)


@command.command("distill")
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Fastest records to keep for each workload.",
)
@database_option
@json_option
def distill(keep: int, database: Path | None, as_json: bool) -> None:
    """Keep the fastest records of every workload and forget the rest, failures included."""
    store = _open(database)
    removed = store.distill(keep)
    _tell({"path": str(store.path), "removed": removed}, f"{removed} records removed", as_json)


@command.command("check")
@database_option
@json_option
def check(database: Path | None, as_json: bool) -> None:
    """Look for damage: every row must be the record that its name says."""
    from tcomp.cli.failures import CheckFailed

    store = _open(database)
    faults = store.check()
    facts = {"path": str(store.path), "ok": not faults, "faults": list(faults)}
    text = "\n".join(faults) if faults else f"{store.stats().records} records are whole"
    _tell(facts, text, as_json)
    if faults:
        raise CheckFailed(f"{store.path} has {len(faults)} faults")


@command.command("prune")
@click.option("--days", type=click.FloatRange(0), required=True, help="Forget what is older.")
@database_option
@json_option
def prune(days: float, database: Path | None, as_json: bool) -> None:
    """Forget records older than a number of days."""
    store = _open(database)
    removed = store.prune(time.time() - days * 86400)
    _tell({"path": str(store.path), "removed": removed}, f"{removed} records removed", as_json)


def _print(store: Database, records: list[Record], as_json: bool) -> None:
    if as_json:
        facts = [{"id": r.id, **r.to_json()} for r in records]
        output.print_json({"path": str(store.path), "records": facts})
        return
    for record in records:
        click.echo(line(record))
    click.echo(f"{len(records)} records in {store.path}")


def line(record: Record) -> str:
    """One record in one line."""
    time_text = output.seconds(record.best) if record.seconds else f"failed: {record.error_class}"
    first = next((x for x in record.program.splitlines() if x.strip()), "")
    return (
        f"{record.id[:10]}  {time_text:>12}  {record.key.schedule_class:11} "
        f"{record.key.threads}t  {first.strip()[:80]}"
    )


def _when(record: Record) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(record.time))


def _tell(facts: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        output.print_json(facts)
    else:
        click.echo(text)
