"""Measures a workload: everybody's outputs are checked, then all take turns in the same rounds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcomp.benchmarks import inputs as data
from tcomp.benchmarks.peers import Mode, Peer, Unavailable, peer
from tcomp.benchmarks.results import OURS, OURS_OUT, OURS_TUNED, Result, Standing
from tcomp.benchmarks.timing import Contender, estimate, interleave, uncollected

if TYPE_CHECKING:
    from tcomp.benchmarks.operations.tensor import Array
    from tcomp.benchmarks.workload import Suite, Workload
    from tcomp.compiled import Compiled

# A peer this many times slower than the quickest one is not timed further: it cannot be the best.
HOPELESS = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How workloads are measured. `seconds` are spent on the rounds of one, `tuned` on tuning it first."""

    threads: int
    peers: tuple[str, ...]
    seconds: float = 1.0
    tuned: float = 0.0
    database: Path | None = None


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contender on its way: a mode of somebody, checked against the reference."""

    name: str
    mode: Mode
    difference: float
    note: str = ""
    samples: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workload that only has to be timed: all is compiled and checked."""

    suite: Suite
    workload: Workload
    settings: Settings
    entrants: tuple[Entrant, ...]
    absent: tuple[Standing, ...]
    facts: dict[str, Any]


def prepare(suite: Suite, workload: Workload, settings: Settings) -> Prepared:
    """Compiles a workload for everybody and checks what they compute."""
    operation = workload.operation
    arrays = data.draw(operation)
    facts: dict[str, Any] = {}
    ours = _ours(workload, settings, arrays, facts)
    reference = operation.reference(arrays)
    bound = data.tolerance(operation)
    entrants = [_checked(name, mode, reference, bound) for name, mode in ours]
    absent = []
    for name in settings.peers:
        try:
            modes = _modes(peer(name), workload, settings, arrays)
        except Unavailable as reason:
            absent.append(Standing(name, "", (), note=str(reason)))
            continue
        entrants += [_checked(name, mode, reference, bound) for mode in modes]
    return Prepared(suite, workload, settings, tuple(entrants), tuple(absent), facts)


def _modes(
    adapter: Peer, workload: Workload, settings: Settings, arrays: dict[str, Array]
) -> list[Mode]:
    try:
        return adapter.modes(workload.operation, arrays, settings.threads)
    except ImportError as problem:
        raise Unavailable(f"not installed: {problem.name or problem}") from None


def _checked(name: str, mode: Mode, reference: Sequence[Array], bound: float) -> Entrant:
    gap = data.difference(mode.arrays(mode.call()), reference)
    note = f"wrong: differs by {gap:.2g}" if not gap <= bound else ""
    return Entrant(name, mode, gap, note)


def _ours(
    workload: Workload, settings: Settings, arrays: dict[str, Array], facts: dict[str, Any]
) -> list[tuple[str, Mode]]:
    """Our own modes, weights bound as constants, and what compiling took."""
    import tcomp

    operation = workload.operation
    given = {t.name: data.packed(arrays[t.name], t.dtype) for t in operation.inputs}
    constants = {t.name: given[t.name] for t in operation.inputs if t.constant}
    values = [given[t.name] for t in operation.inputs if not t.constant]

    def compiled(tune: str) -> Any:
        return tcomp.compile(
            operation.text,
            sizes=dict(operation.sizes),
            constants=constants,
            threads=settings.threads,
            accuracy=workload.accuracy,
            database=settings.database,
            tune=tune,
        )

    start = time.thread_time()  # undisturbed by whoever else computes
    function = compiled("off" if settings.tuned else "cached")
    out = function(*values)
    facts["compile_seconds"] = time.thread_time() - start
    if "as_written" in settings.peers:
        facts |= _derivation(function)
    modes = [
        (OURS, Mode("fresh output", lambda: function(*values), _as_tuple)),
        (OURS_OUT, Mode("out=", lambda: function(*values, out=out), _as_tuple)),
    ]
    if settings.tuned:
        tcomp.tune(
            operation.text,
            sizes=dict(operation.sizes),
            constants=tuple(constants),
            seconds=settings.tuned,
            threads=settings.threads,
            accuracy=workload.accuracy,
            database=settings.database,
            progress=False,
        )
        tuned = compiled("cached")
        modes.append((OURS_TUNED, Mode("out=", lambda: tuned(*values, out=out), _as_tuple)))
    return modes


def _derivation(function: Compiled) -> dict[str, Any]:
    """What the search did for a program."""
    found = function.derivation
    return {
        "rules": [step.rule for step in found.steps],
        "states": found.states,
        "engine_seconds": found.seconds,
    }


def _as_tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def race(prepared: Prepared) -> Result:
    """Times a prepared workload."""
    from tcomp.benchmarks.limits import machine_contenders

    operation, settings = prepared.workload.operation, prepared.settings
    tensors = (*operation.inputs, *operation.results)
    traffic = sum(t.bytes for t in tensors)
    peak, reader, amounts = machine_contenders(traffic, settings.threads)
    with uncollected():
        entrants = _finalists(prepared.entrants)
        racing = [n for n, e in enumerate(entrants) if not e.samples]
        contenders = [Contender(entrants[n].name, entrants[n].mode.call) for n in racing]
        *timings, of_peak, of_reader = interleave([*contenders, peak, reader], settings.seconds)
    for n, timing in zip(racing, timings, strict=True):
        entrants[n] = replace(entrants[n], samples=timing.samples)
    return _result(
        prepared,
        tuple(Standing(e.name, e.mode.name, e.samples, e.difference, e.note) for e in entrants),
        2 * operation.multiply_adds,
        traffic,
        amounts[0] / of_peak.best,
        amounts[1] / of_reader.best,
    )


def _finalists(entrants: Sequence[Entrant]) -> list[Entrant]:
    """The quickest mode of everybody; who is far behind keeps the samples of its trial."""
    trials = [(estimate(Contender(e.name, e.mode.call)), e) for e in entrants]
    chosen: dict[str, tuple[float, Entrant]] = {}
    for trial in trials:
        seconds, entrant = trial
        kept = chosen.get(entrant.name)
        # A wrong mode is kept only where there is no right one.
        if kept is None or (bool(entrant.note), seconds) < (bool(kept[1].note), kept[0]):
            chosen[entrant.name] = trial
    peers = [s for s, e in chosen.values() if not e.name.startswith(OURS) and not e.note]
    limit = HOPELESS * min(peers, default=0.0)
    return [
        replace(e, samples=(seconds,), note=e.note or "far behind: not timed in the rounds")
        if seconds > limit and not e.name.startswith(OURS)
        else e
        for seconds, e in chosen.values()
    ]


def failed(suite: Suite, workload: Workload, settings: Settings, reason: str) -> Result:
    """A workload that could not be measured, and why."""
    prepared = Prepared(suite, workload, settings, (), (), {})
    standing = Standing(OURS, "", (), note=f"failed: {reason}")
    return _result(prepared, (standing,), 2 * workload.operation.multiply_adds, 0.0, 1.0, 1.0)


def _result(
    prepared: Prepared,
    standings: tuple[Standing, ...],
    operations: float,
    traffic: float,
    peak: float,
    bandwidth: float,
) -> Result:
    from tcomp.autotune.machine import machine_facts, version_facts

    workload, settings = prepared.workload, prepared.settings
    versions = dict(version_facts())
    for name in settings.peers:
        try:
            versions[name] = peer(name).version()
        except ImportError:
            continue
    return Result(
        suite=prepared.suite.name,
        workload=workload.name,
        source=workload.source,
        kind=workload.kind,
        accuracy=workload.accuracy,
        threads=settings.threads,
        standings=(*standings, *prepared.absent),
        operations=operations,
        bytes=traffic,
        peak=peak,
        bandwidth=bandwidth,
        when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=machine_facts(),
        versions=versions,
        facts=prepared.facts,
    )
