"""True values of the elementary functions, sample points, and errors in units in the last place.

f32 functions are judged against float64, f64 functions against x87 extended precision (mpmath where
the platform's long double is no wider than double, and for what NumPy lacks).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

Array = Any


def _erf_family(name: str) -> Callable[[Array], Array]:
    def apply(x: Array) -> Array:
        if x.dtype == np.float64:
            return getattr(scipy.special, name)(x)
        import mpmath

        function = getattr(mpmath, name)
        with mpmath.workdps(25):
            values = [_extended(function(_exact(v))) for v in np.clip(x, -1e3, 1e3)]
            return np.where(x == 0, x, values) if name == "erf" else np.array(values)

    return apply


def _exact(value: np.longdouble) -> Any:
    import mpmath

    high = float(value)
    return mpmath.mpf(high) + float(value - high) if math.isfinite(high) else mpmath.mpf(high)


def _extended(value: Any) -> np.longdouble:
    """Scaled, for the parts of small values would underflow."""
    if not 0 < abs(value) < 1e-200:
        high = float(value)
        return np.longdouble(high) + np.longdouble(float(value - high))
    value = value * 2**1000
    high = float(value)
    return (np.longdouble(high) + np.longdouble(float(value - high))) * np.longdouble(2) ** -1000


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _gelu(x: Array) -> Array:
    half = np.asarray(0.5, x.dtype)
    root = np.sqrt(half)
    return np.where(x == -np.inf, 0.0, half * x * _erf_family("erfc")(-x * root))


def _gelu_tanh(x: Array) -> Array:
    scale = np.sqrt(8 / np.asarray(np.pi, x.dtype) if x.dtype == np.float64 else 8 / PI_EXTENDED)
    return np.where(
        x == -np.inf, -0.0, x * _sigmoid(scale * (x + np.asarray(44715, x.dtype) / 1000000 * x**3))
    )


PI_EXTENDED = np.longdouble("3.14159265358979323846264338327950288")

REFERENCES: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "erf": _erf_family("erf"),
    "erfc": _erf_family("erfc"),
    "sigmoid": _sigmoid,
    "silu": lambda x: np.where(x == -np.inf, -0.0, x * _sigmoid(x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "pow": np.power,
    "atan2": np.arctan2,
}

# Where a function is neither constant nor out of range, for dense sampling.
INTERVALS = {
    "exp": (-104, 89.5), "exp2": (-151, 129), "expm1": (-20, 89.5), "sinh": (-90, 90),
    "cosh": (-90, 90), "tanh": (-10, 10), "erf": (-4.2, 4.2), "erfc": (-4.2, 10.5),
    "sigmoid": (-104, 20), "silu": (-108, 20), "softplus": (-104, 20), "gelu": (-14.5, 10),
    "gelu_tanh": (-11, 10), "asin": (-1, 1), "acos": (-1, 1), "log1p": (-1, 3),
    "log": (0, 3), "log2": (0, 3), "sin": (-100, 100), "cos": (-100, 100), "tan": (-100, 100),
    "atan": (-20, 20), "rsqrt": (0, 4),
}  # fmt: skip
F64_SCALE = {"exp": 7.2, "exp2": 7.2, "expm1": 7.95, "sinh": 7.95, "cosh": 7.95, "sigmoid": 7.2,
             "silu": 7.2, "softplus": 7.2, "tanh": 2.1, "erf": 1.5, "erfc": 2.65, "gelu": 2.65,
             "gelu_tanh": 2.1}  # fmt: skip

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, math.inf, -math.inf, math.nan]  # fmt: skip


def special_values(dtype: Any) -> Array:
    """Zeros, units, infinities, NaN, the ends of the normal and denormal ranges, with both signs."""
    info = np.finfo(dtype)
    normal = [info.max, info.tiny, info.eps, 1 - info.epsneg, 1 + info.eps]
    ends = np.array([*normal, info.smallest_subnormal, info.tiny * 0.5], dtype)
    return np.concatenate([np.array(SPECIAL, dtype), ends, -ends])


def bit_patterns(dtype: Any, count: int, rng: np.random.Generator) -> Array:
    """Random bits: every exponent is as likely as any other, NaN and denormals included."""
    width = np.dtype(dtype).itemsize
    return rng.integers(0, 256, (count, width), np.uint8).view(dtype)[:, 0]


def samples(name: str, dtype: Any, count: int, seed: int = 0) -> Array:
    """Special values, random bit patterns, and the interesting interval, evenly and near zero."""
    rng = np.random.default_rng(seed)
    patterns = bit_patterns(dtype, count // 3, rng)
    low, high = INTERVALS.get(name, (-10, 10))
    scale = F64_SCALE.get(name, 1) if dtype == np.float64 else 1
    dense = rng.uniform(low * scale, high * scale, count // 3).astype(dtype)
    small = (rng.uniform(-1, 1, count // 3) * 2.0 ** rng.uniform(-30, 5, count // 3)).astype(dtype)
    return np.concatenate([special_values(dtype), patterns, dense, small])


def wider(x: Array) -> Array:
    return x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)


def true_value(name: str, *args: Array) -> Array:
    """The function in the next wider type."""
    with np.errstate(all="ignore"):
        return REFERENCES[name](*map(wider, args))


def ulp_error(result: Array, truth: Array) -> Array:
    """|result - truth| in units in the last place of the result's type at the truth.

    0 where both are NaN or the same infinity; infinite where only one is.
    """
    dtype = result.dtype
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        rounded = truth.astype(dtype)
        _, exponent = np.frexp(truth)
        exponent = np.maximum(exponent, info.minexp + 1)
        unit = np.ldexp(np.ones_like(truth), exponent - 1 - info.nmant)
        error = np.abs(result.astype(truth.dtype) - truth) / unit
    same = (result == rounded) & ~np.isfinite(rounded) | (np.isnan(result) & np.isnan(truth))
    # A result just below the overflow threshold may round either way.
    both = np.isfinite(result) & np.isfinite(truth)
    border = (
        np.isinf(result) & (np.abs(truth) >= float(info.max)) & (np.sign(result) == np.sign(truth))
    )
    return np.where(same | border, 0.0, np.where(both, error, np.inf)).astype(np.float64)


def argument_samples(name: str, dtype: Any, count: int, seed: int = 0) -> tuple[Array, ...]:
    """Arguments of a function of one or two operands; pairs include all pairs of special values."""
    if name not in BINARY:
        return (samples(name, dtype, count, seed),)
    special = special_values(dtype)
    left, right = (a.ravel() for a in np.meshgrid(special, special))
    rng = np.random.default_rng(seed)
    base = samples("", dtype, count // 2, seed)
    other = rng.permutation(samples("", dtype, count // 2, seed + 1))
    if name == "pow":
        # Exponents for which x**y is neither 0 nor infinite, and small whole ones.
        x = np.abs(2.0 ** rng.uniform(-20, 20, count // 2)).astype(dtype)
        x[::2] = rng.uniform(0.5, 2, len(x[::2])).astype(dtype)
        with np.errstate(all="ignore"):
            limit = np.finfo(dtype).maxexp * 1.1 / np.log2(x.astype(np.float64))
        y = (rng.uniform(-1, 1, len(x)) * np.clip(np.abs(limit), 0, 1e30)).astype(dtype)
        whole = rng.uniform(-40, 40, len(x)).astype(int)
        x, y = np.concatenate([x, -x]), np.concatenate([y, whole.astype(dtype)])
        return np.concatenate([left, base, x]), np.concatenate([right, other, y])
    return np.concatenate([left, base]), np.concatenate([right, other])


BINARY = {"pow", "atan2"}
