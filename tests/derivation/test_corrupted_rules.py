"""Every rule with its results corrupted at random: verification sees each corruption that numbers see."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from tcomp.diagnostics import Error
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    postorder,
    substitute,
)
from tcomp.passes.derivation import RULES
from tcomp.passes.derivation.rule import Rule, replaced, with_statement
from tcomp.passes.verification import verify_equal
from tests.derivation import test_index_rules
from tests.unit import test_rules
from tests.unit.programs import random_inputs

TRIED = 5  # corruptions of each result
OTHER = {"add": "sub", "sub": "add", "mul": "add", "maximum": "minimum", "minimum": "maximum"}


def instances(rule: Rule, seed: int) -> Iterator[Program]:
    """Programs to which a rule applies."""
    for cases in (test_rules, test_index_rules):
        if rule.name in cases.CASES:
            yield from cases.instances(rule.name, seed)


def corruptions(program: Program) -> Iterator[Program]:
    """The program with one node changed: an offset, an operation, a branch, or the end of a range."""
    for position, statement in enumerate(program.body):
        if isinstance(statement, Scan):
            continue
        for node in postorder(statement.body):
            for changed in _changed(node):
                body = replaced(statement.body, node, changed)
                made = Definition(statement.tensor, statement.iters, body)
                yield with_statement(program, position, (made,))


def _changed(node: Expr) -> Iterator[Expr]:
    match node:
        case Read(tensor, index, otherwise):
            for axis in range(len(index)):
                moved = tuple(p + 1 if n == axis else p for n, p in enumerate(index))
                yield Read(tensor, moved, otherwise)
        case Apply("where", (condition, chosen, other), dtype):
            yield Apply("where", (condition, other, chosen), dtype)
        case Apply(op, args, dtype) if op in OTHER and dtype.is_float:
            yield Apply(OTHER[op], args, dtype)
        case Reduce(op, (*others, last), body) if last.extent.constant > 1:
            short = Iter(last.name, last.lo, last.hi - 1)
            yield Reduce(op, (*others, short), substitute(body, {last: Int.of(short)}))


def differs(source: Program, other: Program, seed: int) -> bool:
    """Whether the two give other numbers, or the second none."""
    arrays = random_inputs(source, seed)
    try:
        got = interpret(other, arrays)
    except (Error, IndexError):
        return True
    pairs = zip(interpret(source, arrays), got, strict=True)
    return not all(np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize(
    "rule", [r for r in RULES if next(instances(r, 0), None)], ids=lambda r: r.name
)
def test_a_corrupted_rule_is_caught(rule: Rule) -> None:
    rng = random.Random(rule.name)
    caught = 0
    for seed in range(2):
        for source in instances(rule, seed):
            for _, result in rule.apply(source):
                wrong = list(corruptions(result))
                for each in rng.sample(wrong, min(TRIED, len(wrong))):
                    if differs(source, each, seed):
                        assert not verify_equal(source, each).equal, (source, each)
                        caught += 1
    assert caught
