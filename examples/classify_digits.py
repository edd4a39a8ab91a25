"""Reads the held-out handwritten digits of digits.npz with the compiled network of digits.tc.

Prints the accuracy and the time for an image. The weights are bound when the program is compiled.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import tcomp

HERE = Path(__file__).resolve().parent
WEIGHTS = ("F1", "b1", "F2", "b2", "W", "b")


def main() -> float:
    """The share of held-out images whose digit is recognised."""
    data = np.load(HERE / "digits.npz")
    images, labels = data["images"], data["labels"]
    classify = tcomp.compile(HERE / "digits.tc", constants={name: data[name] for name in WEIGHTS})
    _, found = classify(images)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        classify(images)
        times.append(time.perf_counter() - start)
    accuracy = float((found == labels).mean())
    print(f"{len(images)} held-out images, accuracy {accuracy:.4f}, ", end="")
    print(f"{min(times) / len(images) * 1e6:.2f} microseconds an image")
    return accuracy


if __name__ == "__main__":
    main()
