"""Random programs: the interpreter against a pointwise one, and invariances of the canonical form."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcomp.ir.dtypes import f32, f64, i32, i64
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.canonical import canonicalise, equivalent, fingerprint
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Scan,
    Tensor,
    rewrite,
)
from tcomp.ir.tensor.printer import print_program
from tcomp.ir.tensor.verifier import verify
from tcomp.ops import OPS
from tests.fuzz.pointwise import evaluate
from tests.fuzz.programs import Case
from tests.strategies import cases, seeded_case

few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def agree(got: tuple[Any, ...], expected: list[Any], case: Case) -> None:
    for a, b, tensor in zip(got, expected, case.program.results, strict=True):
        assert a.shape == tuple(map(int, tensor.shape))
        if tensor.dtype.is_float:
            largest = np.abs(b).max(initial=1.0)
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * largest)
        else:
            np.testing.assert_array_equal(a, b)


@few
@given(cases())
def test_the_interpreter_agrees_with_the_pointwise_meaning(case: Case) -> None:
    verify(case.program)
    assert print_program(bind(case.program, {})) == print_program(case.program)
    agree(interpret(case.program, case.inputs), evaluate(case.program, case.inputs), case)


@pytest.mark.parametrize("seed", range(200))
def test_seeded_programs(seed: int) -> None:
    case = seeded_case(seed)
    verify(case.program)
    results = interpret(case.program, case.inputs)
    assert all(np.isfinite(r).all() for r in results)
    canonical = canonicalise(case.program)
    verify(canonical)
    assert canonicalise(canonical) == canonical
    named = zip(canonical.inputs, case.inputs.values(), strict=True)
    agree(interpret(canonical, {t.name: a for t, a in named}), list(results), case)


def scrambled(program: Program, seed: int) -> Program:
    """The same program, written by someone else: other names, operands and iterators turned round."""
    rng = random.Random(seed)
    names = [f"n{k}" for k in range(1000)]
    rng.shuffle(names)
    tensors: dict[Tensor, Tensor] = {}

    def fresh(tensor: Tensor) -> Tensor:
        if tensor not in tensors:
            tensors[tensor] = Tensor(names.pop(), tensor.dtype, tensor.axes)
        return tensors[tensor]

    def rule(node: Expr) -> Expr | None:
        match node:
            case Read(tensor, index, otherwise):
                return Read(fresh(tensor), index, otherwise)
            case Apply(op, (a, b), dtype) if OPS[op].commutative and rng.random() < 0.5:
                return Apply(op, (b, a), dtype)
            case Apply("lt", (a, b), dtype):
                return Apply("gt", (b, a), dtype)
            case Reduce(op, iters, body):
                new = [Iter(names.pop(), i.lo, i.hi) for i in iters]
                body = body.sub({i: Int.of(n) for i, n in zip(iters, new, strict=True)})
                rng.shuffle(new)
                return Reduce(op, tuple(new), body)
        return None

    def definition(d: Definition, ordered: dict[Iter, Iter]) -> Definition:
        iters = tuple(ordered.get(i) or Iter(names.pop(), i.lo, i.hi) for i in d.iters)
        body = d.body.sub({i: Int.of(n) for i, n in zip(d.iters, iters, strict=True)})
        return Definition(fresh(d.tensor), iters, rewrite(body, rule))

    def statement(s: Any) -> Any:
        if not isinstance(s, Scan):
            return definition(s, {})
        ordered = Iter(names.pop(), s.iter.lo, s.iter.hi)
        return Scan(ordered, tuple(definition(d, {s.iter: ordered}) for d in s.definitions))

    inputs = tuple(map(fresh, program.inputs))
    body = tuple(map(statement, program.body))
    return Program("other", (), inputs, tuple(map(fresh, program.results)), body)


@few
@given(cases(), st.integers(0, 1000))
def test_scrambling_keeps_the_fingerprint(case: Case, seed: int) -> None:
    other = scrambled(case.program, seed)
    verify(other)
    assert equivalent(case.program, other)
    assert fingerprint(case.program) == fingerprint(other)
    exact = {fingerprint(p, associative=False) for p in (case.program, other)}
    assert len(exact) == 1


@few
@given(cases(), st.integers(0, 1000))
def test_mutations_change_the_fingerprint(case: Case, seed: int) -> None:
    """One local change to what a live result says; identity mutations are skipped by construction."""
    last = case.program.body[-1]
    if isinstance(last, Scan):
        return
    mutated = rewrite(last.body, _mutation(last.body, random.Random(seed)))
    if mutated is last.body:
        return
    other = Program(
        "p",
        (),
        case.program.inputs,
        case.program.results,
        (*case.program.body[:-1], Definition(last.tensor, last.iters, mutated)),
    )
    assert fingerprint(other) != fingerprint(case.program)


def _mutation(body: Expr, rng: random.Random) -> Any:
    state = {"left": 1}

    def rule(node: Expr) -> Expr | None:
        if not state["left"] or rng.random() < 0.5:
            return None
        match node:
            case Const(value, dtype) if dtype in (f32, f64, i32, i64):
                changed: Expr = Const(value + 1, dtype)
            case IndexValue(index, dtype):
                changed = IndexValue(index + 1, dtype)
            case Read(tensor, index, otherwise) if index:
                changed = Read(tensor, (index[0] + 1, *index[1:]), otherwise)
            case Reduce("sum", iters, inner):
                changed = Reduce("prod", iters, inner)
            case Apply("sub" as op, (a, b), dtype) if a is not b:
                changed = Apply(op, (b, a), dtype)
            case _:
                return None
        state["left"] = 0
        return changed

    return rule
