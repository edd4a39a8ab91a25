"""Forms of a program on record: what its derivations took, timed in turns with the program as written.

A record's `trace` lists the steps, each with rule, tensor and the fingerprint of the program after it; the program as
written has none. Nothing of it is believed: the steps are applied again, and the result is verified like any other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tcomp.autotune.database import Database, DatabaseError
from tcomp.autotune.lookup import make_key
from tcomp.autotune.machine import machine_facts, version_facts
from tcomp.autotune.record import Key, Record
from tcomp.autotune.verdict import decided, latest_race
from tcomp.autotune.workload import with_bound
from tcomp.ir.tensor.canonical import fingerprint
from tcomp.passes.derivation import Measured, Step
from tcomp.passes.derivation.proof import ProofError, entries, replay_steps

if TYPE_CHECKING:
    from tcomp.autotune.measurement import Measurement
    from tcomp.ir.tensor.nodes import Program
    from tcomp.options import Options

CLASS = "derivation"
MOST_STEPS = 64  # of a record that may come from anywhere

logger = logging.getLogger("tcomp")


@dataclass(frozen=True, slots=True)
class KnownForm:
    """The steps to the form that a race on record chose, and what the race said."""

    steps: tuple[Step, ...]
    measured: Measured


def form_key(program: Program, constants: Collection[str], options: Options) -> Key:
    """Under which key the forms of a bound program are kept."""
    bound = [str(n) for n, t in enumerate(program.inputs) if t.name in constants]
    workload = "+".join([fingerprint(program, associative=False), *bound])
    return make_key(workload, CLASS, options)


def form_text(program: Program, constants: Collection[str]) -> str:
    """A program as text, which says what of its inputs is bound."""
    return with_bound(program, [t.name for t in program.inputs if t.name in constants])


def known_form(program: Program, constants: Collection[str], options: Options) -> KnownForm | None:
    """The form that the latest race on record chose; None without one, or where its steps do not lead to what
    it says: rules change between versions, and a record may come from anywhere."""
    store = Database(options.database)
    if options.tune == "off" or not store.path.exists():
        return None
    try:
        records = [*store.records(**asdict(form_key(program, constants, options)))]
    except DatabaseError as error:
        logger.warning("%s", error)
        return None
    best = decided(records, first=[])
    if best is None or not isinstance(best.trace, list) or len(best.trace) > MOST_STEPS:
        return None
    try:
        steps = replay_steps(program, best.trace)
    except ProofError as error:
        logger.info("a measured derivation does not replay: %s", error)
        return None
    return KnownForm(steps, said(records, best))


def said(records: Sequence[Record], best: Record) -> Measured:
    """What the race says in which `best` ran."""
    race = latest_race(records)
    written = next((r.best for r in race if r.trace == []), None)
    return Measured(max(1, len(race)), None if written is None else written / best.best)


def keep_forms(
    program: Program,
    constants: Collection[str],
    options: Options,
    race: Sequence[tuple[Sequence[Step], Measurement]],
) -> None:
    """Records what each form of a race took."""
    now = time.time()  # the same for all of a race
    machine, versions = machine_facts(), version_facts()
    key, text = form_key(program, constants, options), form_text(program, constants)
    Database(options.database).add(
        *(
            Record(
                key=key,
                program=text,
                trace=trace_of(steps),
                seconds=measurement.seconds,
                error_class=measurement.error_class,
                error_text=measurement.error_text,
                machine=machine,
                versions=versions,
                time=now,
            )
            for steps, measurement in race
        )
    )


def trace_of(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Steps as plain data."""
    return [dict(entry) for entry in entries(steps)]
