"""Searching deterministically, and recognising the forms that derivations lead to by what they compute."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from tcomp.ir.integer import FloorDiv, Int, Mod
from tcomp.ir.tensor.nodes import Apply, Definition, Expr, Program, Read, Reduce, postorder
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation import Derivation, call_cost, chosen, derive, least_cost
from tcomp.passes.derivation.cost import operations
from tcomp.passes.derivation.estimate import extent, mismatches, occurrence
from tcomp.passes.scoping import free_iters
from tcomp.passes.verification import verify_equal
from tests.derivation.orders import fewest_products
from tests.unit.programs import written

Form = Callable[[Program], bool]


def searched(text: str, programs: int, *, constants: str = "", strict: bool = False) -> Derivation:
    """What a search of at most so many programs finds: counted, so that it is the same on every machine."""
    names = frozenset(constants.split())
    return derive(
        written(text),
        seconds=programs,
        cost=partial(call_cost, constants=names),
        promise=partial(least_cost, constants=names),
        reassociate_floats=not strict,
        clock=count().__next__,
    )


def concluded(
    text: str, programs: int = 200, *, constants: str = "", accuracy: str = "standard"
) -> Derivation:
    """The same with the proof and the measured accuracy of what is chosen."""
    strict = accuracy == "strict"
    return chosen(searched(text, programs, constants=constants, strict=strict), accuracy)


def reached(found: Derivation, form: Form) -> Program | None:
    """The first program that a search found in a form; it is proven equal to the source."""
    program = next((s.program for s in found.explored if form(s.program)), None)
    if program is not None:
        assert verify_equal(found.source, program).equal
    return program


def work(program: Program) -> float:
    """Scalar operations."""
    return sum(operations(d) for d in program.definitions())


def multiplications(program: Program) -> float:
    """How often numbers are multiplied, the factors of each product in their best order."""
    nodes = [n for d in program.definitions() for n in postorder(d.body)]
    products = [n for n in nodes if isinstance(n, Apply) and n.op == "mul"]
    inner = {a for p in products for a in p.args}
    total = 0.0
    for each in products:
        if each not in inner:
            needs = [free_iters(f) for f in factors_of(each)]
            every = frozenset().union(*needs)
            total += fewest_products(needs, every, {it: it.extent.constant for it in every})
    return total


def largest(program: Program) -> float:
    """Elements of the largest tensor that is made."""
    return max(extent(d.iters) for d in program.definitions())


def rules_of(found: Derivation) -> set[str]:
    """The rules of the chosen steps."""
    return {step.rule for step in found.steps}


def functions(program: Program) -> list[str]:
    """The scalar functions that a program calls, each time it does."""
    nodes = [n for d in program.definitions() for n in postorder(d.body)]
    return sorted(n.op for n in nodes if isinstance(n, Apply))


# -- forms -------------------------------------------------------------------------------------------


def some(of: Callable[[Definition], bool]) -> Form:
    """A program one of whose definitions is so."""
    return lambda program: any(map(of, program.definitions()))


def product(rows: int, columns: int, inner: int, batch: int = 1) -> Form:
    """A product of plain matrices, of this many rows and columns in either order."""

    def is_it(definition: Definition) -> bool:
        found = occurrence(definition)
        if found is None or mismatches(definition) or extent(found.batch) != batch:
            return False
        sides = sorted((extent(found.rows), extent(found.columns)))
        return sides == sorted((rows, columns)) and extent(found.inner) == inner

    return some(is_it)


def sum_of_products(points: int, inner: int) -> Form:
    """As many sums of so many products, with no guard and no division in what is multiplied."""

    def is_it(definition: Definition) -> bool:
        sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
        return (
            len(sums) == 1
            and extent(definition.iters) == points
            and extent(sums[0].iters) == inner
            and not mismatches(definition)
        )

    return some(is_it)


def phases(count: int) -> Form:
    """A product for each of `count` residues."""

    def is_it(definition: Definition) -> bool:
        found = occurrence(definition)
        return found is not None and extent(found.batch) == count

    return some(is_it)


def windows(filters: int, terms: int, dimensions: int = 2) -> Form:
    """A convolution that slides by single steps, for so many filters that each sum so many terms."""

    def is_it(definition: Definition) -> bool:
        sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
        if len(sums) != 1 or extent(sums[0].iters) != terms:
            return False
        for image in factors_of(sums[0].body):
            sliding = [i for i in positions(image) if len(i.leaves()) > 1]
            own = frozenset(definition.iters) - free_iters(image)
            if len(sliding) == dimensions and all(map(_by_single_steps, sliding)):
                return extent(own) == filters
        return False

    return some(is_it)


def residues_as_batch(dilation: int, dimensions: int) -> Callable[[Program], int]:
    """How many products of a program have the residues of so many dimensions as iterators, and divide nothing."""

    def is_it(definition: Definition) -> bool:
        sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
        residues = [
            it for it in definition.iters if (it.lo, it.hi) == (Int.of(0), Int.of(dilation))
        ]
        return (
            len(sums) == 1
            and len(residues) >= dimensions
            and not any(
                isinstance(a, FloorDiv | Mod) for i in positions(sums[0]) for a in i.atoms()
            )
        )

    return lambda program: sum(map(is_it, program.definitions()))


def positions(expr: Expr) -> list[Int]:
    """The positions of the reads in an expression."""
    return [i for n in postorder(expr) if isinstance(n, Read) for i in n.index]


def _by_single_steps(index: Int) -> bool:
    return len(index.leaves()) == 2 and all(index.coefficient(it) == 1 for it in index.leaves())
