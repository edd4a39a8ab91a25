"""Trains the network of examples/digits.tc on scikit-learn's handwritten digits; writes examples/digits.npz.

NumPy throughout and deterministic: the file is the same on every run on the same machine. The file holds the
weights (float32) and the held-out fifth of the images with their labels (uint8), so that nothing else is
needed to measure the accuracy.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).resolve().parent.parent / "examples" / "digits.npz"
EPOCHS, BATCH, RATE, SMOOTHING, DECAY = 40, 32, 2e-3, 0.05, 1e-4
Array = Any
Weights = dict[str, Array]


def initial(rng: np.random.Generator) -> Weights:
    """He-normal filters and zero biases."""
    shapes = {"F1": (16, 1, 3, 3), "F2": (32, 16, 3, 3), "W": (32, 4, 4, 10)}
    fan_in = {"F1": 9, "F2": 144, "W": 512}
    weights = {n: rng.normal(size=s) * np.sqrt(2 / fan_in[n]) for n, s in shapes.items()}
    biases = {"b1": np.zeros(16), "b2": np.zeros(32), "b": np.zeros(10)}
    return {n: w.astype(np.float32) for n, w in (weights | biases).items()}


def patches(images: Array) -> Array:
    """(N, C, H, W) -> (N, H, W, C * 9): the zero-padded 3x3 neighbourhood of every pixel."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    n, c, h, w = images.shape
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, h, w, c * 9)


def layer(images: Array, filters: Array, bias: Array) -> tuple[Array, Array]:
    """Convolution and ReLU; the patches too, which the gradient needs."""
    columns = patches(images)
    out = columns @ filters.reshape(len(filters), -1).T + bias
    return np.maximum(out, 0).transpose(0, 3, 1, 2), columns


def layer_gradient(grad: Array, out: Array, columns: Array, filters: Array) -> tuple[Array, ...]:
    """Gradients of images, filters and bias, given that of the layer's result."""
    grad = (grad * (out > 0)).transpose(0, 2, 3, 1)
    n, h, w, o = grad.shape
    flat = grad.reshape(-1, o)
    of_filters = (flat.T @ columns.reshape(-1, columns.shape[-1])).reshape(filters.shape)
    spread = (grad @ filters.reshape(o, -1)).reshape(n, h, w, filters.shape[1], 3, 3)
    padded = np.zeros((n, filters.shape[1], h + 2, w + 2), grad.dtype)
    for r in range(3):
        for s in range(3):
            padded[:, :, r : r + h, s : s + w] += spread[..., r, s].transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1], of_filters, flat.sum(axis=0)


def forward(w: Weights, images: Array) -> tuple[Array, ...]:
    """Logits, and what the backward pass needs."""
    a1, c1 = layer(images, w["F1"], w["b1"])
    a2, c2 = layer(a1, w["F2"], w["b2"])
    cells = a2.reshape(len(a2), 32, 4, 2, 4, 2)
    pooled = cells.max(axis=(3, 5))
    logits = np.tensordot(pooled, w["W"], 3) + w["b"]
    return logits, pooled, cells, a2, c2, a1, c1


def gradients(w: Weights, images: Array, labels: Array) -> Weights:
    """Of the mean cross entropy with smoothed labels."""
    logits, pooled, cells, a2, c2, a1, c1 = forward(w, images)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted = np.full_like(logits, SMOOTHING / 10)
    wanted[np.arange(len(labels)), labels] += 1 - SMOOTHING
    grad = (shifted / shifted.sum(axis=1, keepdims=True) - wanted) / len(labels)
    of_pooled = np.tensordot(grad, w["W"], ((1,), (3,)))[:, :, :, None, :, None]
    winners = cells == pooled[:, :, :, None, :, None]
    of_a2 = (of_pooled * winners / winners.sum(axis=(3, 5), keepdims=True)).reshape(a2.shape)
    of_a1, of_f2, of_b2 = layer_gradient(of_a2, a2, c2, w["F2"])
    _, of_f1, of_b1 = layer_gradient(of_a1, a1, c1, w["F1"])
    of_w = np.tensordot(pooled, grad, ((0,), (0,)))
    return {"F1": of_f1, "b1": of_b1, "F2": of_f2, "b2": of_b2, "W": of_w, "b": grad.sum(axis=0)}


def train(images: Array, labels: Array, rng: np.random.Generator) -> Weights:
    """Adam with a cosine rate, on images shifted by up to one pixel."""
    w = initial(rng)
    first = {n: np.zeros_like(v) for n, v in w.items()}
    second = {n: np.zeros_like(v) for n, v in w.items()}
    steps = EPOCHS * (len(images) // BATCH)
    for step in range(1, steps + 1):
        chosen = rng.integers(len(images), size=BATCH)
        dy, dx = rng.integers(-1, 2, size=2)
        batch = np.roll(images[chosen], (dy, dx), axis=(2, 3))
        rate = RATE * (1 + np.cos(np.pi * step / steps)) / 2
        for name, grad in gradients(w, batch, labels[chosen]).items():
            first[name] = 0.9 * first[name] + 0.1 * grad
            second[name] = 0.999 * second[name] + 0.001 * grad**2
            scaled = first[name] / (1 - 0.9**step)
            scaled = scaled / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
            w[name] = (w[name] - rate * (scaled + DECAY * w[name])).astype(np.float32)
    return w


def main() -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.images.astype(np.uint8), data.target.astype(np.uint8)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    held, seen = order[:360], order[360:]
    scaled = (images / 16).astype(np.float32)[:, None]
    weights = train(scaled[seen], labels[seen], rng)
    accuracy = (forward(weights, scaled[held])[0].argmax(axis=1) == labels[held]).mean()
    np.savez_compressed(TARGET, images=images[held], labels=labels[held], **weights)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, held-out accuracy {accuracy:.4f}")
    if accuracy < 0.97:
        sys.exit("the accuracy is below 0.97")


if __name__ == "__main__":
    main()
