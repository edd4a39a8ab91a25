"""`tcomp cache`: what compiled code is kept, and getting rid of it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tcomp.cli import output
from tcomp.cli.options import json_option

if TYPE_CHECKING:
    from tcomp.runtime.cache import Cache


@click.group("cache")
def command() -> None:
    """List or clear the compiled-kernel cache.

    It lies in the user's cache folder, or in $TCOMP_CACHE_DIR. Clearing it loses nothing but the time of
    compiling again.
    """


@command.command("ls")
@json_option
def list_entries(as_json: bool) -> None:
    """List the cached kernels, the most recently used first."""
    facts = contents(_cache())
    if as_json:
        output.print_json(facts)
        return
    for entry in facts["entries"]:
        click.echo(f"{entry['used']}  {entry['bytes']:>9}  {entry['program']}  {entry['key'][:16]}")
    limit = facts["limit_bytes"] >> 20
    count = len(facts["entries"])
    kernels = "1 kernel" if count == 1 else f"{count} kernels"
    click.echo(f"{kernels}, {facts['bytes'] / 2**20:.1f} of {limit} MB in {facts['folder']}")


@command.command("clear")
@json_option
def clear(as_json: bool) -> None:
    """Remove every cached kernel."""
    cache = _cache()
    removed = cache.clear()
    if as_json:
        output.print_json({"folder": str(cache.folder), "removed": removed})
    else:
        click.echo(f"removed {removed} from {cache.folder}")


def contents(cache: Cache) -> dict[str, Any]:
    """What is kept, for people and programs."""
    stats = cache.stats()
    entries = []
    for entry in cache.entries():
        artifact = cache.get(entry.key)
        if artifact is None:  # damaged, or removed by another process meanwhile
            continue
        used = datetime.fromtimestamp(entry.used).isoformat(" ", "minutes")
        facts = {"key": entry.key, "program": artifact.entry, "bytes": entry.nbytes, "used": used}
        entries.append(facts)
    return {
        "folder": str(stats.folder),
        "bytes": stats.nbytes,
        "limit_bytes": stats.limit_bytes,
        "entries": entries,
    }


def _cache() -> Cache:
    from tcomp.runtime.cache import default

    return default()
