"""A case of the acceptance list: a program, the form that a search must find, and what is to become of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from math import inf

from tcomp.ir.tensor.nodes import Program
from tcomp.passes.derivation import Derivation, call_cost, derive, least_cost
from tests.derivation.forms import Form
from tests.unit.programs import written


@dataclass(frozen=True)
class Case:
    """`form` is looked for among the first `looks` programs that rules give, in `budget` seconds of the processor.

    `verdict` says what becomes of it: "chosen", "rejected" (found, and another program is cheaper by estimate or
    holds where this one does not), "either" (nearly equal by estimate), or "refused" (it must not be found).
    `number` is the case's in the list of OLLIE's and harder derivations, 0 for those beyond it. `variant` is
    "stated", or in what the sizes differ: "odd", "prime", "batched".
    """

    number: int
    title: str
    variant: str
    text: str
    form: Form
    verdict: str = "chosen"
    budget: float = 1.0
    constants: str = ""
    accuracy: str = "standard"
    looks: int = 60

    @property
    def name(self) -> str:
        """What tests and tables call it."""
        return f"{self.number or '+'} {self.title}, {self.variant}"


@dataclass(frozen=True)
class Search:
    """What a search found, and when it had each of its states: seconds of the processor from its start."""

    found: Derivation
    moments: tuple[float, ...]

    def first(self, form: Form) -> int | None:
        """The number of the first state in a form."""
        return next((n for n, s in enumerate(self.found.explored) if form(s.program)), None)


def searched(case: Case) -> Search:
    """Searches within a case's budget."""
    names = frozenset(case.constants.split())
    moments: list[float] = []
    looks = 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return time.process_time() if looks <= case.looks else inf

    def cost(program: Program) -> float:  # the search asks once for each state
        value = call_cost(program, names)
        moments.append(time.process_time())
        return value

    source = written(case.text)
    start = time.process_time()
    found = derive(
        source,
        seconds=case.budget,
        cost=cost,
        promise=partial(least_cost, constants=names),
        reassociate_floats=case.accuracy != "strict",
        clock=clock,
    )
    return Search(found, tuple(m - start for m in moments))
