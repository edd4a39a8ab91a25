"""What generated NumPy code calls beside NumPy itself."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def window(
    array: Array, offset: tuple[int, ...], axes: tuple[tuple[int, tuple[int, ...]], ...]
) -> Array:
    """A view whose element x is array[offset + sum of x_a * steps_a], for axes (extent, steps)."""
    if any(extent == 0 for extent, _ in axes):
        return np.empty([extent for extent, _ in axes], array.dtype)
    start = array[tuple(slice(o, None) for o in offset)]
    strides = [sum(n * s for n, s in zip(step, array.strides, strict=True)) for _, step in axes]
    shape = [extent for extent, _ in axes]
    return np.lib.stride_tricks.as_strided(start, shape, strides, writeable=False)


def scatter_add(positions: Array, values: Array, size: int, dtype: Any) -> Array:
    """out[p] = sum of the values whose position is p; positions outside [0, size) are dropped."""
    inside = (positions >= 0) & (positions < size)
    if not inside.all():
        positions, values = positions[inside], values[inside]
    if values.ndim == 1:
        return np.bincount(positions, weights=values, minlength=size).astype(dtype)
    out = np.zeros((size, *values.shape[1:]), dtype)
    np.add.at(out, positions, values)
    return out


def erf(x: Array) -> Array:
    """SciPy's where it is installed, else a rational approximation (Abramowitz and Stegun 7.1.26)."""
    if _scipy_special is not None:
        return _scipy_special.erf(x)
    t = 1 / (1 + 0.3275911 * np.abs(x))
    coefficients = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    series = np.zeros_like(t)
    for c in coefficients:
        series = (series + x.dtype.type(c)) * t
    return np.copysign(1 - series * np.exp(-x * x), x)


def erfc(x: Array) -> Array:
    """The complement of `erf`."""
    return _scipy_special.erfc(x) if _scipy_special is not None else 1 - erf(x)


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + erf(x * np.asarray(x).dtype.type(0.5**0.5)))


def gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x * x * x)))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


def _find_scipy_special() -> Any:
    try:
        import scipy.special
    except ImportError:
        return None
    return scipy.special


_scipy_special = _find_scipy_special()
FUNCTIONS = (window, scatter_add, erf, erfc, sigmoid, gelu, gelu_tanh, silu, softplus)
