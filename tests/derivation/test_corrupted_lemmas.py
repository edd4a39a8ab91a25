"""Bilinear algorithms with one thing wrong: a coefficient, a sign, the place of a tile. Verification sees each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

from tcomp.ir.tensor.nodes import Definition, Expr, Program, Read, postorder, rewrite
from tcomp.passes.derivation import strassen, winograd
from tcomp.passes.derivation.normal import normal_form
from tcomp.passes.derivation.rule import with_statement
from tcomp.passes.derivation.rules import EIGHTHS
from tcomp.passes.derivation.toom_cook import Bilinear, Matrix, toom_cook
from tcomp.passes.verification import verify_equal
from tests.unit.programs import written

ALGORITHMS = {
    "F(2, 2)": toom_cook(2, 2, (1, -1)),
    "F(3, 2)": toom_cook(3, 2, (0, 1, -1)),
    "F(4, 2)": toom_cook(4, 2, EIGHTHS),
    "F(2, 3)": toom_cook(2, 3, (0, 1, -1)),
    "F(4, 3)": toom_cook(4, 3, (0, *EIGHTHS)),
}
WINDOWED = (
    "def f(X: f32[4, 11], K: f32[5, 4, 3]) -> Y: f32[5, 11]:\n"
    "    Y[o, x] = sum[c, r]((X[c, x + r - 1] else 0) * K[o, c, r])\n"
)
# Two phases of a transposed convolution, whose windows go backwards.
PHASED = (
    "def f(X: f32[4, 6], K: f32[4, 5, 4]) -> Y: f32[5, 6, 2]:\n"
    "    Y[o, x, p] = sum[c in 0:4, r in 0:2]((X[c, x + p - r] else 0) * K[c, o, 2*r + 1 - p])\n"
)
STRIDED = (
    "def f(X: f32[4, 17], K: f32[5, 4, 3]) -> Y: f32[5, 9]:\n"
    "    Y[o, x] = sum[c, r]((X[c, 2*x + r - 1] else 0) * K[o, c, r])\n"
)
SOURCES = {
    "F(2, 2)": PHASED,
    "F(3, 2)": STRIDED,
    "F(4, 2)": STRIDED,
    "F(2, 3)": WINDOWED,
    "F(4, 3)": WINDOWED,
}
MULTIPLIED = "def f(A: f32[8, 12], B: f32[12, 20]) -> C: f32[8, 20]:\n    C[i, j] = sum[k](A[i, k] * B[k, j])\n"


def convolved(source: Program, algorithm: Bilinear) -> Program:
    """What the lemma with an algorithm makes of a convolution."""
    ((_, made),) = winograd.winograd(algorithm, least_tiles=1)(source)
    return normal_form(made)


def wrong(matrix: Matrix, row: int, column: int, change: Fraction) -> Matrix:
    values = [list(each) for each in matrix]
    values[row][column] += change
    return tuple(map(tuple, values))


def coefficients(algorithm: Bilinear) -> Iterator[tuple[str, int, int]]:
    for name in ("data", "taps", "result"):
        matrix = getattr(algorithm, name)
        yield from ((name, r, c) for r in range(len(matrix)) for c in range(len(matrix[0])))


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("change", [Fraction(1), Fraction(-1, 8)], ids=str)
def test_a_wrong_coefficient_is_caught(name: str, change: Fraction) -> None:
    """Each of all three transforms: none is there for nothing."""
    algorithm, source = ALGORITHMS[name], normal_form(written(SOURCES[name]))
    assert verify_equal(source, convolved(source, algorithm)).equal
    for matrix, row, column in coefficients(algorithm):
        changed = wrong(getattr(algorithm, matrix), row, column, change)
        other = convolved(source, replace(algorithm, **{matrix: changed}))
        assert verify_equal(source, other).equal is False, (matrix, row, column)


def multiplied(
    monkeypatch: pytest.MonkeyPatch, name: str, matrix: tuple[tuple[int, ...], ...]
) -> Program:
    """What Strassen's lemma makes of a product with one of its matrices replaced."""
    monkeypatch.setattr(strassen, name, matrix)
    ((_, made),) = strassen.strassen(1, least=4)(normal_form(written(MULTIPLIED)))
    return normal_form(made)


@pytest.mark.parametrize("name", ["LEFT", "RIGHT", "RESULT"])
def test_a_wrong_sign_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any of the seven products, and in how the results are made of them."""
    source, right = normal_form(written(MULTIPLIED)), getattr(strassen, name)
    assert verify_equal(source, multiplied(monkeypatch, name, right)).equal
    for row, signs in enumerate(right):
        for column, sign in enumerate(signs):
            if not sign or sum(map(abs, signs)) == 1:
                continue  # a sum needs one term that is added
            turned = [list(each) for each in right]
            turned[row][column] = -sign
            if max(turned[row]) < 1:
                continue
            other = multiplied(monkeypatch, name, tuple(map(tuple, turned)))
            assert verify_equal(source, other).equal is False, (row, column)


@pytest.mark.parametrize("name", ["LEFT", "RIGHT", "RESULT"])
def test_a_missing_term_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source, right = normal_form(written(MULTIPLIED)), getattr(strassen, name)
    for row, signs in enumerate(right):
        for column, sign in enumerate(signs):
            left_out = [list(each) for each in right]
            left_out[row][column] = 0
            if sign and max(left_out[row]) > 0:
                other = multiplied(monkeypatch, name, tuple(map(tuple, left_out)))
                assert verify_equal(source, other).equal is False, (row, column)


def moved_by_one(program: Program) -> Iterator[Program]:
    """The program with one position of one read moved by one: among them each place where a tile begins or lies."""
    for place, statement in enumerate(program.body):
        assert isinstance(statement, Definition)
        for node in postorder(statement.body):
            for axis in range(len(node.index) if isinstance(node, Read) else 0):
                for step in (1, -1):
                    body = rewrite(statement.body, _mover(node, axis, step))
                    made = Definition(statement.tensor, statement.iters, body)
                    yield with_statement(program, place, (made,))


def _mover(read: Expr, axis: int, step: int) -> Callable[[Expr], Expr | None]:
    def rule(node: Expr) -> Expr | None:
        if node is not read or not isinstance(node, Read):
            return None
        index = tuple(i + step if n == axis else i for n, i in enumerate(node.index))
        return Read(node.tensor, index, node.otherwise)

    return rule


@pytest.mark.parametrize("lemma", [*ALGORITHMS, "Strassen"])
def test_a_tile_that_is_off_by_one_is_caught(lemma: str) -> None:
    if lemma == "Strassen":
        source = normal_form(written(MULTIPLIED))
        ((_, made),) = strassen.strassen(1, least=4)(source)
        made = normal_form(made)
    else:
        source = normal_form(written(SOURCES[lemma]))
        made = convolved(source, ALGORITHMS[lemma])
    tried = 0
    for other in moved_by_one(made):
        tried += 1
        assert verify_equal(source, other).equal is False, other
    assert tried > 20
