"""Integer polynomials evaluated on NumPy arrays: indices over a whole iteration grid at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tcomp.ir.integer import Atom, FloorDiv, Int, Min, Mod

IndexArray: TypeAlias = Any  # an int, or an int64 array that broadcasts against the grid


def evaluate(index: Int, leaf: Callable[[Atom], IndexArray]) -> IndexArray:
    """The values of `index`, where `leaf` gives those of iterators, sizes and tensor values.

    Arithmetic is that of i64. A quotient or remainder by zero raises ZeroDivisionError.
    """
    total: IndexArray = index.constant
    for monomial, factor in index.terms:
        term: IndexArray = factor
        for atom in monomial:
            term = term * _atom(atom, leaf)
        total = total + term
    return total


def _atom(atom: Atom, leaf: Callable[[Atom], IndexArray]) -> IndexArray:
    if not isinstance(atom, FloorDiv | Mod | Min):
        return leaf(atom)
    left, right = evaluate(atom.left, leaf), evaluate(atom.right, leaf)
    if isinstance(atom, Min):
        return np.minimum(left, right)
    if np.any(np.equal(right, 0)):
        raise ZeroDivisionError("division by zero in an index")
    return left // right if isinstance(atom, FloorDiv) else left % right
