"""Schedules chosen without measuring: good at once."""

from __future__ import annotations

from tcomp.ir.plan import Group, Plan
from tcomp.schedule import blocks, contraction, scatter
from tcomp.schedule.choice_trace import to_trace
from tcomp.schedule.complete import completed
from tcomp.schedule.heuristics import choose_group
from tcomp.schedule.repeat import firsts
from tcomp.schedule.trace import Trace
from tcomp.target import Target


def analytical(plan: Plan, target: Target, threads: int) -> tuple[Trace, ...]:
    """A trace for each group of the completed plan, without any measurement."""
    groups = completed(plan).groups
    found: list[Trace] = []
    for number, first in enumerate(firsts(groups)):
        known = first < number
        found.append(found[first] if known else analytical_trace(groups[number], target, threads))
    return tuple(found)


def analytical_trace(group: Group, target: Target, threads: int) -> Trace:
    """The schedule of one group, by its class."""
    if group.parts:
        return blocks.analytical_trace(group, target, threads, analytical_trace)
    product = contraction.match_group(group)
    if product is not None:
        return contraction.analytical_trace(product, target, threads, group.constants)
    scattered = scatter.match_group(group)
    if scattered is not None:
        return scatter.analytical_trace(scattered, target, threads)
    nest = to_trace(group, choose_group(group, target, threads))
    products = contraction.stepwise.product_members(group)
    return contraction.stepwise.extend(nest, products, target, threads) if products else nest
