"""Views: what only changes coordinates is made in place, with the meaning of a copy."""

from __future__ import annotations

import pytest

from tcomp import schedule
from tcomp.ir.integer import Int
from tcomp.ir.tensor.nodes import Definition, Program
from tcomp.passes import plan
from tcomp.passes.verification import verify_equal
from tcomp.passes.views import parts_of_views, viewed
from tests.unit.programs import apply, iterator, program, random_inputs, read, tensor, total
from tests.unit.schedule_harness import WIDE, agree


def tiled_product(parts: int, width: int, columns: int) -> tuple[Program, Definition]:
    """Y = A @ B, made as T[i, d, j] with rows i * width + d; then Y's columns are summed in Z."""
    rows = parts * width
    a, b = tensor("A", rows, 7), tensor("B", 7, columns)
    t, y, z = tensor("T", parts, width, columns), tensor("Y", rows, columns), tensor("Z", rows)
    i, d, j = iterator("i", parts), iterator("d", width), iterator("j", columns)
    k, row, column, c = (
        iterator("k", 7), iterator("row", rows), iterator("column", columns), iterator("c", columns)
    )  # fmt: skip
    made = Definition(
        t, (i, d, j), total(apply("mul", read(a, Int.of(i) * width + d, k), read(b, k, j)), k)
    )
    row_ = Int.of(row)
    view = Definition(y, (row, column), read(t, row_ // width, row_ % width, column))
    sums = Definition(z, (row,), total(apply("mul", read(y, row, c), read(y, row, c)), c))
    return program([a, b], [y, z], made, view, sums), view


@pytest.mark.parametrize(
    ("parts", "width", "columns"), [(3, 2, 8), (1, 5, 3), (7, 1, 1), (2, 3, 17)]
)
def test_a_view_is_made_in_place(parts: int, width: int, columns: int) -> None:
    source, view = tiled_product(parts, width, columns)
    planned = plan(source)
    if width > 1 and parts > 1:
        assert planned.views == (view,)
        traces = schedule.analytical(planned, WIDE, 1)
        buffers = {
            b.name for k in schedule.lower(planned, traces, WIDE, 1).kernels for b in k.buffers
        }
        assert not any(name.startswith("T") for name in buffers)
    agree(source, random_inputs(source), threads=1)
    agree(source, random_inputs(source))


def test_a_second_view_is_copied() -> None:
    source, view = tiled_product(3, 2, 8)
    other = tensor("Y2", 6, 8)
    copy = Definition(other, view.iters, view.body)
    both = Program(source.name, (), source.inputs, (*source.results, other), (*source.body, copy))
    assert len(plan(both).views) == 1
    agree(both, random_inputs(both))


def test_another_order_is_no_view() -> None:
    source, view = tiled_product(3, 2, 8)
    row, column = view.iters
    t = next(d.tensor for d in source.definitions())
    crossed = Definition(
        view.tensor, view.iters, read(t, Int.of(row) % 3, Int.of(row) // 3, Int.of(column))
    )
    other = Program(
        source.name, (), source.inputs, source.results,
        tuple(crossed if d is view else d for d in source.body),
    )  # fmt: skip
    assert plan(other).views == ()
    agree(other, random_inputs(other))


def test_an_input_and_a_result_keep_their_places() -> None:
    a, y = tensor("A", 6), tensor("Y", 2, 3)
    i, j = iterator("i", 2), iterator("j", 3)
    source = program([a], [y], Definition(y, (i, j), read(a, Int.of(i) * 3 + j)))
    assert plan(source).views == ()
    agree(source, random_inputs(source))


def cut_product(*, again: bool = False) -> Program:
    """Rows of a product in two digits, of which a part is asked for."""
    a, b = tensor("A", 4, 3, 7), tensor("B", 7, 5)
    t, y, z = tensor("T", 4, 3, 5), tensor("Y", 10, 5), tensor("Z", 4)
    q, p, j, k, row = (
        iterator(n, e) for n, e in (("q", 4), ("p", 3), ("j", 5), ("k", 7), ("row", 10))
    )
    made = Definition(t, (q, p, j), total(apply("mul", read(a, q, p, k), read(b, k, j)), k))
    at = Int.of(row) + 1
    cut = Definition(y, (row, j), read(t, at // 3, at % 3, j))
    sums = Definition(z, (q,), total(read(t, q, p, j), p, j))
    return program([a, b], [y, z] if again else [y], made, cut, *([sums] if again else []))


def test_a_part_of_a_view_is_a_plain_read() -> None:
    source = cut_product()
    changed = parts_of_views(source)
    _, view, cut = changed.definitions()
    assert viewed(view) is not None and [n.constant for n in view.tensor.shape] == [12, 5]
    assert cut.body == read(view.tensor, Int.of(cut.iters[0]) + 1, cut.iters[1])
    assert verify_equal(source, changed).equal
    assert plan(changed).views == (view,)
    agree(changed, random_inputs(source), threads=1)
    assert parts_of_views(changed) is changed


def test_what_others_read_too_gets_no_second_view() -> None:
    source = cut_product(again=True)
    assert parts_of_views(source) is source
