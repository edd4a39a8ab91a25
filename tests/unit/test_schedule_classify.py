"""Groups have the names that people use."""

from __future__ import annotations

import pytest
from programs import apply, iterator, read, tensor, total

from tcomp.ir.dtypes import f32, i64
from tcomp.ir.integer import Int, Value
from tcomp.ir.plan import Group, Shared
from tcomp.ir.tensor.nodes import Const, Definition, Expr, Read
from tcomp.schedule.classify import classify

X, Y = tensor("X", 32, 32, dtype=f32), tensor("Y", 32, 32, dtype=f32)
IDS = tensor("ids", 32, dtype=i64)
i, j, k = iterator("i", 32), iterator("j", 32), iterator("k", 32)
r = iterator("r", 3)
ZERO = Const(0.0, f32)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("elementwise", apply("exp", read(X, i, j))),
        ("transpose", read(X, j, i)),
        ("window", total(read(X, i, Int.of(j) + Int.of(r) - 1, otherwise=ZERO), r)),
        ("window", apply("add", read(X, i, j), read(X, i, Int.of(j) - 1, otherwise=ZERO))),
        ("gather", Read(X, (Int.of(Value(read(IDS, i))), Int.of(j)))),
        ("contraction", total(apply("mul", read(X, i, k), read(X, k, j)), k)),
        ("reduction", total(apply("exp", apply("sub", read(X, i, k), read(X, j, k))), k)),
    ],
)
def test_single_definitions(name: str, body: Expr) -> None:
    assert classify(Group((Definition(Y, (i, j), body),))) == name


def test_groups() -> None:
    definition = Definition(Y, (i, j), read(X, i, j))
    assert classify(Group((definition,), (Shared(i, ordered=True),))) == "scan"
    assert classify(Group((definition, definition), (Shared(i),))) == "rows"
