"""Prints how well estimates order the forms of programs, as they are and corrected by the learned model.

    python tools/form_ranking.py forms.db --race derivations     # measures first: minutes
    python tools/form_ranking.py forms.db

Each program's forms are predicted by a model that has not seen it. Regret is the time of
the form that stands first (or of the fastest of the first two, four) beside that of the fastest one, a geometric
mean over programs; tau is Kendall's, of pairs that differ by more than 2 %.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import combinations
from math import log
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tcomp.benchmarks.operations.program import bound
from tcomp.benchmarks.suites import suite
from tcomp.cost_model.correction import Timed, learn, regret
from tcomp.forecast import timed_forms
from tcomp.options import Options, options_from
from tcomp.racing import candidates, process_runner, race

SAME = 0.02
TRIED = (1, 2, 4)


def measure(name: str, options: Options, most: int) -> None:
    """Races forms of all workloads of a suite."""
    runner = process_runner()
    for workload in suite(name).workloads:
        operation, own = workload.operation, options_from(
            threads=options.threads, accuracy=workload.accuracy, database=options.database
        )  # fmt: skip
        constants = frozenset(t.name for t in operation.inputs if t.constant)
        forms = candidates(bound(operation), own, constants, most)
        if len(forms) > 1:
            print(workload.name, race(forms, own, constants, runner), flush=True)
    runner.close()


def show(name: str, forms: Sequence[Timed], guesses: Sequence[float]) -> None:
    """One line of figures."""
    programs: dict[str, list[tuple[float, float]]] = {}
    for form, guess in zip(forms, guesses, strict=True):
        programs.setdefault(form.program, []).append((guess, form.seconds))
    taus = [t for pairs in programs.values() if (t := tau(pairs)) is not None]
    regrets = "  ".join(f"{regret(forms, guesses, tried):7.3f}" for tried in TRIED)
    print(f"{name:12} {regrets}  {sum(taus) / len(taus):7.3f}")


def tau(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Kendall's tau of guesses and times; None where all forms took the same."""
    signs = [
        (a[0] < b[0]) == (a[1] < b[1])
        for a, b in combinations(pairs, 2)
        if abs(log(a[1] / b[1])) > SAME and a[0] != b[0]
    ]
    return 2 * sum(signs) / len(signs) - 1 if signs else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("--race", action="append", default=[], metavar="SUITE")
    parser.add_argument("--forms", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    options = options_from(threads=chosen.threads, database=chosen.database)
    for name in chosen.race:
        measure(name, options, chosen.forms)
    forms = timed_forms(options, most=1 << 30)
    model = learn(forms)
    if model is None:
        raise SystemExit("too few races to learn from; measure some with --race")
    print(f"{len(forms)} forms of {len({f.program for f in forms})} programs")
    print(f"{'':12} {'first':>7}  {'of two':>7}  {'of four':>7}  {'tau':>7}")
    show("estimates", forms, [sum(f.kernels.estimates) for f in forms])
    show("corrected", forms, model.unseen)


if __name__ == "__main__":
    main()
