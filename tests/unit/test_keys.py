"""Keys of expressions that share parts: linear work, and still equal exactly for equal expressions."""

import pytest

from tcomp.ir.dtypes import i64
from tcomp.ir.integer import Int, Value
from tcomp.ir.loop import nodes as loops
from tcomp.ir.tensor import nodes as tensors

DEPTH = 64  # written out in full, a text of 2**64 parts


def _tensor_expression(start, depth=DEPTH):
    for _ in range(depth):
        start = tensors.Apply("mul", (start, start), i64)
    return start


def _loop_expression(start, depth=DEPTH):
    for _ in range(depth):
        start = loops.Op("mul", (start, start), i64)
    return start


@pytest.mark.parametrize(
    ("make", "constant"),
    [(_tensor_expression, tensors.Const), (_loop_expression, loops.Const)],
)
def test_keys_of_shared_expressions_are_short_and_tell_apart(make, constant):
    keys = [
        make(constant(start, i64), depth).key for start in (2, 3) for depth in (DEPTH, DEPTH - 1)
    ]
    assert len(set(keys)) == 4
    assert max(map(len, keys)) < 10_000
    assert make(constant(2, i64)).key == keys[0]


def test_an_address_orders_its_shared_values_quickly():
    buffer = loops.Buffer("x", i64, 8, loops.Space.ARGUMENT)
    first, second = (_loop_expression(loops.Load(buffer, Int.of(n))) for n in (0, 1))
    load = loops.Load(buffer, Int.of(Value(first)) + Int.of(Value(second)) * 2)
    assert set(load.children()) == {first, second}
    assert loops.rewrite(load, lambda node: None) is load
