"""What a program costs before any schedule is known: arithmetic by class, and bytes.

A protocol, so that the pipeline can pass in a better judge: `passes` knows neither tuner nor model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, TypeAlias

from tcomp.ir.integer import Iter
from tcomp.ir.tensor.idle import active
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
    postorder,
    substitute,
)
from tcomp.ir.tensor.regions import Range, Ranges, restricted
from tcomp.ops import OPS
from tcomp.passes.constants import split_constants
from tcomp.passes.contraction_order import contraction_order
from tcomp.passes.derivation.estimate import Known, cycles, extent, least_cycles
from tcomp.passes.derivation.machine import AVX512, Machine
from tcomp.passes.lift import (
    count_products,
    is_product_sum,
    postorder_outside_reductions,
    split_products,
)
from tcomp.passes.scoping import free_iters
from tcomp.passes.steps import goes_by_parts
from tcomp.passes.views import views_of

# Sums of products inside scans that are no blocks (`passes.steps`) run step by step. One-pass attention of 12
# heads, 512 positions and 64 channels took 38.7 ms so, where the estimate for products outside scans says 16.
STEPWISE = 3.0
ROWS = 64  # of a block that goes through all steps of a scan
STEPS = 0.87  # what a step reads is near, and comes while it multiplies: at 12 x 1024 x 1024 both forms are equal
_SAMPLES = 8  # blocks of rows in which steps are counted
_NEIGHBOURS = 5  # statements that a tensor is handed across


_Estimate: TypeAlias = Callable[[Definition, Known], float]


class Cost(Protocol):
    """A judge of bound programs: smaller is better. Equal programs must cost the same."""

    def __call__(self, program: Program) -> float: ...


def arithmetic_cost(program: Program) -> float:
    """Estimated cycles of one core for a program, each definition its own loop nest."""
    return call_cost(program, frozenset())


def call_cost(
    program: Program, constants: frozenset[str] = frozenset(), machine: Machine = AVX512
) -> float:
    """`arithmetic_cost` of what every call computes: what constants alone decide is free."""
    return _total(program, constants, cycles, machine)


def least_cost(
    program: Program, constants: frozenset[str] = frozenset(), machine: Machine = AVX512
) -> float:
    """What a program may come to by ordering its sums and making its products regular."""
    ordered = contraction_order(program)
    least = _total(program, constants, least_cycles, machine)
    return (
        least
        if ordered.body == program.body
        else min(least, _total(ordered, constants, least_cycles, machine))
    )


def _total(program: Program, constants: frozenset[str], of: _Estimate, machine: Machine) -> float:
    called, bound, handed = _called(program, constants)
    total = 0.0
    for statement in called:
        if isinstance(statement, Scan):
            total += _scan(statement, bound, of, machine)
        else:
            own = _tensors(statement)
            total += of(statement, Known(bound & own, handed & own, machine))
    return total


@lru_cache(16)
def _called(
    program: Program, constants: frozenset[str]
) -> tuple[tuple[Statement, ...], frozenset[Tensor], frozenset[Tensor]]:
    """What every call computes, one sum of products in each definition, as planning does; views are free.
    Then the tensors that are computed once, and those that are handed on in blocks."""
    called = split_constants(program, constants)[1] if constants else program
    given = {t.name for t in program.inputs} - constants
    bound = frozenset(t for t in called.inputs if t.name not in given)
    called = split_products(called)
    free = views_of(called)
    return tuple(s for s in called.body if s not in free), bound, _handed_on(called)


def _handed_on(program: Program) -> frozenset[Tensor]:
    """Tensors that definitions close by, products among them, may hand on block by block."""
    found: set[Tensor] = set()
    for number, made in enumerate(program.body):
        if isinstance(made, Scan) or made.tensor in program.results:
            continue
        near = program.body[number + 1 : number + 1 + _NEIGHBOURS]
        readers = [s for s in program.body[number + 1 :] if made.tensor in _read(s)]
        if not readers or not all(s in near and not isinstance(s, Scan) for s in readers):
            continue
        known = [d for d in readers if isinstance(d, Definition)]
        if any(map(count_products, (made, *known))) and all(
            _aligned(made.tensor, d) for d in known
        ):
            found.add(made.tensor)
    return frozenset(found)


def _read(statement: Statement) -> frozenset[Tensor]:
    definitions = statement.definitions if isinstance(statement, Scan) else (statement,)
    return frozenset().union(*map(_tensors, definitions))


def _aligned(tensor: Tensor, reader: Definition) -> bool:
    """Whether parts of a tensor are all that parts of its reader need."""
    return any(
        any(index.coefficient(it) for index in node.index for it in reader.iters if _several(it))
        for node in postorder(reader.body)
        if isinstance(node, Read) and node.tensor is tensor
    )


def _several(it: Iter) -> bool:
    return bool(it.extent.constant > 1)


@lru_cache(1 << 14)
def _tensors(definition: Definition) -> frozenset[Tensor]:
    """What a definition makes and reads."""
    reads = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
    return frozenset((definition.tensor, *reads))


def _scan(scan: Scan, bound: frozenset[Tensor], of: _Estimate, machine: Machine) -> float:
    """A scan goes step by step, or blocks of rows go through all its steps one by one."""
    total = 0.0
    in_blocks = goes_by_parts(scan.definitions, scan.iter)
    for definition in scan.definitions:
        known = Known(bound & _tensors(definition), machine=machine)
        if in_blocks:
            part = _one_step(definition, scan)
            times = extent(definition.iters) / extent(part.iters) * _active(scan)
            total += STEPS * times * of(part, known)
        else:
            times = STEPWISE if count_products(definition) else 1.0
            total += times * of(definition, known)
    return total


@lru_cache(1 << 10)
def _one_step(definition: Definition, scan: Scan) -> Definition:
    """A member of a scan at one step of one block of rows."""
    return _at(restricted(definition, _block(scan)))


@lru_cache(1 << 8)
def _active(scan: Scan) -> float:
    """The share of steps that have an effect, on average over rows."""
    rows = _rows(scan)
    if not rows:
        return 1.0
    last, made = rows[-1], 0
    size = max(1, last.extent.constant // _SAMPLES)
    starts = range(0, last.extent.constant - size + 1, size)
    for start in starts:
        part = {last: Range(last.lo + start, size)}
        first, stop = active(scan.definitions, scan.iter, dict.fromkeys(scan.definitions, part))
        made += int(stop - first)
    return made / len(starts) / scan.iter.extent.constant


def _rows(scan: Scan) -> list[Iter]:
    """The iterators that all definitions of a scan have."""
    first, *others = (d.iters for d in scan.definitions)
    return [it for it in first if it is not scan.iter and all(it in each for each in others)]


def _block(scan: Scan) -> Ranges:
    """One step of one block of rows."""
    ranges, size = {scan.iter: Range(scan.iter.lo, 1)}, ROWS
    for it in reversed(_rows(scan)):
        ranges[it] = Range(it.lo, min(size, it.extent.constant))
        size = max(1, size // it.extent.constant)
    return ranges


def _at(definition: Definition) -> Definition:
    """The definition with those iterators in place that have one point."""
    places = {it: it.lo for it in definition.iters if it.extent.constant == 1}
    return Definition(definition.tensor, definition.iters, substitute(definition.body, places))


def operations(definition: Definition) -> float:
    """Scalar operations. A factor of a product sum counts once for each point of its own iterators,
    because contraction kernels evaluate operands while they pack them."""
    points = extent(definition.iters)
    return _operations(definition.body, points, frozenset(definition.iters))


def traffic(definition: Definition) -> float:
    """Bytes of the distinct elements read and of those written."""
    total = extent(definition.iters) * definition.tensor.dtype.bytes
    tensors = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
    for tensor in tensors:
        size = 1.0
        for axis in tensor.shape:
            size *= axis.constant
        total += size * tensor.dtype.bytes
    return total


def _operations(expr: Expr, points: float, around: frozenset[Iter]) -> float:
    total = 0.0
    for node in postorder_outside_reductions(expr):
        if isinstance(node, Apply):
            total += OPS[node.op].cost * points
        elif isinstance(node, Reduce):
            inner = around | frozenset(node.iters)
            inner_points = points * extent(node.iters)
            if is_product_sum(node):
                total += _product_operations(node.body, inner_points, inner)
            else:
                total += _operations(node.body, inner_points, inner)
            total += inner_points
    return total


def _product_operations(body: Expr, points: float, around: frozenset[Iter]) -> float:
    if isinstance(body, Apply) and body.op == "mul":
        return points + sum(_product_operations(a, points, around) for a in body.args)
    own = free_iters(body) & around
    return _operations(body, extent(frozenset(own)), frozenset(own))
