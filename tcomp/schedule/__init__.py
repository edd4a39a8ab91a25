"""Schedules: from a plan to loop nests, by traces of decisions."""

from tcomp.schedule.analytical import analytical
from tcomp.schedule.complete import completed
from tcomp.schedule.lower import lower, lower_apart
from tcomp.schedule.space import Space, space
from tcomp.schedule.trace import Trace

__all__ = ["Space", "Trace", "analytical", "completed", "lower", "lower_apart", "space"]
