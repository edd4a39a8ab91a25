"""Prints for every acceptance case of derivations how soon its form is found, and what becomes of it.

    python tools/derivation_cases.py --only "conv3x3"

Seconds are of one processor, for the search alone. A case is ok if the form is found within its budget and chosen,
rejected or refused as the list says.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tcomp.passes.derivation import chosen
from tests.derivation.catalogue import CASES
from tests.derivation.catalogue.case import Case, searched


def main() -> int:
    """Exit status 1 if a case is not ok."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--steps", action="store_true", help="show the chosen steps")
    options = parser.parse_args()
    searched(CASES[0])  # what is made once in a process
    print("| case | variant | found | of states | seconds | whole search | budget | verdict | |")
    print("|---|---|---|---|---|---|---|---|---|")
    results = [_row(c, options.steps) for c in CASES if options.only in c.name]
    print(f"\n{sum(results)} of {len(results)} cases are ok")
    return 0 if all(results) else 1


def _row(case: Case, steps: bool) -> bool:
    start = time.process_time()
    search = searched(case)
    whole = time.process_time() - start
    first = search.first(case.form)
    seconds = whole if first is None else search.moments[first]
    found = chosen(search.found, case.accuracy)
    judged = "chosen" if case.form(found.program) else "rejected"
    verdict = "refused" if first is None else judged
    known = verdict != "refused" if case.verdict == "either" else verdict == case.verdict
    ok = known and seconds <= case.budget
    place = "" if first is None else str(first)
    print(
        f"| {case.number or ''} {case.title} | {case.variant} | {place} | {search.found.states} | {seconds:.3f} "
        f"| {whole:.3f} | {case.budget:g} | {verdict} | {'ok' if ok else 'NOT OK'} |",
        flush=True,
    )
    for step in found.steps if steps else ():
        print(f"    {step.rule} at {step.tensor}")
    return ok


if __name__ == "__main__":
    sys.exit(main())
