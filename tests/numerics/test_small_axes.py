"""Sums over and along axes shorter than a vector: the loop interpreter checks every access."""

from __future__ import annotations

import numpy as np
import pytest

from tcomp.ir.loop.interpreter import interpret
from tcomp.options import options_from
from tcomp.pipeline import build
from tcomp.subscripts import parse_equation, program_of


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "float64"])
@pytest.mark.parametrize("equation", ["abi->ab", "abi,i->ab", "abi->i", "aib->ab", "abi,abi->"])
@pytest.mark.parametrize("b", [1, 3, 5])
def test_short_axes(dtype, equation, b):
    rng = np.random.default_rng(0)
    for i in (1, 2, 5, 7, 9):
        sizes = {"a": 2, "b": b, "i": i}
        terms = equation.split("->")[0].split(",")
        arrays = [rng.integers(-3, 4, [sizes[x] for x in t]).astype(dtype) for t in terms]
        parsed = parse_equation(equation, tuple(a.ndim for a in arrays))
        program = program_of(parsed, np.dtype(dtype), tuple(a.shape for a in arrays))
        out = np.zeros(tuple(int(e) for e in program.results[0].shape), dtype)
        assert interpret(build(program, options_from()).loops, [*arrays, out]) == 0
        np.testing.assert_array_equal(out, np.einsum(equation, *arrays))
