"""Winograd's convolution F(m x m, 3 x 3) as program text (Lavin and Gray, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Matrix: TypeAlias = list[list[float]]

TRANSFORMS: dict[int, tuple[Matrix, Matrix, Matrix]] = {  # of the input, the filter, the output
    2: (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, -1]],
    ),
    4: (
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    ),
}


def direct(m: int) -> str:
    """The convolution of T x T tiles of m x m outputs; `one` only binds T."""
    return _head(m) + "    Y[o, y, x] = sum[c, r, s](I[c, y + r, x + s] * F[o, c, r, s])\n"


def winograd(m: int) -> str:
    """The same by transforms: each product of (m + 2)^2 is a matrix product over channels."""
    of_input, of_filter, of_output = TRANSFORMS[m]
    lines, points = [], range(m + 2)
    for i in points:
        for j in points:
            data = _outer(of_input, i, j, lambda a, b: f"I[c, {m}*t + {a}, {m}*u + {b}]")
            weights = _outer(of_filter, i, j, lambda a, b: f"F[o, c, {a}, {b}]")
            lines += [
                f"d{i}{j}[c, t in 0:T, u in 0:T] = {data}",
                f"g{i}{j}[o, c] = {weights}",
                f"p{i}{j}[o, t, u] = sum[c](d{i}{j}[c, t, u] * g{i}{j}[o, c])",
            ]
    value = "0.0"
    for i in range(m):
        for j in range(m):
            part = _outer(of_output, i, j, lambda a, b: f"p{a}{b}[o, y//{m}, x//{m}]")
            value = f"where(y%{m} == {i} and x%{m} == {j}, {part}, {value})"
    return _head(m) + "".join(f"    {x}\n" for x in [*lines, f"Y[o, y, x] = {value}"])


def _head(m: int) -> str:
    side = f"{m}*T"
    return (
        f"def f(one: f32[T], I: f32[C, {side} + 2, {side} + 2], F: f32[O, C, 3, 3])"
        f" -> Y: f32[O, {side}, {side}]:\n"
    )


def _outer(matrix: Matrix, i: int, j: int, term: Callable[[int, int], str]) -> str:
    """Row i times row j, over the terms they select."""
    size = range(len(matrix[0]))
    terms = [
        f"({float(matrix[i][a] * matrix[j][b])!r})*{term(a, b)}"
        for a in size
        for b in size
        if matrix[i][a] * matrix[j][b]
    ]
    return " + ".join(terms)
