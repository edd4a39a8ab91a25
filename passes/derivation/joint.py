"""Joint choice: parts whose rearrangements cancel where they meet, although none would pay for it alone.

Each part offers its own choice, the source, and for each layout in which its search made a result the cheapest
programs without the rearrangement. In order of the parts, those ways are kept that are cheapest for the layouts
of what is still to be read (dynamic programming; for a chain it is exact). A part costs what its program costs
that reads its inputs in their layouts, in normal form, where rearrangements that are inverse cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.passes.derivation.derive import Candidate, Derivation
from tcomp.passes.derivation.layouts import Layout, layout_of, relaid
from tcomp.passes.derivation.partition import Part
from tcomp.passes.derivation.rules import RULES
from tcomp.passes.verification import verify_equal

MOST_LAYOUTS = 3  # of a result
MOST_OPTIONS = 2  # for a layout
TOLERANCE = (
    1.05  # a layout is tried where making it costs at most this many times the part's own choice
)
DEAREST = 1.5  # and with the rearrangement at most this many times
MOST_WAYS = 16  # that are kept
_CANCELLING = frozenset(rule.name for rule in RULES if rule.cancels)

Judge = Callable[[Program, frozenset[str]], float]


@dataclass(frozen=True, slots=True)
class Option:
    """A program for a part, and the layouts in which it makes results if it need not rearrange them."""

    candidate: Candidate
    layouts: tuple[Layout | None, ...]  # by the places of the results


@dataclass(frozen=True, slots=True)
class Way:
    """A choice for each part so far."""

    cost: float
    options: tuple[int, ...]
    layouts: Mapping[Tensor, Layout]  # of tensors that are still to be read


class Joint:
    """The options of the distinct parts of a program, and the cheapest choice of them all."""

    def __init__(
        self,
        source: Program,
        parts: Sequence[Part],
        alike: Sequence[int],
        found: Mapping[int, Derivation],
        judge: Judge,
    ) -> None:
        self.parts = parts
        self.alike = alike
        self.judge = judge
        self.results = frozenset(source.results)
        self.last_read = {t: n for n, part in enumerate(parts) for t in part.program.inputs}
        self.options = {n: self._options(parts[n], each) for n, each in found.items()}
        self._costs: dict[tuple[object, ...], float] = {}

    def worthwhile(self) -> bool:
        """Whether there is anything to choose."""
        return any(any(o.layouts) for options in self.options.values() for o in options)

    def best(self) -> tuple[tuple[Option, ...], float]:
        """The option of each part in the cheapest way, and what it costs as a share of the parts' own choices."""
        ways = [Way(0.0, (), {})]
        for number in range(len(self.parts)):
            kept: dict[frozenset[tuple[Tensor, Layout]], Way] = {}
            for way in ways:
                for made in self._further(way, number):
                    key = frozenset(made.layouts.items())
                    if key not in kept or made.cost < kept[key].cost:
                        kept[key] = made
            ways = sorted(kept.values(), key=lambda w: w.cost)[:MOST_WAYS]
        chosen = tuple(
            self.options[self.alike[n]][choice] for n, choice in enumerate(ways[0].options)
        )
        return chosen, ways[0].cost / self._alone()

    def _alone(self) -> float:
        """What the parts cost if each is chosen alone."""
        own = (self.options[first][0] for first in self.alike)
        return sum(self._cost(n, option, {}, ()) for n, option in enumerate(own))

    def without(self, number: int, option: Option) -> None:
        """Takes an option of a part away: it does not hold."""
        self.options[self.alike[number]].remove(option)

    def reads(self, number: int, options: Sequence[Option]) -> dict[Tensor, Layout]:
        """The layouts in which the first of equal parts reads its inputs."""
        known: dict[Tensor, Layout] = {}
        for part, option in zip(self.parts, options, strict=True):
            for result, layout in zip(part.program.results, option.layouts, strict=True):
                if layout is not None and self._may_stay(result):
                    known[result] = layout
        return self._read(number, known)

    def _options(self, part: Part, found: Derivation) -> list[Option]:
        """The choice that was made for a part alone first."""
        results = part.program.results
        own = Candidate(found.program, found.steps, found.cost_after)
        plain = [Option(own, tuple(layout_of(found.program, r) for r in results))]
        if found.steps:
            written = Candidate(part.program, (), found.cost_before)
            plain.append(Option(written, (None,) * len(results)))
        allowed = {step.rule for step in found.steps}
        groups: dict[tuple[Layout | None, ...], list[tuple[float, Option]]] = {}
        for state in sorted(found.explored, key=lambda s: s.cost):
            if state.cost > DEAREST * found.cost_after:
                break
            layouts = tuple(layout_of(state.program, r) for r in results)
            group = groups.setdefault(layouts, [])
            if (
                any(layouts)
                and len(group) < MOST_OPTIONS
                and (state.rules() & _CANCELLING) <= allowed
                and state.program is not found.program
            ):
                laid = {r for r, layout in zip(results, layouts, strict=True) if layout}
                cost = self.judge(relaid(state.program, {}, frozenset(laid)), part.constants)
                if cost <= TOLERANCE * found.cost_after:
                    candidate = Candidate(state.program, state.steps(), state.cost)
                    group.append((cost, Option(candidate, layouts)))
        best = sorted(filter(None, groups.values()), key=lambda g: min(cost for cost, _ in g))
        return plain + [option for group in best[:MOST_LAYOUTS] for _, option in group]

    def _further(self, way: Way, number: int) -> list[Way]:
        part, first = self.parts[number], self.alike[number]
        results = part.program.results
        found = []
        for choice, option in enumerate(self.options[first]):
            laid = {
                r: layout
                for r, layout in zip(results, option.layouts, strict=True)
                if layout is not None and self._may_stay(r)
            }
            stripped = tuple(n for n, r in enumerate(results) if r in laid)
            cost = way.cost + self._cost(number, option, self._read(number, way.layouts), stripped)
            live = {t: k for t, k in {**way.layouts, **laid}.items() if self.last_read[t] > number}
            found.append(Way(cost, (*way.options, choice), live))
        return found

    def _may_stay(self, result: Tensor) -> bool:
        return result not in self.results and result in self.last_read

    def _read(self, number: int, known: Mapping[Tensor, Layout]) -> dict[Tensor, Layout]:
        own, first = (self.parts[n].program.inputs for n in (number, self.alike[number]))
        return {b: known[a] for a, b in zip(own, first, strict=True) if a in known}

    def _cost(
        self, number: int, option: Option, reads: Mapping[Tensor, Layout], stripped: tuple[int, ...]
    ) -> float:
        first = self.alike[number]
        program = option.candidate.program
        key = (first, program, frozenset(reads.items()), stripped)
        if key not in self._costs:
            part = self.parts[first]
            results = frozenset(part.program.results[n] for n in stripped)
            made = relaid(program, reads, results)
            self._costs[key] = self.judge(made, _constants(part, made))
        return self._costs[key]


def read_alike(part: Part, found: Derivation, reads: Mapping[Tensor, Layout]) -> bool:
    """Whether what a part was derived to is equal to it where inputs are read in other layouts."""
    written, made = (relaid(p, reads, frozenset()) for p in (part.program, found.program))
    return bool(verify_equal(written, made).equal)


def _constants(part: Part, made: Program) -> frozenset[str]:
    """The constants of a part, whose inputs may have got other names."""
    pairs = zip(part.program.inputs, made.inputs, strict=True)
    return frozenset(b.name for a, b in pairs if a.name in part.constants)
