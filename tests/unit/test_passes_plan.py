"""Planning keeps the meaning and finds the groups it promises."""

from __future__ import annotations

import numpy as np
import pytest

from tcomp.ir.dtypes import boolean, f64, i4, i8, i32, i64, u4
from tcomp.ir.integer import Int
from tcomp.ir.nibbles import pack_nibbles
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Apply, Const, Definition, IndexValue, Program, Read, Scan
from tcomp.passes import bytes_for_nibbles, plan, split_constants
from tests.unit.programs import (
    apply,
    iterator,
    product_chain,
    program,
    random_inputs,
    read,
    softmax,
    tensor,
    total,
)


def assert_same_meaning(source: Program) -> None:
    arrays = random_inputs(source)
    derived = plan(source).derived()
    for a, b in zip(interpret(source, arrays), interpret(derived, arrays), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


def test_softmax_is_one_group_over_rows() -> None:
    source = softmax(7, 13)
    (group,) = plan(source).groups
    assert [s.iter.name for s in group.shared] == ["i"]
    assert {t.name for t in group.scratch} == {"m", "E", "P_sum"}
    assert_same_meaning(source)


def test_epilogue_joins_its_product() -> None:
    x, w = tensor("X", 5, 7), tensor("W", 7, 3)
    h, product = product_chain("H", x, w)
    y = tensor("Y", 5, 3)
    i, j = iterator("a", 5), iterator("b", 3)
    source = program([x, w], [y], product, Definition(y, (i, j), apply("gelu", read(h, i, j))))
    (group,) = plan(source).groups
    assert [d.tensor.name for d in group.members] == ["Y"]
    assert_same_meaning(source)


def test_two_products_in_one_definition_are_split() -> None:
    x, z, w = tensor("X", 4, 6), tensor("Z", 4, 6), tensor("W", 6, 5)
    i, j, k, l = iterator("i", 4), iterator("j", 5), iterator("k", 6), iterator("l", 6)
    y = tensor("Y", 4, 5)
    left = total(apply("mul", read(x, i, k), read(w, k, j)), k)
    right = total(apply("mul", read(z, i, l), read(w, l, j)), l)
    source = program([x, z, w], [y], Definition(y, (i, j), apply("add", left, right)))
    assert len(plan(source).groups) == 2
    assert_same_meaning(source)


def test_guarded_read_of_an_inlined_producer_keeps_its_border() -> None:
    x = tensor("X", 9)
    t, y = tensor("T", 9), tensor("Y", 9)
    i, j = iterator("i", 9), iterator("j", 9)
    shifted = read(t, Int.of(j) - 2, otherwise=Const(7.0, f64))
    source = program(
        [x],
        [y],
        Definition(t, (i,), apply("add", read(x, i), Const(1.0, f64))),
        Definition(y, (j,), apply("mul", shifted, shifted)),
    )
    assert len(plan(source).derived().body) == 1
    assert_same_meaning(source)
    arrays = {"X": np.arange(9.0)}
    (result,) = interpret(plan(source).derived(), arrays)
    assert result[0] == result[1] == 49.0
    assert result[2] == 1.0


def test_column_statistics_are_not_grouped_over_columns() -> None:
    """Sharing the contiguous axis would make every inner loop stride through memory."""
    x = tensor("X", 6, 8)
    s, y = tensor("s", 8), tensor("Y", 6, 8)
    i, j, k = iterator("i", 6), iterator("j", 8), iterator("k", 6)
    source = program(
        [x],
        [y],
        Definition(s, (j,), total(read(x, k, j), k)),
        Definition(y, (i, j), apply("div", read(x, i, j), read(s, j))),
    )
    assert all(not g.shared for g in plan(source).groups)
    assert_same_meaning(source)


def test_scan_shares_independent_iterators_outside_the_ordered_one() -> None:
    a, x = tensor("a", 5, 4), tensor("x", 5, 4)
    h = tensor("h", 5, 4)
    t, d = iterator("t", 5), iterator("d", 4)
    before = read(h, Int.of(t) - 1, d, otherwise=Const(0.0, f64))
    step = Definition(h, (t, d), apply("add", apply("mul", read(a, t, d), before), read(x, t, d)))
    source = Program("lru", (), (a, x), (h,), (Scan(t, (step,)),))
    (group,) = plan(source).groups
    assert [(s.iter.name, s.ordered) for s in group.shared] == [("d", False), ("t", True)]
    assert_same_meaning(source)


def test_what_no_result_needs_is_dropped() -> None:
    x = tensor("X", 3)
    t, y = tensor("T", 3), tensor("Y", 3)
    i = iterator("i", 3)
    source = program(
        [x],
        [y],
        Definition(t, (i,), apply("exp", read(x, i))),
        Definition(y, (i,), apply("neg", read(x, i))),
    )
    assert [d.tensor.name for d in plan(source).derived().definitions()] == ["Y"]


def test_provable_guards_vanish() -> None:
    x, y = tensor("X", 6), tensor("Y", 5)
    i = iterator("i", 5)
    source = program(
        [x], [y], Definition(y, (i,), read(x, Int.of(i) + 1, otherwise=Const(0.0, f64)))
    )
    (definition,) = plan(source).derived().definitions()
    assert isinstance(definition.body, Read)
    assert definition.body.otherwise is None


@pytest.mark.parametrize("dtype", [i4, u4])
@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_nibbles_in_and_out(dtype: object, length: int) -> None:
    assert dtype in (i4, u4)
    signed = dtype is i4
    x, y = tensor("X", 3, length, dtype=dtype), tensor("Y", 3, length, dtype=dtype)  # type: ignore[arg-type]
    i, j = iterator("i", 3), iterator("j", length)
    turned = read(x, i, Int.of(length - 1) - j)
    body = Apply("cast", (apply("add", Apply("cast", (turned,), i32), Const(3, i32)),), dtype)  # type: ignore[arg-type]
    source = program([x], [y], Definition(y, (i, j), body))
    narrow = bytes_for_nibbles(source)
    assert all(not t.dtype.is_packed for t in (*narrow.inputs, *narrow.results))
    rng = np.random.default_rng(length)
    low, high = (-8, 8) if signed else (0, 16)
    values = rng.integers(low, high, (3, length))
    (result,) = interpret(narrow, {"X": pack_nibbles(values)})
    expected = values[:, ::-1] + 3
    expected = (expected + 8) % 16 - 8 if signed else expected % 16
    np.testing.assert_array_equal(result, pack_nibbles(expected))


def test_unit_iterators_leave_the_indices() -> None:
    x, y = tensor("X", 1, 4, dtype=i8), tensor("Y", 1, 4, dtype=i32)
    i, j = iterator("i", 1), iterator("j", 4)
    body = apply("add", Apply("cast", (read(x, i, j),), i32), IndexValue(Int.of(i), i32))
    source = program([x], [y], Definition(y, (i, j), body))
    (definition,) = plan(source).derived().definitions()
    assert definition.body.free_atoms() == frozenset({j})
    assert_same_meaning(source)


def test_conditions_that_ranges_decide_are_decided() -> None:
    y = tensor("Y", 4)
    i = iterator("i", 4)
    condition = Apply("lt", (IndexValue(Int.of(i), i64), Const(9, i64)), boolean)
    body = Apply("where", (condition, Const(1.0, f64), Const(2.0, f64)), f64)
    source = program([], [y], Definition(y, (i,), body))
    (definition,) = plan(source).derived().definitions()
    assert isinstance(definition.body, Const)
    assert_same_meaning(source)


def test_what_constants_decide_is_computed_once() -> None:
    x, w, s = tensor("X", 4, 6), tensor("W", 6, 5), tensor("s", 5)
    i, j, k = iterator("i", 4), iterator("j", 5), iterator("k", 6)
    y = tensor("Y", 4, 5)
    scaled = apply("mul", read(w, k, j), read(s, j))
    body = total(apply("mul", read(x, i, k), scaled), k)
    source = program([x, w, s], [y], Definition(y, (i, j), body))
    once, main = split_constants(source, {"W", "s"})
    assert once is not None
    assert [t.name for t in main.inputs] == ["X", once.results[0].name]
    arrays = random_inputs(source)
    folded = dict(zip([t.name for t in once.results], interpret(once, arrays), strict=True))
    (result,) = interpret(main, {"X": arrays["X"], **folded})
    np.testing.assert_allclose(result, arrays["X"] @ (arrays["W"] * arrays["s"]))


def test_no_constant_is_blown_up() -> None:
    """An outer product of two vectors stays two vectors."""
    x, u, v = tensor("X", 4, 64, 64), tensor("u", 64), tensor("v", 64)
    b, i, j = iterator("b", 4), iterator("i", 64), iterator("j", 64)
    y = tensor("Y", 4, 64, 64)
    body = apply("mul", read(x, b, i, j), apply("mul", read(u, i), read(v, j)))
    once, main = split_constants(
        program([x, u, v], [y], Definition(y, (b, i, j), body)), {"u", "v"}
    )
    assert once is None
    assert [t.name for t in main.inputs] == ["X", "u", "v"]
