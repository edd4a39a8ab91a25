"""The search finds the forms that algebra promises, and verification catches what is not equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tcomp.ir.dtypes import boolean, f32, f64, i64
from tcomp.ir.integer import Int
from tcomp.ir.tensor.nodes import Apply, Const, Definition, IndexValue, Program, Reduce, postorder
from tcomp.passes.derivation import RULES, Derivation, derive
from tcomp.passes.derivation.cost import operations
from tcomp.passes.derivation.rule import Rule
from tcomp.passes.verification import verify_equal
from tests.unit.programs import (
    apply,
    iterator,
    product_chain,
    program,
    read,
    softmax,
    tensor,
    total,
)


def searched(source: Program, **options: object) -> Derivation:
    found = derive(source, seconds=5.0, **options)  # type: ignore[arg-type]
    assert verify_equal(source, found.program).equal
    return found


def work(source: Program) -> float:
    return sum(operations(d) for d in source.definitions())


def matrix_vector(n: int) -> Program:
    a, b, v = tensor("A", n, n), tensor("B", n, n), tensor("v", n)
    c, product = product_chain("C", a, b)
    y = tensor("y", n)
    i, j = iterator("i", n), iterator("j", n)
    body = total(apply("mul", read(c, i, j), read(v, j)), j)
    return program([a, b, v], [y], product, Definition(y, (i,), body))


def test_matrix_times_vector_first() -> None:
    found = searched(matrix_vector(1024))
    assert work(found.program) < 6 * 1024**2


def test_strict_floats_are_not_reassociated() -> None:
    found = searched(matrix_vector(64), reassociate_floats=False)
    assert work(found.program) >= 2 * 64**3


def test_chain_of_four_matrices() -> None:
    """10x1000, 1000x10, 10x1000, 1000x10: ((A B) (C D)) needs 201,000 multiplications."""
    shapes = [(10, 1000), (1000, 10), (10, 1000), (1000, 10)]
    inputs = [tensor(name, *shape) for name, shape in zip("ABCD", shapes, strict=True)]
    left, definitions = inputs[0], []
    for number, right in enumerate(inputs[1:]):
        left, definition = product_chain(f"T{number}", left, right)
        definitions.append(definition)
    found = searched(program(inputs, [left], *definitions))
    assert work(found.program) == pytest.approx(2 * 201_000)


def test_low_rank_product_stays_low_rank() -> None:
    a, u, v = tensor("A", 64, 256), tensor("U", 256, 4), tensor("V", 4, 256)
    w, first = product_chain("W", u, v)
    y, second = product_chain("Y", a, w)
    found = searched(program([a, u, v], [y], first, second))
    assert work(found.program) == pytest.approx(2 * (64 * 256 * 4 + 64 * 4 * 256))


def test_common_factor_leaves_one_product() -> None:
    x, z, w = tensor("X", 64, 128), tensor("Z", 64, 128), tensor("W", 128, 128)
    left, first = product_chain("L", x, w)
    right, second = product_chain("R", z, w)
    y = tensor("Y", 64, 128)
    i, j = iterator("i", 64), iterator("j", 128)
    last = Definition(y, (i, j), apply("add", read(left, i, j), read(right, i, j)))
    found = searched(program([x, z, w], [y], first, second, last))
    assert work(found.program) < 1.1 * (2 * 64 * 128 * 128)


def test_different_factors_stay_apart() -> None:
    x, w1, w2 = tensor("X", 64, 128), tensor("V", 128, 128), tensor("W", 128, 128)
    left, first = product_chain("L", x, w1)
    right, second = product_chain("R", x, w2)
    y = tensor("Y", 64, 128)
    i, j = iterator("i", 64), iterator("j", 128)
    last = Definition(y, (i, j), apply("mul", read(left, i, j), read(right, i, j)))
    found = searched(program([x, w1, w2], [y], first, second, last))
    assert work(found.program) >= 4 * 64 * 128 * 128


def test_trace_of_a_product_needs_no_product() -> None:
    n = 128
    a, b = tensor("A", n, n), tensor("B", n, n)
    c, product = product_chain("C", a, b)
    t = tensor("t")
    i = iterator("i", n)
    found = searched(program([a, b], [t], product, Definition(t, (), total(read(c, i, i), i))))
    assert work(found.program) <= 3 * n * n


def test_nothing_is_pulled_through_a_nonlinear_function() -> None:
    x, w, v = tensor("X", 8, 16), tensor("W", 16, 16), tensor("V", 16, 16)
    h, first = product_chain("H", x, w)
    r, y = tensor("R", 8, 16), tensor("Y", 8, 16)
    i, j, k = iterator("i", 8), iterator("j", 16), iterator("k", 16)
    relu = Definition(r, (i, j), apply("relu", read(h, i, j)))
    last = Definition(y, (i, j), total(apply("mul", read(r, i, k), read(v, k, j)), k))
    found = searched(program([x, w, v], [y], first, relu, last))
    assert any(
        isinstance(n, Apply) and n.op == "relu"
        for d in found.program.definitions()
        for n in postorder(d.body)
    )


def test_unused_iterator_becomes_a_factor() -> None:
    x, y = tensor("X", 7), tensor("Y", 7)
    i, k = iterator("i", 7), iterator("k", 50)
    found = searched(program([x], [y], Definition(y, (i,), total(read(x, i), k))))
    assert not any(
        isinstance(n, Reduce) for d in found.program.definitions() for n in postorder(d.body)
    )


def test_delta_is_eliminated_with_its_border() -> None:
    x, y = tensor("X", 9), tensor("Y", 12)
    i, k = iterator("i", 12), iterator("k", 9)
    hit = Apply("eq", (IndexValue(Int.of(k), i64), IndexValue(Int.of(i) - 2, i64)), boolean)
    body = total(Apply("where", (hit, read(x, k), Const(0.0, f64)), f64), k)
    found = searched(program([x], [y], Definition(y, (i,), body)))
    assert work(found.program) < 12 * 9


def test_a_larger_budget_loses_nothing() -> None:
    source = matrix_vector(256)
    ticks = iter(range(10_000))
    short = derive(source, seconds=1.0, clock=lambda: next(ticks) * 0.4)
    long = derive(source, seconds=5.0)
    assert long.cost_after <= short.cost_after <= short.cost_before


def test_search_is_deterministic() -> None:
    first, second = derive(softmax(8, 8)), derive(softmax(8, 8))
    assert first.program == second.program
    assert [s.rule for s in first.steps] == [s.rule for s in second.steps]


def test_a_corrupted_rule_is_caught() -> None:
    """What the search believed, verification does not."""

    def drop_last(source: Program) -> Iterator[tuple[str, Program]]:
        last = source.body[-1]
        assert isinstance(last, Definition)
        for node in postorder(last.body):
            if isinstance(node, Apply) and node.op == "mul":
                yield (
                    last.tensor.name,
                    replace(
                        source,
                        body=(
                            *source.body[:-1],
                            Definition(last.tensor, last.iters, node.args[0]),
                        ),
                    ),
                )

    x, y = tensor("X", 5000, dtype=f32), tensor("Y", 5000, dtype=f32)
    i = iterator("i", 5000)
    product = apply("mul", read(x, i), read(x, i))
    source = program([x], [y], Definition(y, (i,), product))
    wrong = Rule("wrong", "a * b", "a", "never", "a test", drop_last)
    found = derive(source, rules=(wrong,))
    assert found.steps
    assert verify_equal(source, found.program).equal is False


def test_every_rule_says_what_it_is() -> None:
    assert len({r.name for r in RULES}) == len(RULES)
    assert all(r.before and r.after and r.precondition and r.reference for r in RULES)
