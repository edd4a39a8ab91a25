"""opt_einsum's contraction cases: its equations, its random operands, NumPy's einsum as the reference."""

from __future__ import annotations

import numpy as np
import pytest

import tcomp

contractions = pytest.importorskip("opt_einsum.tests.test_contract").tests
matrix_products = pytest.importorskip("opt_einsum.tests.test_blas").blas_tests
testing = pytest.importorskip("opt_einsum.testing")

EQUATIONS = sorted(
    {*contractions, *(f"{','.join(inputs)}->{out}" for (inputs, out, _), _ in matrix_products)}
)


def compare(equation, arrays):
    """f64 sums in another order agree to a few ULP of the sum of magnitudes."""
    wanted = np.einsum(equation, *arrays)
    scale = np.max(np.einsum(equation, *map(np.abs, arrays)), initial=0.0)
    got = tcomp.einsum(equation, *arrays)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-13 * max(float(scale), 1e-300))


@pytest.mark.parametrize("equation", EQUATIONS)
def test_contraction(equation):
    np.random.seed(0)
    compare(equation, testing.build_views(equation))


@pytest.mark.parametrize("seed", range(10))
def test_random_contraction(seed):
    equation, shapes = testing.rand_equation(5, 4, n_out=2, d_min=2, d_max=4, seed=seed)[:2]
    rng = np.random.default_rng(seed)
    compare(equation, [rng.standard_normal(s) for s in shapes])
