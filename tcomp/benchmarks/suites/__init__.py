"""The suites by name. Their workloads are data: facts about networks and papers, no schedules."""

from __future__ import annotations

from importlib import import_module

from tcomp.benchmarks.workload import Suite

NAMES = ("contractions", "derivations")


def suite(name: str) -> Suite:
    """The suite called `name`, one of NAMES."""
    found: Suite = import_module(f"tcomp.benchmarks.suites.{name}").SUITE
    return found
