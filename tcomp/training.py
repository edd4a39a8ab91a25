"""Examples for the cost model from the records of a tuning database."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from tcomp import passes, schedule
from tcomp.autotune.database import Database
from tcomp.autotune.record import Key, Record
from tcomp.autotune.workload import read_text
from tcomp.cost_model.features import features
from tcomp.cost_model.ranker import Example
from tcomp.diagnostics import Error
from tcomp.ir.plan import Group
from tcomp.options import options_from
from tcomp.schedule.trace import Trace

logger = logging.getLogger("tcomp")


def examples_from(database: Database) -> list[Example]:
    """One example for each key with measured schedules. Programs are read again from their text; those
    that this version cannot read are left out, with one line in the log."""
    grouped: dict[Key, list[Record]] = {}
    for record in database.records():
        if record.seconds and isinstance(record.trace, str):
            grouped.setdefault(record.key, []).append(record)
    found = []
    for key, records in grouped.items():
        group = group_of(records[0].program)
        if group is None:
            logger.info("a workload in %s could not be read", database.path)
            continue
        traces = [Trace.from_json(r.trace) for r in records]
        target = options_from().target
        rows = features(group, traces, target, key.threads)
        found.append(Example(rows, np.asarray([r.best for r in records])))
    return found


def group_of(text: str) -> Group | None:
    """The group that a workload's text describes; None where this version reads it otherwise."""
    try:
        program, bound = read_text(text)
    except Error:
        return None
    groups = schedule.completed(replace(passes.plan(program), constants=bound)).groups
    return groups[0] if len(groups) == 1 else None
