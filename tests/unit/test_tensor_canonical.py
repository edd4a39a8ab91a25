"""Canonical forms: equal for what only names and orders tell apart, different for all else."""

from __future__ import annotations

import subprocess
import sys

from tcomp.ir.dtypes import DType, f32, f64
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.canonical import canonicalise, equivalent, fingerprint
from tcomp.ir.tensor.nodes import Apply, Const, Definition, Expr, Program, Read, Reduce, Tensor
from tcomp.ir.tensor.verifier import verify

ZERO = Int.of(0)


def it(name: str, hi: int, lo: int = 0) -> Iter:
    return Iter(name, Int.of(lo), Int.of(hi))


def tensor(name: str, *shape: int, dtype: DType = f32) -> Tensor:
    return Tensor(name, dtype, tuple((ZERO, Int.of(n)) for n in shape))


def read(t: Tensor, *index: object, otherwise: Expr | None = None) -> Read:
    return Read(t, tuple(Int.of(i) for i in index), otherwise)  # type: ignore[arg-type]


def op(name: str, *args: Expr) -> Apply:
    return Apply(name, args, args[-1].dtype)


def program(body: Expr, iters: tuple[Iter, ...], *inputs: Tensor) -> Program:
    out = Tensor("Y", body.dtype, tuple((i.lo, i.hi) for i in iters))
    made = Program("p", (), inputs, (out,), (Definition(out, iters, body),))
    verify(made)
    return made


def conv(
    names: str = "yxcrs",
    *,
    pad: int = 1,
    swap_kernel: bool = False,
    swap_order: bool = False,
    guard: float = 0.0,
    dtype: DType = f32,
    channels: int = 4,
    inputs: str = "IK",
) -> Program:
    y, x, c, r, s = (it(n, e) for n, e in zip(names, (8, 8, channels, 3, 3), strict=True))
    image = tensor(inputs[0], channels, 8, 8, dtype=dtype)
    kernel = tensor(inputs[1], channels, 3, 3, dtype=dtype)
    a = read(image, c, Int.of(y) + r - pad, Int.of(x) + s - pad, otherwise=Const(guard, dtype))
    b = read(kernel, c, *((s, r) if swap_kernel else (r, s)))
    body = Reduce(
        "sum",
        (s, c, r) if swap_order else (c, r, s),
        op("mul", *((b, a) if swap_order else (a, b))),
    )
    return program(body, (y, x), image, kernel)


def test_names_and_orders_do_not_count() -> None:
    plain = conv()
    for other in (conv("pqsrc"), conv("abcde", swap_order=True), conv(inputs="KI")):
        assert fingerprint(other) == fingerprint(plain) and equivalent(other, plain)


def test_guards_types_ranges_and_places_count() -> None:
    different = [
        conv(),
        conv(pad=0),
        conv(swap_kernel=True),
        conv(guard=-0.0),
        conv(guard=1.0),
        conv(dtype=f64),
        conv(channels=5),
    ]
    assert len({fingerprint(p) for p in different}) == len(different)
    assert not equivalent(conv(), conv(swap_kernel=True))


def test_ties_are_resolved_by_structure() -> None:
    a, b = tensor("A", 3, 3), tensor("B", 3, 3)
    i, j, k, l = (it(n, 3) for n in "ijkl")

    def cycle(*edges: tuple[Iter, Iter]) -> Program:
        factors = [read(a, p, q) for p, q in edges]
        body = factors[0]
        for f in factors[1:]:
            body = op("mul", body, f)
        return program(Reduce("sum", (i, j, k, l), body), (), a, b)

    ring = cycle((i, j), (j, k), (k, l), (l, i))
    other = cycle((k, j), (i, k), (l, i), (j, l))  # also one ring of four
    pairs = cycle((i, j), (j, i), (k, l), (l, k))  # two rings of two: the same colours
    assert fingerprint(ring) == fingerprint(other) != fingerprint(pairs)


def test_association_counts_only_where_asked() -> None:
    a, i = tensor("A", 5), it("i", 5)
    x, y, z = (read(a, i), op("exp", read(a, i)), op("tanh", read(a, i)))
    left = program(op("add", op("add", x, y), z), (i,), a)
    right = program(op("add", x, op("add", z, y)), (i,), a)
    commuted = program(op("add", z, op("add", y, x)), (i,), a)
    assert fingerprint(left) == fingerprint(right) == fingerprint(commuted)
    exact = [fingerprint(p, associative=False) for p in (left, right, commuted)]
    assert exact[0] == exact[2] != exact[1]
    swapped = program(op("sub", x, y), (i,), a), program(op("sub", y, x), (i,), a)
    assert fingerprint(swapped[0]) != fingerprint(swapped[1])


def test_local_names_and_the_order_of_independent_definitions_do_not_count() -> None:
    a, i = tensor("A", 5), it("i", 5)

    def build(first: str, second: str, turn: bool) -> Program:
        p, q, out = tensor(first, 5), tensor(second, 5), tensor("Y", 5)
        one = Definition(p, (i,), op("exp", read(a, i)))
        two = Definition(q, (i,), op("tanh", read(a, i)))
        last = Definition(out, (i,), op("sub", read(p, i), read(q, i)))
        return Program("p", (), (a,), (out,), (*((two, one) if turn else (one, two)), last))

    assert fingerprint(build("E", "T", False)) == fingerprint(build("T", "E", True))
    made = canonicalise(build("T", "E", True))
    verify(made)
    assert [d.tensor.name for d in made.definitions()] == ["t0", "t1", "t2"]
    assert canonicalise(made) == made


def test_the_hash_is_the_same_in_another_process() -> None:
    code = (
        "from tests.unit.test_tensor_canonical import conv, fingerprint;"
        "print(fingerprint(conv()), fingerprint(conv('pqsrc')))"
    )
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(p or "." for p in sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.split() == [fingerprint(conv())] * 2
