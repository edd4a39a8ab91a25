"""Layouts at seams: a part that ends with a rearrangement, without it; a part that reads what is laid out otherwise.

A ends with T[y] = U[y % 2, y // 2]; B reads T[2*q + p]      A makes U, B reads U[p, q]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Axis, Definition, Program, Read, Scan, Tensor, tensors_read
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import with_body
from tcomp.passes.scoping import fresh_name, names_of
from tcomp.passes.views import viewed


@dataclass(frozen=True, slots=True)
class Layout:
    """T[_0, _1, ...] = U[index], where U has these axes."""

    axes: tuple[Axis, ...]
    index: tuple[Int, ...]

    def of(self, tensor: Tensor, name: str) -> Definition:
        """The tensor as a rearrangement of another one."""
        iters = _places(tensor.axes)
        laid = Tensor(name, tensor.dtype, self.axes)
        return Definition(tensor, iters, Read(laid, self.index))


def layout_of(program: Program, result: Tensor) -> Layout | None:
    """How a program rearranges what it makes of a result last, at a cost; None where it does not."""
    made = _rearrangement(program, result)
    if made is None or not isinstance(made.body, Read):
        return None
    places = zip(made.iters, _places(result.axes), strict=True)
    moved = {it: Int.of(place) for it, place in places}
    return Layout(made.body.tensor.axes, tuple(i.sub(moved) for i in made.body.index))


def relaid(
    program: Program, inputs: Mapping[Tensor, Layout], results: frozenset[Tensor]
) -> Program:
    """The normal form of a program that reads some inputs in other layouts, and ends before it rearranges some
    results."""
    taken = names_of(program)
    body = list(program.body)
    reads = list(program.inputs)
    makes = list(program.results)
    for result in results:
        last = _rearrangement(program, result)
        if last is not None and isinstance(last.body, Read):
            body.remove(last)
            makes[makes.index(result)] = last.body.tensor
    before = []
    for tensor, layout in inputs.items():
        definition = layout.of(tensor, fresh_name(f"{tensor.name}_laid", taken))
        before.append(definition)
        (laid,) = tensors_read(definition.body)
        reads[reads.index(tensor)] = laid
    made = Program(program.name, program.sizes, tuple(reads), tuple(makes), program.body)
    return normal_form(with_body(made, (*before, *body)))


def _rearrangement(program: Program, result: Tensor) -> Definition | None:
    """The definition of a result that only gives elements of a tensor of the program other places: no other
    definition reads it, and the tensor is no result."""
    made = {d.tensor for d in program.definitions()} - set(program.results)
    for statement in program.body:
        if isinstance(statement, Scan) or statement.tensor is not result:
            continue
        body = statement.body
        if (
            isinstance(body, Read)
            and body.otherwise is None
            and body.tensor in made
            and body.dtype is result.dtype
            and viewed(statement) is None
            and not any(result in tensors_read(d.body) for d in program.definitions())
        ):
            return statement
    return None


def _places(axes: tuple[Axis, ...]) -> tuple[Iter, ...]:
    return tuple(Iter(f"_{n}", lo, hi) for n, (lo, hi) in enumerate(axes))
