"""Schedules that the database knows for a plan's groups."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tcomp.autotune.database import Database, DatabaseError
from tcomp.autotune.record import Key, Record
from tcomp.autotune.verdict import decided
from tcomp.autotune.workload import identity
from tcomp.schedule import space
from tcomp.schedule.trace import Trace

if TYPE_CHECKING:
    from tcomp.ir.plan import Group, Plan
    from tcomp.options import Options

# A number for each schedule class, raised only when its traces or timings change meaning.
CLASS_VERSIONS = {"nest": 2, "contraction": 7, "scatter": 1, "blocks": 1, "derivation": 1}

logger = logging.getLogger("tcomp")


def key_of(group: Group, trace: Trace, options: Options) -> Key:
    """Under which key schedules of a group's class are kept."""
    return make_key(identity(group), trace.kind, options)


def make_key(workload: str, schedule_class: str, options: Options) -> Key:
    """The key of a workload under these options."""
    target = options.target
    features = ",".join(sorted(f for f in target.features.split(",") if f.startswith("+")))
    return Key(
        workload=workload,
        target=f"{target.triple} {target.cpu} {features}",
        threads=options.threads,
        accuracy=options.accuracy,
        schedule_class=schedule_class,
        class_version=CLASS_VERSIONS.get(schedule_class, 1),
    )


def known_schedules(plan: Plan, analytical: Sequence[Trace], options: Options) -> tuple[Trace, ...]:
    """For each group the fastest schedule on record, else the analytical one.

    A database that cannot be read is one line in the log: compiling goes on without it.
    """
    database = Database(options.database)
    if options.tune == "off" or not database.path.exists():
        return tuple(analytical)
    try:
        pairs = zip(plan.groups, analytical, strict=True)
        return tuple(_known(database, g, trace, options) or trace for g, trace in pairs)
    except DatabaseError as error:
        logger.warning("%s", error)
        return tuple(analytical)


def _known(database: Database, group: Group, analytical: Trace, options: Options) -> Trace | None:
    key = key_of(group, analytical, options)
    best = decided([*database.records(**asdict(key))], analytical.to_json())
    return None if best is None else legal_trace(best, group, options)


def legal_trace(record: Record, group: Group, options: Options) -> Trace | None:
    """The schedule of a record, which may come from anywhere; None for one that the group cannot have."""
    try:
        trace = Trace.from_json(record.trace) if isinstance(record.trace, str) else None
    except ValueError:
        return None
    if trace is None or not space(group, options.target, options.threads).allows(trace):
        return None
    return trace
