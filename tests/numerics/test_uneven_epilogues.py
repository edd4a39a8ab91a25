"""Matrix products with something around them that does not step evenly along the columns."""

from __future__ import annotations

import pytest

from tcomp.codegen.host import host_target
from tcomp.ir.dtypes import f32, i32
from tcomp.ir.integer import Int, Value
from tcomp.ir.tensor.nodes import Definition
from tests.fuzz.compare import check, lowered_and_compiled
from tests.fuzz.programs import Case
from tests.unit.programs import apply, iterator, program, random_inputs, read, tensor, total


@pytest.mark.parametrize("form", ["grouped", "gathered", "wrapped"])
def test_a_bias_that_is_no_plain_vector(form: str) -> None:
    a, b = tensor("A", 16, 32, dtype=f32), tensor("B", 32, 16, dtype=f32)
    bias, ids = tensor("c", 16, dtype=f32), tensor("ids", 16, dtype=i32)
    i, j, k = iterator("i", 16), iterator("j", 16), iterator("k", 32)
    index = {
        "grouped": Int.of(j) // 4,
        "gathered": Int.of(Value(read(ids, j))) % 16,
        "wrapped": Int.of(j) % 8 + 1,
    }[form]
    summed = total(apply("mul", read(a, i, k), read(b, k, j)), k)
    out = tensor("Y", 16, 16, dtype=f32)
    body = apply("add", summed, read(bias, index))
    made = program([a, b, bias, ids], [out], Definition(out, (i, j), body))
    check(Case(made, random_inputs(made), (1e-4,)), lowered_and_compiled, host_target())
