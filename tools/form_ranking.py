"""Prints how well estimates order the forms of programs, as they are and corrected by the learned model.

    python tools/form_ranking.py forms.db --race derivations     # measures first: minutes
    python tools/form_ranking.py forms.db

Each program's forms are predicted by a model that was trained on the other programs alone. Regret is the time of
the form that stands first (or of the best of the first two) beside that of the fastest one, a geometric mean
over programs; tau is Kendall's, of pairs that differ by more than 2 %.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from math import exp, log
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tcomp.benchmarks.operations.program import bound
from tcomp.benchmarks.suites import suite
from tcomp.cost_model.correction import Timed, learn
from tcomp.forecast import timed_forms
from tcomp.options import Options, options_from
from tcomp.racing import candidates, process_runner, race

SAME = 0.02
Judge = Callable[[Sequence[Timed]], Sequence[float]]


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


def corrected(programs: dict[str, list[Timed]]) -> Judge:
    """A judge that knows all programs but the one that it is asked about."""

    def judge(forms: Sequence[Timed]) -> Sequence[float]:
        others = [f for n, fs in programs.items() if n != forms[0].program for f in fs]
        model = learn(others)
        assert model is not None, "too few races to learn from"
        return [model.predict(f.kernels).seconds for f in forms]

    return judge


def estimated(forms: Sequence[Timed]) -> Sequence[float]:
    """The estimates as they are."""
    return [sum(f.kernels.estimates) for f in forms]


def show(name: str, judge: Judge, programs: dict[str, list[Timed]]) -> None:
    """One line of figures."""
    first, second, taus = [], [], []
    for forms in programs.values():
        guessed, taken = judge(forms), [f.seconds for f in forms]
        order = sorted(range(len(forms)), key=lambda n: guessed[n])
        first.append(log(taken[order[0]] / min(taken)))
        second.append(log(min(taken[n] for n in order[:2]) / min(taken)))
        signs = [
            (guessed[a] < guessed[b]) == (taken[a] < taken[b])
            for a, b in combinations(range(len(forms)), 2)
            if abs(log(taken[a] / taken[b])) > SAME and guessed[a] != guessed[b]
        ]
        if signs:
            taus.append(2 * sum(signs) / len(signs) - 1)
    regrets = "  ".join(f"{exp(sum(x) / len(x)):6.3f}" for x in (first, second))
    print(f"{name:12} {regrets}  {sum(taus) / len(taus):6.3f}")


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
    programs: dict[str, list[Timed]] = {}
    for form in timed_forms(options, most=1 << 30):
        programs.setdefault(form.program, []).append(form)
    programs = {n: fs for n, fs in programs.items() if len(fs) > 1}
    print(f"{sum(map(len, programs.values()))} forms of {len(programs)} programs")
    print(f"{'':12} {'first':>6}  {'of two':>6}  {'tau':>6}")
    show("estimates", estimated, programs)
    show("corrected", corrected(programs), programs)


if __name__ == "__main__":
    main()
