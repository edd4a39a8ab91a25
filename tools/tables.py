"""Writes the tables of benchmark results into docs/, between markers, with the machine and the command.

    tcomp bench --suite contractions --threads 2 --output results.jsonl --resume     # as often as there is time for
    tcomp bench --suite derivations --threads 2 --output results.jsonl --resume
    python tools/tables.py results.jsonl

A page has `<!-- suite contractions -->` and `<!-- end of suite -->`; what is between them is replaced.
"""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcomp.benchmarks.results import Result

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = {"contractions": "performance.md", "derivations": "derivation.md"}
MARKED = "<!-- suite {} -->\n(.*?)<!-- end of suite -->"


def described(results: list[Result]) -> str:
    """The machine, the versions, the command and the days of some results of one suite."""
    last = results[-1]
    machine = last.machine
    caches = ", ".join(f"{n.upper()} {machine[n] >> 10:,} kB" for n in ("l1", "l2", "l3"))
    versions = ", ".join(f"{n} {v}" for n, v in last.versions.items())
    days = " to ".join(dict.fromkeys((min(r.when[:10] for r in results), last.when[:10])))
    peers = {
        n: sum(any(s.name == n for s in r.peers) for r in results)
        for r in results
        for n in (s.name for s in r.peers)
    }
    partly = [
        f"{n} for {count} of {len(results)}" for n, count in peers.items() if count < len(results)
    ]
    asked = f" (not everybody for all: {', '.join(partly)})" if partly else ""
    peak = statistics.median(r.peak for r in results) / 1e9
    return (
        f"{machine['model'] or machine['cpu']} ({machine['cpu']}), {last.threads} threads, "
        f"{machine['vector_bits']}-bit vectors, {caches}; {peak:.0f} Gflop/s of f32 multiply-adds, the median of all "
        f"workloads' rounds. {versions}. Measured {days} by\n\n"
        f"    tcomp bench --suite {last.suite} --against {','.join(peers)} --threads {last.threads} "
        "--output results.jsonl\n\n"
        f"All contenders took turns in at least 15 rounds; a ratio is the best peer's minimum over ours{asked}.\n"
    )


def page_with(text: str, suite: str, content: str) -> str:
    """A page with what is between the markers of a suite replaced. Raises ValueError where it has none."""
    pattern = re.compile(MARKED.format(suite), re.S)
    if not pattern.search(text):
        raise ValueError(f"no markers of the suite {suite}")
    whole = f"<!-- suite {suite} -->\n{content}<!-- end of suite -->"
    return pattern.sub(lambda _: whole, text)


def main(files: list[str]) -> int:
    from tcomp.benchmarks.report import markdown, tables
    from tcomp.benchmarks.results import read
    from tcomp.benchmarks.suites import suite

    if not files:
        print(__doc__)
        return 2
    results = [r for f in files for r in read(Path(f))[0]]
    for name, page in PAGES.items():
        mine = [r for r in results if r.suite == name]
        if mine:
            path = DOCS / page
            content = f"{described(mine)}\n{markdown(tables(suite(name), mine))}"
            path.write_text(
                page_with(path.read_text(encoding="utf-8"), name, content), encoding="utf-8"
            )
            print(f"{path.name}: {len(mine)} results of {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
