"""Scatter: sums over the elements that belong to an output point, made in one pass over the elements.

    out[b] = sum[n](where(ix[n] == b, v[n], 0))

asks for each b which n belong to it, which costs N x B comparisons; going through n once and adding v[n]
to out[ix[n]] costs N + B. Terms meet in ascending order of n, as they do in the formula.
"""

from tcomp.schedule.scatter.group import (
    KIND,
    analytical_trace,
    lower_group,
    match_group,
    split_groups,
)

__all__ = ["KIND", "analytical_trace", "lower_group", "match_group", "split_groups"]
