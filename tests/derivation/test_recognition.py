"""What is recognised without a step: matrix products in every layout, reshapes; and what is none."""

from __future__ import annotations

from itertools import product as choices

import pytest

from tcomp.ir.tensor.nodes import Definition, Program
from tcomp.passes import plan
from tcomp.passes.derivation.convolution import convolution
from tcomp.passes.derivation.estimate import extent, mismatches, occurrence
from tcomp.passes.views import viewed
from tcomp.schedule.access import profile
from tcomp.schedule.classify import classify
from tests.unit.programs import written

LAYOUTS = tuple(choices(("[m, k]", "[k, m]"), ("[k, n]", "[n, k]"), ("[m, n]", "[n, m]")))


def multiplied(layout: tuple[str, str, str], b: int, m: int, n: int, k: int) -> Program:
    """C = A B with operands and result stored as the layout says, for each of a batch."""
    if b > 1:
        layout = tuple(f"[b, {each[1:]}" for each in layout)  # type: ignore[assignment]
    extents = {"b": b, "m": m, "n": n, "k": k}
    shapes = [
        f"f32[{', '.join(str(extents[i]) for i in each[1:-1].split(', '))}]" for each in layout
    ]
    left, right, result = layout
    return written(
        f"def f(A: {shapes[0]}, B: {shapes[1]}) -> C: {shapes[2]}:\n"
        f"    C{result} = sum[k](A{left} * B{right})\n"
    )


def only(program: Program) -> Definition:
    (definition,) = program.definitions()
    return definition


@pytest.mark.parametrize("layout", LAYOUTS, ids="".join)
@pytest.mark.parametrize(
    ("b", "m", "n", "k"), [(1, 224, 8, 16), (8, 224, 8, 16), (1, 223, 7, 17), (3, 61, 13, 5)]
)
def test_a_matrix_product_is_one_in_every_layout(
    layout: tuple[str, str, str], b: int, m: int, n: int, k: int
) -> None:
    """At depth 0: no step, no tensor beside the result, so no data moves."""
    program = multiplied(layout, b, m, n, k)
    found = occurrence(only(program))
    assert found is not None and mismatches(only(program)) == 0
    assert {extent(found.rows), extent(found.columns)} == {m, n}
    assert (extent(found.batch), extent(found.inner)) == (b, k)
    (group,) = plan(program).groups
    assert classify(group) == "contraction"


PLAIN = "def f(A: f32[224, {a}], B: f32[{b}, 16]) -> C: f32[224, 8]:\n    C[m, n] = {body}\n"
NO_PRODUCTS = {
    "an index twice": ("sum[k](A[m, k] * B[k, k])", 16, 16),
    "nothing summed": ("A[m, n] * B[n, m % 16]", 16, 8),
    "the row moves along the inner axis": ("sum[k in 0:16](A[m, m + k] * B[n, k])", 240, 8),
    "the column moves along the inner axis": ("sum[k in 0:16](A[m, n + k] * B[n, k])", 24, 8),
}


@pytest.mark.parametrize("reason", NO_PRODUCTS)
def test_what_is_no_matrix_product(reason: str) -> None:
    body, a, b = NO_PRODUCTS[reason]
    definition = only(written(PLAIN.format(body=body, a=a, b=b)))
    found = occurrence(definition)
    sides = (8.0, 16.0, 224.0)
    regular = found is not None and mismatches(definition) == 0
    assert not regular or sorted(map(extent, (found.rows, found.columns, found.inner))) != sorted(
        sides
    )  # type: ignore[union-attr]


def test_strides_of_iterators() -> None:
    """Addresses move with an iterator by the sum of what it does to each axis."""

    def steps(body: str, a: int, b: int) -> list[dict[str, int | None]]:
        definition = only(written(PLAIN.format(body=body, a=a, b=b)))
        every = {i.name: i for r in profile(definition).reads for e in r.index for i in e.leaves()}  # type: ignore[union-attr]
        return [{n: r.step(i) for n, i in every.items()} for r in profile(definition).reads]  # type: ignore[arg-type]

    assert steps("sum[k](A[m, k] * B[n, k])", 16, 8) == [
        {"k": 1, "m": 16, "n": 0},
        {"k": 1, "m": 0, "n": 16},
    ]
    first, _ = steps("sum[k in 0:16](A[m, k + m] * B[n, k])", 240, 8)
    assert first["m"] == 241
    _, second = steps("sum[k in 0:5](A[m, k] * B[n, 2*(k + 2)])", 5, 8)
    assert second["k"] == 2


CONVOLVED = (
    "def f(A: f32[8, 12, 224, 224], K: f32[{k}]) -> Y: f32[8, 16, {h}, 224]:\n"
    "    Y[n, f, h, w] = sum[c, r, s]((A[n, c, {y}, w + s - 1] else 0.0) * K[{i}])\n"
)


@pytest.mark.parametrize(
    ("k", "i"),
    [
        ("16, 12, 3, 3", "f, c, r, s"),
        ("12, 16, 3, 3", "c, f, r, s"),
        ("3, 3, 12, 16", "r, s, c, f"),
    ],
)
def test_a_convolution_is_one_whatever_the_layout_of_its_weights(k: str, i: str) -> None:
    found = convolution(
        only(written(CONVOLVED.format(k=k, i=i, y="h + r - 1", h=224))), 3, 2, set()
    )
    assert found is not None and len(found.windows) == 2


@pytest.mark.parametrize(("y", "h"), [("h + 2*r - 2", 224), ("2*h + r - 1", 112)])
def test_what_slides_otherwise_is_no_such_convolution(y: str, h: int) -> None:
    """Along that axis; the other one is a window as before."""
    definition = only(written(CONVOLVED.format(k="16, 12, 3, 3", i="f, c, r, s", y=y, h=h)))
    found = convolution(definition, 3, 2, set())
    assert found is not None and [w.at.name for w in found.windows] == ["w"]


@pytest.mark.parametrize(
    ("y", "taps", "count", "parts", "complete"),
    [
        ("h - r + 1", 3, 3, None, 1),
        ("2*h + r - 1", 3, 2, 2, 1),
        ("2*h - r + 1", 3, 2, 2, 1),
        ("2*h + r - 1", 4, 2, 2, 2),
        ("3*h + r - 1", 5, 2, 3, 2),
        ("3*h + r - 1", 4, 2, 3, 1),
    ],
)
def test_taps_of_a_stride_come_in_classes(
    y: str, taps: int, count: int, parts: int | None, complete: int
) -> None:
    """And those that go backwards are turned."""
    text = CONVOLVED.format(k=f"16, 12, {taps}, 1", i="f, c, r, s", y=y, h=16)
    found = convolution(only(written(text)), count, 1, set())
    assert found is not None
    (window,) = found.windows
    assert (window.at.name, window.tap.extent.constant) == ("h", count)
    assert (window.part.extent.constant if window.part else None) == parts
    assert window.complete == complete


def test_phases_move_a_window_as_its_results_do() -> None:
    text = (
        "def f(I: f32[4, 9], K: f32[4, 5, 4]) -> O: f32[5, 8, 2]:\n"
        "    O[f, h, p] = sum[c in 0:4, r in 0:2]((I[c, h + p - r] else 0) * K[c, f, 2*r + 1 - p])\n"
    )
    found = convolution(only(written(text)), 2, 2, set())
    assert found is not None
    (window,) = found.windows
    assert [p.name for p in window.phases] == ["p"] and window.spread == 1


VIEW = "def f(A: f32[{shape}]) -> Y: f32[{result}]:\n    Y{at} = A[{index}]\n"
VIEWS = {
    "three axes of one": ("2, 7, 7, 512", "98, 512", "[i, c]", "i//49, i//7%7, i%7, c"),
    "one axis of three": ("98, 512", "2, 7, 7, 512", "[n, y, x, c]", "49*n + 7*y + x, c"),
    "an axis of length one": ("1, 98, 512", "98, 512", "[i, c]", "0, i, c"),
    "other factors": ("14, 7", "7, 14", "[i, j]", "(14*i + j)//7, (14*i + j)%7"),
    "primes": ("3, 5, 11", "165", "[i]", "i//55, i//11%5, i%11"),
    "a result that starts elsewhere": ("12, 5", "3, 4, 5", "[i, j, k]", "4*i + j, k"),
}
NO_VIEWS = {
    "a stride of 6 instead of 7": ("2, 7, 7, 512", "98, 512", "[i, c]", "i//49, i//6%7, i%7, c"),
    "turned": ("7, 7", "7, 7", "[i, j]", "j, i"),
    "backwards": ("49", "49", "[i]", "48 - i"),
    "a part": ("50", "49", "[i]", "i"),
    "every second": ("98", "49", "[i]", "2*i"),
    "other quotients": ("14, 7", "7, 14", "[i, j]", "(14*i + j)%14, (14*i + j)//14"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_reshape_moves_no_data(name: str) -> None:
    shape, result, at, index = VIEWS[name]
    assert viewed(only(written(VIEW.format(shape=shape, result=result, at=at, index=index))))


@pytest.mark.parametrize("name", NO_VIEWS)
def test_what_is_no_reshape(name: str) -> None:
    shape, result, at, index = NO_VIEWS[name]
    assert not viewed(only(written(VIEW.format(shape=shape, result=result, at=at, index=index))))
