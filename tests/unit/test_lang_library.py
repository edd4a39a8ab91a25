"""The standard library against NumPy and SciPy. Every def of it occurs in a test."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.special as special
from lang_run import integers, normal, run_batched, run_library

from tcomp.lang.library import library_def, library_index

x7, y7 = normal(7), normal(7, seed=1)
A34, B45, M33 = normal(3, 4), normal(4, 5, seed=1), normal(3, 3, seed=2)
IMAGE = normal(3, 6, 7, seed=3)
IMAGES = normal(2, 4, 7, 6, seed=4)


def f(a: Any) -> Any:
    return np.asarray(a, np.float64)


def softmax(a: Any) -> Any:
    return special.softmax(f(a), axis=-1)


def gelu(a: Any) -> Any:
    return 0.5 * f(a) * (1 + special.erf(f(a) / math.sqrt(2)))


def norm_axes(a: Any, axes: Any, eps: float = 1e-5) -> Any:
    a = f(a)
    return (a - a.mean(axes, keepdims=True)) / np.sqrt(a.var(axes, keepdims=True) + eps)


def interp(image: Any, out: int, axis: int) -> Any:
    """Linear interpolation along an axis with half-pixel centres and repeated borders."""
    size = image.shape[axis]
    at = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    return np.apply_along_axis(lambda v: np.interp(at, np.arange(size), v), axis, f(image))


def interp_aligned(image: Any, out: int, axis: int) -> Any:
    size = image.shape[axis]
    at = np.linspace(0, size - 1, out)
    return np.apply_along_axis(lambda v: np.interp(at, np.arange(size), v), axis, f(image))


def scan(step: Callable[[Any, Any], Any], values: Any) -> Any:
    out = [f(values)[0]]
    for v in f(values)[1:]:
        out.append(step(out[-1], v))
    return np.array(out)


def rotary(a: Any, base: float = 10000.0) -> Any:
    s, d = a.shape
    half = d // 2
    angle = np.arange(s)[:, None] * base ** (-2.0 * np.arange(half) / d)
    turned = (f(a)[:, :half] + 1j * f(a)[:, half:]) * np.exp(1j * angle)
    return np.concatenate([turned.real, turned.imag], -1)


def positions(a: Any, base: float = 10000.0) -> Any:
    s, d = a.shape
    out = f(a).copy()
    for p in range(s):
        for k in range(d):
            angle = p * base ** (-2.0 * (k // 2) / d)
            out[p, k] += math.sin(angle) if k % 2 == 0 else math.cos(angle)
    return out


def attend(q: Any, k: Any, v: Any, seen: Any = None) -> Any:
    logits = f(q) @ np.swapaxes(f(k), -1, -2) * q.shape[-1] ** -0.5
    return softmax(logits if seen is None else np.where(seen, logits, -np.inf)) @ f(v)


def lrn(a: Any, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    padded = np.pad(f(a) ** 2, ((size // 2, size // 2), (0, 0), (0, 0)))
    total = sum(padded[d : d + a.shape[0]] for d in range(size))
    return f(a) / (k + alpha * total / size) ** beta


ids5 = np.array([2, 0, 2, 1, 0], np.int32)
Q, K, V = normal(4, 6), normal(4, 6, seed=1), normal(4, 6, seed=2)
POSITIVE = np.abs(normal(7, seed=5)) + 0.1
PROBABLE = POSITIVE / POSITIVE.sum()
S, T = np.arange(4)[:, None], np.arange(4)[None, :]
GAMMA, BETA = normal(3, seed=6), normal(3, seed=7)

# name, arguments, parameters, sizes, expected
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], dict[str, int], Any]] = [
    ("dot", (x7, y7), {}, {}, f(x7) @ y7),
    ("outer", (x7, y7), {}, {}, np.outer(f(x7), y7)),
    ("matvec", (A34, normal(4)), {}, {}, f(A34) @ normal(4)),
    ("matmul", (A34, B45), {}, {}, f(A34) @ B45),
    ("batch_matmul", (normal(2, 3, 4), normal(2, 4, 5)), {}, {}, f(normal(2, 3, 4)) @ normal(2, 4, 5)),
    ("matmul_nt", (A34, B45.T.copy()), {}, {}, f(A34) @ B45),
    ("matmul_tn", (A34.T.copy(), B45), {}, {}, f(A34) @ B45),
    ("matmul_int", (integers(3, 4, dtype=np.int16), integers(4, 5, seed=1, dtype=np.int16)), {}, {},
     integers(3, 4) @ integers(4, 5, seed=1)),
    ("matmul_i8", (integers(3, 4, low=-128, high=128, dtype=np.int8), integers(4, 5, dtype=np.int8)), {}, {},
     integers(3, 4, low=-128, high=128, dtype=np.int8).astype(int) @ integers(4, 5)),
    ("matmul_u8i8", (integers(3, 4, low=0, high=256, dtype=np.uint8), integers(4, 5, dtype=np.int8)), {}, {},
     integers(3, 4, low=0, high=256, dtype=np.uint8).astype(int) @ integers(4, 5)),
    ("linear", (normal(4), B45.T.copy(), normal(5)), {}, {}, f(normal(4)) @ B45 + normal(5)),
    ("linear_no_bias", (normal(4), B45.T.copy()), {}, {}, f(normal(4)) @ B45),
    ("bilinear", (normal(3), normal(2, 3, 4), normal(4), normal(2)), {}, {},
     np.einsum("i,oij,j->o", f(normal(3)), normal(2, 3, 4), normal(4)) + normal(2)),
    ("kron", (A34, M33), {}, {}, np.kron(f(A34), M33)),
    ("trace", (M33,), {}, {}, np.trace(f(M33))),
    ("quadratic_form", (normal(3), M33), {}, {}, f(normal(3)) @ M33 @ normal(3)),
    ("gram", (A34,), {}, {}, f(A34).T @ A34),
    ("cross", (normal(3), normal(3, seed=1)), {}, {}, np.cross(f(normal(3)), normal(3, seed=1))),
    ("squared_distances", (A34, normal(5, 4)), {}, {},
     ((f(A34)[:, None] - normal(5, 4)[None]) ** 2).sum(-1)),
    ("cosine_similarity", (x7, y7), {}, {},
     f(x7) @ y7 / (np.linalg.norm(f(x7)) * np.linalg.norm(f(y7)))),
    ("softmax", (x7,), {}, {}, softmax(x7)),
    ("log_softmax", (x7,), {}, {}, special.log_softmax(f(x7))),
    ("softmin", (x7,), {}, {}, softmax(-f(x7))),
    ("logsumexp", (x7,), {}, {}, special.logsumexp(f(x7))),
    ("layer_norm", (x7, y7, x7), {}, {}, norm_axes(x7, -1, float(np.float32(1e-5))) * y7 + x7),
    ("layer_norm_plain", (x7,), {"eps": 0.25}, {}, norm_axes(x7, -1, 0.25)),
    ("rms_norm", (x7, y7), {"eps": 0.25}, {}, f(x7) / np.sqrt((f(x7) ** 2).mean() + 0.25) * y7),
    ("batch_norm", (IMAGE, GAMMA, np.abs(BETA), BETA, GAMMA), {"eps": 0.5}, {},
     (f(IMAGE) - GAMMA[:, None, None]) / np.sqrt(np.abs(f(BETA)) + 0.5)[:, None, None]
     * BETA[:, None, None] + GAMMA[:, None, None]),
    ("instance_norm", (IMAGE, GAMMA, BETA), {"eps": 0.5}, {},
     norm_axes(IMAGE, (1, 2), 0.5) * GAMMA[:, None, None] + BETA[:, None, None]),
    ("group_norm", (IMAGES[0], normal(4), normal(4, seed=1)), {"groups": 2, "eps": 0.5}, {},
     norm_axes(IMAGES[0].reshape(2, -1), -1, 0.5).reshape(4, 7, 6) * normal(4)[:, None, None]
     + normal(4, seed=1)[:, None, None]),
    ("local_response_norm", (IMAGES[0],), {"alpha": 0.5, "k": 2.0}, {}, lrn(IMAGES[0], alpha=0.5, k=2.0)),
    ("l1_norm", (x7,), {}, {}, np.abs(f(x7)).sum()),
    ("l2_norm", (x7,), {}, {}, np.linalg.norm(f(x7))),
    ("max_norm", (x7,), {}, {}, np.abs(x7).max()),
    ("frobenius_norm", (A34,), {}, {}, np.linalg.norm(f(A34))),
    ("l2_normalize", (x7,), {}, {}, f(x7) / np.linalg.norm(f(x7))),
    ("l1_normalize", (x7,), {}, {}, f(x7) / np.abs(f(x7)).sum()),
    ("variance", (x7,), {"ddof": 1}, {}, f(x7).var(ddof=1)),
    ("standard_deviation", (x7,), {}, {}, f(x7).std()),
    ("covariance", (A34,), {}, {}, np.cov(f(A34), rowvar=False)),
    ("standardize", (x7,), {}, {}, norm_axes(x7, -1, 0.0)),
    ("rotary_embedding", (Q,), {}, {}, rotary(Q)),
    ("positional_encoding", (normal(4, 5),), {}, {}, positions(normal(4, 5))),
    ("embedding", (A34, np.int32(2)), {}, {}, A34[2]),
    ("embedding_bag", (A34, ids5), {}, {}, f(A34)[ids5].mean(0)),
    ("swiglu", (x7, y7), {}, {}, f(x7) * y7 * special.expit(f(y7))),
    ("geglu", (x7, y7), {}, {}, f(x7) * gelu(y7)),
    ("alibi", (normal(2, 3, 4),), {}, {},
     f(normal(2, 3, 4)) + np.array([2.0**-4, 2.0**-8])[:, None, None]
     * (np.arange(4)[None, :] - np.arange(3)[:, None] - 1)),
    ("attention", (Q, K, V), {}, {}, attend(Q, K, V)),
    ("causal_attention", (Q, K, V), {}, {}, attend(Q, K, V, T <= S)),
    ("masked_attention", (Q, K, V, S != T), {}, {}, attend(Q, K, V, S != T)),
    ("sliding_window_attention", (Q, K, V), {"window": 2}, {}, attend(Q, K, V, (T <= S) & (S - T < 2))),
    ("grouped_query_attention", (normal(2, 3, 4, 6), normal(2, 4, 6), normal(2, 4, 5)), {}, {},
     attend(normal(2, 3, 4, 6), normal(2, 4, 6)[:, None], normal(2, 4, 5)[:, None])),
    ("transpose", (integers(3, 4, dtype=np.int8),), {}, {}, integers(3, 4).T),
    ("flip", (x7,), {}, {}, x7[::-1]),
    ("flip2d", (A34,), {}, {}, A34[::-1, ::-1]),
    ("roll", (x7,), {"shift": -2}, {}, np.roll(x7, -2)),
    ("roll2d", (A34,), {"shift0": 2, "shift1": 3}, {}, np.roll(A34, (2, 3), (0, 1))),
    ("pad1d", (x7,), {"before": 2, "after": 1, "value": 3}, {}, np.pad(x7, (2, 1), constant_values=3)),
    ("pad2d", (A34,), {"top": 1, "left": 2, "right": 3}, {}, np.pad(A34, ((1, 0), (2, 3)))),
    ("pad2d_edge", (A34,), {"top": 1, "left": 2, "bottom": 3}, {}, np.pad(A34, ((1, 3), (2, 0)), "edge")),
    ("concat1d", (x7, normal(3)), {}, {}, np.concatenate([x7, normal(3)])),
    ("concat_rows", (A34, normal(2, 4)), {}, {}, np.concatenate([A34, normal(2, 4)])),
    ("concat_columns", (A34, M33), {}, {}, np.concatenate([A34, M33], 1)),
    ("stack", (x7, y7), {}, {}, np.stack([x7, y7])),
    ("tile1d", (x7,), {"times": 3}, {}, np.tile(x7, 3)),
    ("repeat", (x7,), {"times": 3}, {}, np.repeat(x7, 3)),
    ("strided", (x7,), {"start": 1, "step": 3}, {}, x7[1::3]),
    ("flatten", (A34,), {}, {}, A34.ravel()),
    ("diag", (x7,), {}, {}, np.diag(x7)),
    ("diagonal", (M33,), {}, {}, np.diagonal(M33)),
    ("tril", (A34,), {"k": 1}, {}, np.tril(A34, 1)),
    ("triu", (A34,), {"k": -1}, {}, np.triu(A34, -1)),
    ("take", (x7, ids5), {}, {}, x7[ids5]),
    ("take_rows", (A34, ids5), {}, {}, A34[ids5]),
    ("take_along_rows", (A34, integers(3, 2, low=0, high=4)), {}, {},
     np.take_along_axis(A34, integers(3, 2, low=0, high=4), 1)),
    ("segment_sum", (normal(5), ids5), {}, {"B": 4}, np.bincount(ids5, f(normal(5)), minlength=4)),
    ("histogram", (ids5,), {}, {"B": 4}, np.bincount(ids5, minlength=4)),
    ("one_hot", (ids5,), {}, {"C": 4}, np.eye(4)[ids5]),
    ("one_hot_like", (ids5, normal(5, 4)), {}, {}, np.eye(4)[ids5]),
    ("arange", (), {}, {"N": 5}, np.arange(5)),
    ("linspace", (np.float32(-1), np.float32(3)), {}, {"N": 9}, np.linspace(-1, 3, 9)),
    ("eye", (), {}, {"N": 4}, np.eye(4)),
    ("pixel_shuffle", (IMAGES[0],), {}, {},
     IMAGES[0].reshape(1, 2, 2, 7, 6).transpose(0, 3, 1, 4, 2).reshape(1, 14, 12)),
    ("channel_shuffle", (IMAGES[0],), {}, {},
     IMAGES[0].reshape(2, 2, 7, 6).transpose(1, 0, 2, 3).reshape(4, 7, 6)),
    ("space_to_depth", (IMAGES[0][:, :6],), {}, {},
     IMAGES[0][:, :6].reshape(4, 3, 2, 3, 2).transpose(0, 2, 4, 1, 3).reshape(16, 3, 3)),
    ("sum_last", (x7,), {}, {}, f(x7).sum()),
    ("mean_last", (x7,), {}, {}, f(x7).mean()),
    ("prod_last", (x7,), {}, {}, f(x7).prod()),
    ("max_last", (x7,), {}, {}, x7.max()),
    ("min_last", (x7,), {}, {}, x7.min()),
    ("argmax_last", (x7,), {}, {}, x7.argmax()),
    ("argmin_last", (x7,), {}, {}, x7.argmin()),
    ("count_nonzero", (np.maximum(x7, 0),), {}, {}, np.count_nonzero(np.maximum(x7, 0))),
    ("cumsum", (x7,), {}, {}, f(x7).cumsum()),
    ("cumprod", (x7,), {}, {}, f(x7).cumprod()),
    ("cummax", (x7,), {}, {}, np.maximum.accumulate(x7)),
    ("cummin", (x7,), {}, {}, np.minimum.accumulate(x7)),
    ("cumsum_int", (integers(6, dtype=np.int8),), {}, {}, integers(6).cumsum()),
    ("diff", (x7,), {}, {}, np.diff(f(x7))),
    ("linear_recurrence", (x7, y7), {}, {},
     np.array([sum(f(y7)[s] * f(x7)[s + 1 : t + 1].prod() for s in range(t + 1)) for t in range(7)])),
    ("exponential_average", (x7,), {"alpha": 0.25}, {}, scan(lambda h, v: 0.75 * h + 0.25 * v, x7)),
    ("moving_average", (x7,), {}, {}, np.convolve(f(x7), np.ones(3) / 3, "valid")),
    ("mse_loss", (x7, y7), {}, {}, ((f(x7) - y7) ** 2).mean()),
    ("mae_loss", (x7, y7), {}, {}, np.abs(f(x7) - y7).mean()),
    ("huber_loss", (x7, y7), {"delta": 0.5}, {}, special.huber(0.5, f(x7) - y7).mean()),
    ("cross_entropy", (normal(5, 4), ids5), {}, {},
     -special.log_softmax(f(normal(5, 4)), axis=-1)[np.arange(5), ids5].mean()),
    ("cross_entropy_soft", (A34, softmax(M33 @ A34).astype(np.float32)), {}, {},
     -(special.log_softmax(f(A34), axis=-1) * softmax(M33 @ A34).astype(np.float32)).sum(-1).mean()),
    ("binary_cross_entropy", (x7, PROBABLE), {}, {},
     -(PROBABLE * special.log_expit(f(x7)) + (1 - f(PROBABLE)) * special.log_expit(-f(x7))).mean()),
    ("kl_divergence", (PROBABLE, POSITIVE), {}, {}, (f(PROBABLE) * np.log(f(PROBABLE) / POSITIVE)).sum()),
    ("hinge_loss", (x7, np.sign(y7)), {}, {}, np.maximum(1 - f(x7) * np.sign(y7), 0).mean()),
    ("leaky_relu", (A34,), {"slope": 0.25}, {}, np.where(A34 >= 0, A34, 0.25 * f(A34))),
    ("prelu", (x7, y7), {}, {}, np.where(x7 >= 0, x7, f(y7) * x7)),
    ("elu", (A34,), {"alpha": 0.5}, {}, np.where(A34 > 0, A34, 0.5 * np.expm1(f(A34)))),
    ("selu", (A34,), {}, {},
     1.0507009873554805 * np.where(A34 > 0, A34, 1.6732632423543772 * np.expm1(f(A34)))),
    ("celu", (A34,), {"alpha": 0.5}, {}, np.where(A34 > 0, A34, 0.5 * np.expm1(f(A34) / 0.5))),
    ("relu6", (A34 * 9,), {}, {}, np.clip(f(A34 * 9), 0, 6)),
    ("hard_sigmoid", (A34 * 3,), {}, {}, np.clip(f(A34 * 3) / 6 + 0.5, 0, 1)),
    ("hard_swish", (A34,), {}, {}, f(A34) * np.clip(f(A34) / 6 + 0.5, 0, 1)),
    ("hard_tanh", (A34,), {}, {}, np.clip(f(A34), -1, 1)),
    ("gelu_quick", (A34,), {}, {}, f(A34) * special.expit(1.702 * f(A34))),
    ("mish", (A34,), {}, {}, f(A34) * np.tanh(np.log1p(np.exp(f(A34))))),
    ("softsign", (A34,), {}, {}, f(A34) / (1 + np.abs(f(A34)))),
    ("log_sigmoid", (A34,), {}, {}, special.log_expit(f(A34))),
    ("squared_relu", (A34,), {}, {}, np.maximum(f(A34), 0) ** 2),
    ("threshold", (A34,), {"at": 0.5, "value": -1}, {}, np.where(A34 > 0.5, A34, -1)),
    ("upsample_nearest", (IMAGE,), {"scale": 3}, {}, IMAGE.repeat(3, 1).repeat(3, 2)),
    ("resize_nearest", (A34,), {}, {"P": 5, "Q": 3},
     A34[np.ix_(np.arange(5) * 3 // 5, np.arange(3) * 4 // 3)]),
    ("resize_bilinear", (A34,), {}, {"P": 5, "Q": 9}, interp(interp(A34, 5, 0), 9, 1)),
    ("resize_bilinear_aligned", (A34,), {}, {"P": 5, "Q": 1},
     interp_aligned(interp_aligned(A34, 5, 0), 1, 1)),
    ("box_blur", (A34,), {}, {}, scipy.signal.convolve2d(f(A34), np.ones((3, 3)) / 9, "same")),
    ("filter2d", (A34, M33), {}, {}, scipy.signal.correlate2d(f(A34), f(M33), "same")),
    ("grayscale", (IMAGE,), {}, {}, np.tensordot(f(np.float32([0.299, 0.587, 0.114])), f(IMAGE), 1)),
    ("crop", (A34,), {"top": 1, "left": 2, "height": 2, "width": 1}, {}, A34[1:3, 2:3]),
    ("global_avg_pool2d", (IMAGE,), {}, {}, f(IMAGE).mean((1, 2))),
    ("global_max_pool2d", (IMAGE,), {}, {}, IMAGE.max((1, 2))),
    ("global_avg_pool1d", (A34,), {}, {}, f(A34).mean(1)),
    ("global_max_pool1d", (A34,), {}, {}, A34.max(1)),
]  # fmt: skip


def is_batched(name: str, arguments: tuple[Any, ...]) -> bool:
    """True where the first argument has more axes than the def declares."""
    declared = library_def(name).inputs
    return bool(declared) and np.ndim(arguments[0]) > len(getattr(declared[0].type, "items", ()))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_library(case: tuple[Any, ...]) -> None:
    name, arguments, params, sizes, want = case
    if is_batched(name, arguments):
        got = run_batched(name, np.shape(want), *arguments, **params)
    else:
        got = run_library(name, *arguments, sizes=sizes, **params)
    # Literals, rounded to f32, are all that is not exact here.
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6)


def test_jacobi() -> None:
    want = f(A34).copy()
    want[1:-1, 1:-1] = (f(A34)[:-2, 1:-1] + A34[2:, 1:-1] + A34[1:-1, :-2] + A34[1:-1, 2:]) / 4
    np.testing.assert_allclose(run_library("jacobi", A34), want)


def test_batch_norm_train() -> None:
    gamma, beta = normal(4), normal(4, seed=1)
    y, mean, var = run_library("batch_norm_train", IMAGES, gamma, beta, eps=0.5)
    np.testing.assert_allclose(mean, f(IMAGES).mean((0, 2, 3)))
    np.testing.assert_allclose(var, f(IMAGES).var((0, 2, 3)))
    want = norm_axes(IMAGES, (0, 2, 3), 0.5) * gamma[:, None, None] + beta[:, None, None]
    np.testing.assert_allclose(y, want, rtol=1e-6, atol=1e-7)


# -- convolutions, by correlation with filters whose taps are spread apart ----------------------------------

SPACES = (
    {},
    {"stride": 2, "pad": 1},
    {"pad": 2, "dilation": 2},
    {"stride": 3, "dilation": 2, "pad": 1},
)


def spread(filters: Any, dilation: int) -> Any:
    """Filters with dilation - 1 zeros between their taps."""
    rank = filters.ndim - 2
    shape = [dilation * (n - 1) + 1 for n in filters.shape[2:]]
    out = np.zeros((*filters.shape[:2], *shape))
    out[(..., *(slice(None, None, dilation),) * rank)] = filters
    return out


def correlate(image: Any, filters: Any, stride: int = 1, pad: int = 0, dilation: int = 1) -> Any:
    rank = image.ndim - 2
    padded = np.pad(f(image), [(0, 0), (0, 0)] + [(pad, pad)] * rank)
    taps = spread(filters, dilation)
    every = np.array(
        [[sum(scipy.signal.correlate(c, t, "valid", "direct") for c, t in zip(n, o, strict=True))
          for o in taps] for n in padded]
    )  # fmt: skip
    return every[(..., *(slice(None, None, stride),) * rank)]


def transposed(image: Any, filters: Any, stride: int = 1, pad: int = 0, dilation: int = 1) -> Any:
    """Each input element adds its multiple of the filter to the output."""
    rank = image.ndim - 2
    taps = spread(filters.swapaxes(0, 1), dilation).swapaxes(0, 1)
    shape = [(n - 1) * stride + k for n, k in zip(image.shape[2:], taps.shape[2:], strict=True)]
    out = np.zeros((image.shape[0], taps.shape[1], *shape))
    for at in np.ndindex(*image.shape[2:]):
        where = tuple(
            slice(p * stride, p * stride + k) for p, k in zip(at, taps.shape[2:], strict=True)
        )
        out[(..., *where)] += np.tensordot(f(image)[(..., *at)], taps, 1)
    return out[(..., *(slice(pad, n - pad) for n in shape))] if rank else out


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_convolutions(space: dict[str, int]) -> None:
    for name, image, filters in (
        ("conv1d", normal(2, 3, 11), normal(4, 3, 3, seed=1)),
        ("conv2d", normal(2, 3, 9, 8), normal(4, 3, 3, 2, seed=1)),
        ("conv3d", normal(1, 2, 7, 6, 8), normal(2, 2, 2, 3, 2, seed=1)),
    ):
        want = correlate(image, filters, **space)
        np.testing.assert_allclose(run_library(name, image, filters, **space), want, atol=1e-9)
    image, filters, bias = normal(2, 3, 9, 8), normal(4, 3, 3, 2, seed=1), normal(4)
    want = correlate(image, filters, **space)
    got = run_library("conv2d_bias", image, filters, bias, **space)
    np.testing.assert_allclose(got, want + bias[:, None, None], atol=1e-9)
    last = image.transpose(0, 2, 3, 1).copy()
    got = run_library("conv2d_nhwc", last, filters.transpose(2, 3, 1, 0).copy(), **space)
    np.testing.assert_allclose(got.transpose(0, 3, 1, 2), want, atol=1e-9)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_grouped_and_depthwise(space: dict[str, int]) -> None:
    image, filters = normal(2, 4, 9, 8), normal(6, 2, 3, 2, seed=1)
    parts = [
        correlate(image[:, 2 * g : 2 * g + 2], filters[3 * g : 3 * g + 3], **space) for g in (0, 1)
    ]
    got = run_library("conv2d_grouped", image, filters, groups=2, **space)
    np.testing.assert_allclose(got, np.concatenate(parts, 1), atol=1e-9)
    taps = normal(4, 3, 2, seed=2)
    parts = [correlate(image[:, c : c + 1], taps[c : c + 1, None], **space) for c in range(4)]
    got = run_library("depthwise_conv2d", image, taps, **space)
    np.testing.assert_allclose(got, np.concatenate(parts, 1), atol=1e-9)
    line, taps = normal(2, 3, 11), normal(3, 3, seed=2)
    parts = [correlate(line[:, c : c + 1], taps[c : c + 1, None], **space) for c in range(3)]
    got = run_library("depthwise_conv1d", line, taps, **space)
    np.testing.assert_allclose(got, np.concatenate(parts, 1), atol=1e-9)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_transposed_convolutions(space: dict[str, int]) -> None:
    for name, image, filters in (
        ("conv_transpose1d", normal(2, 3, 5), normal(3, 4, 3, seed=1)),
        ("conv_transpose2d", normal(2, 3, 4, 5), normal(3, 2, 3, 4, seed=1)),
        ("conv_transpose3d", normal(1, 2, 3, 4, 3), normal(2, 2, 3, 3, 4, seed=1)),
    ):
        want = transposed(image, filters, **space)
        np.testing.assert_allclose(run_library(name, image, filters, **space), want, atol=1e-9)


def test_pointwise_and_im2col() -> None:
    filters = normal(5, 4)
    np.testing.assert_allclose(
        run_library("pointwise_conv2d", IMAGES, filters),
        correlate(IMAGES, filters[:, :, None, None]),
    )
    columns = run_library("im2col", IMAGES, size=3, stride=2, pad=1)
    taps = normal(5, 4, 3, 3)
    want = correlate(IMAGES, taps, stride=2, pad=1)
    np.testing.assert_allclose(
        (taps.reshape(5, -1).astype(float) @ columns).reshape(want.shape), want
    )


@pytest.mark.parametrize(("size", "stride", "pad"), [(2, 2, 0), (3, 1, 1), (3, 2, 1)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pooling(rank: int, size: int, stride: int, pad: int) -> None:
    image = normal(2, 3, *(7, 6, 5)[:rank])
    widths = [(0, 0), (0, 0)] + [(pad, pad)] * rank
    axes = tuple(range(2, 2 + rank))
    for kind, fill, reduce in (("max", -np.inf, np.max), ("avg", 0.0, np.mean)):
        padded = np.pad(f(image), widths, constant_values=fill)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size,) * rank, axes)
        steps = (slice(None), slice(None), *(slice(None, None, stride),) * rank)
        want = reduce(windows[steps], axis=tuple(range(2 + rank, 2 + 2 * rank)))
        got = run_library(f"{kind}_pool{rank}d", image, size=size, stride=stride, pad=pad)
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_every_def_has_a_test() -> None:
    text = Path(__file__).read_text()
    missing = [n for n in library_index() if f'"{n}"' not in text and "_pool" not in n]
    assert not missing
