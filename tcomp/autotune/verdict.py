"""What the records of one key say: which of the things that were measured is the best.

Figures that were taken at different times compare badly: a schedule that was lucky once would win for ever. A race
times its contenders in turns, and its records have the same time; so the latest race decides, where there was one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcomp.autotune.record import Record
from tcomp.autotune.tuner import winner


def latest_race(records: Sequence[Record]) -> list[Record]:
    """The records of the latest race among several contenders; none where there was no race."""
    races: dict[float, dict[str, Record]] = {}
    for record in records:
        if record.seconds:
            races.setdefault(record.time, {})[str(record.trace)] = record
    times = [time for time, race in races.items() if len(race) > 1]
    return list(races[max(times)].values()) if times else []


def decided(records: Sequence[Record], first: object = None) -> Record | None:
    """The best record of one key; one whose trace is `first` stays unless another is clearly faster."""
    known = latest_race(records) or [r for r in records if r.seconds]
    if not known:
        return None
    known.sort(key=lambda r: (r.best, r.id))
    start = next((n for n, r in enumerate(known) if r.trace == first), 0)
    return known[winner([r.best for r in known], start)]
