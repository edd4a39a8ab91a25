"""`tcomp.tune`: better schedules for a program's kernels, measured here and remembered in the database."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tcomp import schedule
from tcomp.autotune.database import Database
from tcomp.autotune.guidance import Guidance
from tcomp.autotune.lookup import key_of, legal_trace
from tcomp.autotune.machine import machine_facts, version_facts
from tcomp.autotune.measurement import Measurement, Runner, Task
from tcomp.autotune.progress import line_watcher
from tcomp.autotune.record import Key, Record
from tcomp.autotune.runner import ProcessRunner
from tcomp.autotune.search import Search
from tcomp.autotune.tuner import Contest, Progress
from tcomp.autotune.tuner import tune as run_contests
from tcomp.autotune.verdict import decided
from tcomp.autotune.workload import text_of
from tcomp.diagnostics import BindingError, nearest
from tcomp.forecast import forecast_from
from tcomp.options import Options, options_from
from tcomp.passes.derivation import Part, distinct_parts
from tcomp.pipeline import Stages, build, build_form, measured_form, specialise
from tcomp.racing import MOST_FORMS, Race, candidates, process_runner, race
from tcomp.source import Source, read_source
from tcomp.training import examples_from

if TYPE_CHECKING:
    from tcomp.ir.plan import Group
    from tcomp.ir.tensor.nodes import Program
    from tcomp.schedule.trace import Trace

LEARNING_SECONDS = 10.0  # a budget that leaves room for learning from earlier races
ASIDE = 0.25  # of the time that the kernels of the winner get, for those of a form that is nearly as fast


@dataclass(frozen=True, slots=True)
class KernelReport:
    """One kernel: the seconds of its analytical and of its best schedule (infinity: none worked)."""

    name: str
    schedule_class: str
    untuned: float
    tuned: float
    trials: int
    failures: int

    @property
    def gain(self) -> float:
        """How many times faster the best schedule is; 1 where nothing better was found."""
        return self.untuned / self.tuned if self.tuned < self.untuned else 1.0


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What a tuning run did. All measurements are in the database at `database`."""

    kernels: tuple[KernelReport, ...]
    trials: int
    seconds: float
    interrupted: bool
    database: str
    races: tuple[Race, ...] = ()  # of the forms of each part for which none was on record

    def __str__(self) -> str:
        several = len(self.races) > 1
        lines = [f"{', '.join(r.makes)}: {r}" if several else str(r) for r in self.races]
        lines += [f"{'kernel':24} {'class':12} {'untuned':>10} {'tuned':>10} {'gain':>6}  trials"]
        for k in self.kernels:
            lines.append(
                f"{k.name[:24]:24} {k.schedule_class:12} {_ms(k.untuned):>10} {_ms(k.tuned):>10} "
                f"{k.gain:5.2f}x  {k.trials}" + (f" ({k.failures} failed)" if k.failures else "")
            )
        end = "interrupted after" if self.interrupted else "in"
        lines.append(
            f"{self.trials} candidates {end} {self.seconds:.1f} s, kept in {self.database}"
        )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "kernels": [
                {
                    "name": k.name,
                    "class": k.schedule_class,
                    "untuned_seconds": k.untuned,
                    "tuned_seconds": k.tuned,
                    "gain": k.gain,
                    "trials": k.trials,
                    "failures": k.failures,
                }
                for k in self.kernels
            ],
            "forms": [form for race in self.races for form in race.to_json()],
            "trials": self.trials,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "database": self.database,
        }


def tune(
    source: str | os.PathLike[str],
    *,
    entry: str | None = None,
    sizes: Mapping[str, int] | None = None,
    params: Mapping[str, int | float | bool] | None = None,
    constants: Collection[str] = (),
    seconds: float | None = 30,
    trials: int | None = None,
    database: Any = None,
    cluster: str | None = None,
    progress: bool = True,
    seed: int = 0,
    threads: int | None = None,
    accuracy: str = "standard",
    runner: Runner | None = None,
    form_runner: Runner | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> TuneReport:
    """Measures forms of a program, then schedules of the kernels of the fastest one, for `seconds`, or `trials`
    schedules, and keeps the best.

    Candidates are built and run in a child process; wrong results, crashes and time-outs cost their
    candidate only. `constants` names the inputs that `compile` will be given as constants: a schedule whose
    weights are packed before any call is another one. `database` is a path or a Database, by default the
    user's. Later `compile` calls with `tune="cached"` use what was found. With `progress` a line on standard
    error tells the best so far.

    Raises CompileError for a program that is wrong, BindingError for sizes that are not bound.
    """
    options = options_from(threads=threads, accuracy=accuracy, tune="cached", database=database)
    if cluster is not None:
        raise BindingError("cluster: tuning on other machines is not supported yet", code="TC079")
    program = program_of(
        read_source(source, entry), dict(sizes or {}), dict(params or {}), constants
    )
    limit = None if trials is not None and seconds == 30 else seconds
    return tune_program(
        program,
        options,
        frozenset(constants),
        seconds=limit,
        trials=trials,
        seed=seed,
        runner=runner,
        form_runner=form_runner,
        watch=watch or line_watcher(progress),
    )


def tune_program(
    program: Program,
    options: Options,
    constants: frozenset[str] = frozenset(),
    *,
    seconds: float | None,
    trials: int | None = None,
    seed: int = 0,
    runner: Runner | None = None,
    form_runner: Runner | None = None,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> TuneReport:
    """Races forms of a bound program where no race is on record, then tunes the kernels of the winner; see `tune`.

    A form that is nearly as fast is tuned a little as well, and races once more. A `runner` measures forms too
    unless there is a `form_runner`.
    """
    start = time.monotonic()
    store = Database(options.database)
    forms = form_runner or runner or process_runner()
    parts = distinct_parts(program, constants)
    races: dict[Part, Race] = {}
    stopped = False
    contests: list[Contest[Trace]] = []
    try:
        if seconds != 0 and trials != 0:
            for part, raced in _races(parts, options, seconds, forms, seed):
                races[part] = raced
        contests = contests_for(build(program, options, constants), options, store, seed)
        for part, raced in races.items():
            contests += _aside(part, raced, contests, options, store, seed)
    except KeyboardInterrupt:
        stopped = True
    left = None if seconds is None else max(seconds - (time.monotonic() - start), seconds / 4)
    outcome = run_contests(
        contests, runner or ProcessRunner(), seconds=left, trials=trials, watch=watch
    )
    stopped = stopped or outcome.interrupted
    if not stopped and any(c.gain > 1 for c in contests):
        for part, raced in races.items():
            if raced.near is not None:
                races[part] = _again(part, raced, options, forms, seed)
    forms.close()
    return TuneReport(
        tuple(
            KernelReport(
                c.name, c.search.first.kind, c.first_seconds, c.best_seconds, c.trials, c.failures
            )
            for c in contests
        ),
        outcome.trials,
        time.monotonic() - start,
        stopped,
        str(store.path),
        tuple(races.values()),
    )


def _races(
    parts: Sequence[Part], options: Options, seconds: float | None, runner: Runner, seed: int
) -> Iterator[tuple[Part, Race]]:
    """Races of the forms of parts, while they take no more than half of the time: none for a part for which one is
    on record, or that has only one form."""
    most = MOST_FORMS if seconds is None else max(1, min(MOST_FORMS, int(seconds)))
    wide = seconds is None or seconds >= LEARNING_SECONDS
    forecast = forecast_from(options) if wide else None
    start = time.monotonic()
    for part in parts:
        if seconds is not None and time.monotonic() - start > seconds / 2:
            return
        if measured_form(part.program, options, part.constants) is not None:
            continue
        derivations = candidates(part.program, options, part.constants, most, forecast)
        if len(derivations) > 1:
            yield part, race(derivations, options, part.constants, runner, seed=seed)


def _aside(
    part: Part,
    raced: Race,
    contests: Sequence[Contest[Trace]],
    options: Options,
    store: Database,
    seed: int,
) -> list[Contest[Trace]]:
    """Contests for the kernels of a form that was nearly as fast as the winner, with less weight."""
    if raced.near is None:
        return []
    stages = build_form(part.program, raced.near, options, part.constants)
    known = {c.task for c in contests}
    others = contests_for(stages, options, store, seed)
    return [replace(c, weight=ASIDE * c.weight) for c in others if c.task not in known]


def _again(part: Part, raced: Race, options: Options, runner: Runner, seed: int) -> Race:
    """The race of the program as written, the winner and the next one, with tuned kernels."""
    assert raced.near is not None
    finalists = dict.fromkeys((0, raced.chosen, raced.derivations.index(raced.near)))
    derivations = [raced.derivations[n] for n in finalists]
    return race(derivations, options, part.constants, runner, tuned=True, seed=seed)


def is_tuned(program: Program, options: Options, constants: frozenset[str]) -> bool:
    """Whether the database has a measurement of every kernel of a program."""
    store = Database(options.database)
    if not store.path.exists():
        return False
    stages = build(program, options, constants)
    pairs = zip(stages.plan.groups, stages.traces, strict=True)
    return all(store.best(key_of(g, t, options)) for g, t in pairs)


def program_of(
    source: Source,
    sizes: Mapping[str, int],
    params: Mapping[str, Any],
    constants: Collection[str] = (),
) -> Program:
    """A program for sizes; generic types are f32 and i32. `constants` must name inputs."""
    from tcomp.ir.dtypes import f32, i32
    from tcomp.lang import lower

    generics = {"float": f32, "int": i32}
    program = lower(source.module, source.entry, generics=generics, params=params)
    missing = [s.name for s in program.sizes if s.name not in sizes]
    if missing:
        raise BindingError(
            f"the size '{missing[0]}' is not bound",
            code="TC083",
            hint=f"pass sizes={{'{missing[0]}': ...}}, or --size {missing[0]}=...",
        )
    names = [t.name for t in program.inputs]
    unknown = next((n for n in constants if n not in names), None)
    if unknown is not None:
        raise BindingError(
            f"constants: there is no input '{unknown}'", code="TC072", hint=nearest(unknown, names)
        )
    return specialise(program, {s.name: sizes[s.name] for s in program.sizes})


def contests_for(
    stages: Stages, options: Options, store: Database, seed: int
) -> list[Contest[Trace]]:
    """A contest for each different workload of a program; equal ones share it."""
    contests: dict[Key, Contest[Trace]] = {}
    others = examples_from(store)
    for group in stages.plan.groups:
        space = schedule.space(group, options.target, options.threads)
        key = key_of(group, space.first, options)
        if key in contests:
            contests[key].weight += 1
            continue
        program = text_of(group)
        guidance = Guidance(group, options.target, options.threads, seed, others)
        before = [*store.records(**asdict(key))]
        guidance.learn(
            [(r.trace, r.best) for r in before if r.seconds and isinstance(r.trace, str)]
        )
        best = decided(before)
        known = legal_trace(best, group, options) if best is not None else None
        search = Search(space, guidance.rank, space.first, seed, () if known is None else (known,))
        contests[key] = Contest(
            name=_name(group),
            task=Task(program, options.threads, options.accuracy, seed),
            search=search,
            encode=_encode,
            record=_recorder(store, key, program, guidance, seed),
        )
    return list(contests.values())


def _encode(trace: Trace) -> str:
    return trace.to_json()


def _recorder(
    store: Database, key: Key, program: str, guidance: Guidance, seed: int
) -> Callable[[Sequence[tuple[Trace, Measurement]]], None]:
    machine, versions = machine_facts(), version_facts()

    def record(measured: Sequence[tuple[Trace, Measurement]]) -> None:
        now = time.time()  # the same for all of a race
        store.add(
            *(
                Record(
                    key=key,
                    program=program,
                    trace=trace.to_json(),
                    seconds=measurement.seconds,
                    error_class=measurement.error_class,
                    error_text=measurement.error_text,
                    machine=machine,
                    versions=versions,
                    seed=seed,
                    time=now,
                )
                for trace, measurement in measured
            )
        )
        guidance.learn([(t.to_json(), min(m.seconds)) for t, m in measured if m.ok])

    return record


def _name(group: Group) -> str:
    return "+".join(d.tensor.name for d in group.members)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < float("inf") else "-"
