"""Header comments and random inputs of the command line."""

from __future__ import annotations

import numpy as np

from tcomp.cli.header import read_header
from tcomp.ir.dtypes import boolean, f32, i4, i32, i64, u8
from tcomp.ir.integer import ZERO, Int, Iter, Value
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    IndexValue,
    Program,
    Read,
    Reduce,
    Tensor,
)
from tcomp.ir.tensor.sampling import draw_inputs, position_ranges


def tensor(name, dtype, *shape):
    return Tensor(name, dtype, tuple((ZERO, Int.of(n)) for n in shape))


def test_the_header_ends_at_the_first_line_of_code():
    comments = (
        "# A thing.\n#  sizes: M=3 ,K = 40, bad, x=y\n# positive: a, b\n#scale: a=1e-2, b=x\n"
    )
    text = f"tcomp 1\n{comments}def f():\n# sizes: N=1\n"
    header = read_header(text)
    assert header.sizes == {"M": 3, "K": 40}
    assert header.positive == {"a", "b"}
    assert header.scale == {"a": 0.01}


def gather(offset, factor):
    """Y[s] = E[factor * ids[s] + offset]"""
    s = Iter("s", ZERO, Int.of(50))
    E, ids, Y = tensor("E", f32, 10), tensor("ids", i32, 50), tensor("Y", f32, 50)
    index = Int.of(Value(Read(ids, (Int.of(s),)))) * factor + offset
    return Program("p", (), (E, ids), (Y,), (Definition(Y, (s,), Read(E, (index,))),))


def test_positions_are_solved_from_the_index():
    assert position_ranges(gather(0, 1)) == {"ids": (0, 9)}
    assert position_ranges(gather(3, 2)) == {"ids": (-1, 3)}
    assert position_ranges(gather(9, -1)) == {"ids": (0, 9)}
    for case in (gather(0, 1), gather(3, 2), gather(9, -1)):
        ids = draw_inputs(case, 0, frozenset(), {})["ids"]
        low, high = position_ranges(case)["ids"]
        assert ids.min() == low and ids.max() == high


def test_what_is_compared_with_an_iterator_lies_in_its_range():
    b, n = Iter("b", ZERO, Int.of(7)), Iter("n", ZERO, Int.of(100))
    x, H = tensor("x", i64, 100), tensor("H", i64, 7)
    hit = Apply("eq", (Read(x, (Int.of(n),)), IndexValue(Int.of(b), i64)), boolean)
    body = Reduce("sum", (n,), Apply("where", (hit, Const(1, i64), Const(0, i64)), i64))
    program = Program("h", (), (x,), (H,), (Definition(H, (b,), body),))
    assert position_ranges(program) == {"x": (0, 6)}


def test_types_shapes_seeds_and_given_arrays():
    inputs = (
        tensor("a", f32, 3, 5), tensor("b", boolean, 64), tensor("c", i4, 2, 7), tensor("d", u8, 4000),
        tensor("e", i32, 0),
    )  # fmt: skip
    program = Program("p", (), inputs, (), ())
    given = {"a": np.zeros((3, 5), np.float32)}
    arrays = draw_inputs(program, 3, frozenset(), given)
    assert arrays["a"] is given["a"]
    assert arrays["b"].dtype == bool and arrays["b"].any() and not arrays["b"].all()
    assert arrays["c"].dtype == np.uint8 and arrays["c"].shape == (2, 4)
    assert (arrays["c"][:, -1] < 16).all(), "the nibble after an odd end is zero"
    assert arrays["d"].min() == 0 and arrays["d"].max() == 255
    assert arrays["e"].shape == (0,)
    again = draw_inputs(program, 3, frozenset(), {})
    assert all(np.array_equal(arrays[n], again[n]) for n in "bcde"), "one array leaves others alone"
    assert not np.array_equal(again["d"], draw_inputs(program, 4, frozenset(), {})["d"])
    assert (draw_inputs(program, 0, frozenset({"a", "d"}), {})["a"] > 0).all()
