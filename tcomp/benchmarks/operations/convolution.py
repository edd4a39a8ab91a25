"""Convolutions in one to three dimensions, as deep-learning frameworks define them (cross-correlation)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from tcomp.benchmarks.operations.epilogue import NONE, Epilogue
from tcomp.benchmarks.operations.tensor import Array, Sizes, TensorSpec

PLACES, TAPS = "zyx", "qrs"  # names of the spatial axes and of the window's, the last ones used


@dataclass(frozen=True, slots=True)
class Convolution:
    """Image [N, C, ...] with filters [O, C/groups, ...] ([C, O, ...] where transposed), f32.

    `pad` is the same on both sides of an axis; one number for each spatial axis.
    """

    image: tuple[int, ...]
    channels: int  # of the result
    window: tuple[int, ...]
    stride: int = 1
    pad: tuple[int, ...] = ()
    dilation: int = 1
    groups: int = 1
    transposed: bool = False
    epilogue: Epilogue = NONE

    @property
    def padding(self) -> tuple[int, ...]:
        return self.pad or (0,) * len(self.window)

    @property
    def depthwise(self) -> bool:
        return self.groups == self.image[1] == self.channels

    @property
    def label(self) -> str:
        size = "x".join(map(str, self.window))
        kind = "convT" if self.transposed else "dwconv" if self.depthwise else "conv"
        batch = f"{self.image[0]}x" if self.image[0] > 1 else ""
        channels = f"{batch}{self.image[1]}-{self.channels}"
        options = "".join(
            f" {letter}{value}"
            for letter, value in (("s", self.stride), ("d", self.dilation), ("g", self.groups))
            if value > 1 and not (letter == "g" and self.depthwise)
        )
        where = "x".join(map(str, self.image[2:]))
        return f"{kind}{size} {channels} @{where}{options}{self.epilogue.label}"

    @property
    def places(self) -> tuple[int, ...]:
        """The spatial extents of the result."""
        axes = zip(self.image[2:], self.window, self.padding, strict=True)
        if self.transposed:
            return tuple(
                (n - 1) * self.stride - 2 * p + self.dilation * (r - 1) + 1 for n, r, p in axes
            )
        return tuple(
            (n + 2 * p - self.dilation * (r - 1) - 1) // self.stride + 1 for n, r, p in axes
        )

    @property
    def filters(self) -> tuple[int, ...]:
        if self.transposed:
            return (self.image[1], self.channels, *self.window)
        return (self.channels, self.image[1] // self.groups, *self.window)

    @property
    def output(self) -> tuple[int, ...]:
        return (self.image[0], self.channels, *self.places)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        specs = [TensorSpec("I", "f32", self.image), TensorSpec("F", "f32", self.filters, True)]
        if self.epilogue.bias:
            specs.append(TensorSpec("b", "f32", (self.channels,), True))
        if self.epilogue.residual:
            specs.append(TensorSpec("R", "f32", self.output))
        return tuple(specs)

    @property
    def results(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("Y", "f32", self.output),)

    @property
    def text(self) -> str:
        rank = len(self.window)
        places, taps = PLACES[-rank:], TAPS[-rank:]
        axes = ", ".join(("n", "o", *places))
        value = self.epilogue.expression(self._sum(places, taps), "o", axes)
        (result,) = self.results
        declared = ", ".join(t.declaration for t in self.inputs)
        return f"def convolution({declared})\n        -> {result.declaration}:\n    Y[{axes}] = {value}\n"

    def _sum(self, places: str, taps: str) -> str:
        """The sum over channels and taps that makes an element."""
        pairs = zip(places, taps, self.padding, strict=True)
        window, d, s = ", ".join(taps), self.dilation, self.stride
        if self.transposed:
            moved = [f"({x} + {p} - {r}*{d})" for x, r, p in pairs]
            at = ", ".join(f"{m}//{s}" for m in moved)
            hit = " and ".join(f"{m} % {s} == 0" for m in moved)
            read = (
                f"where({hit}, (I[n, c, {at}] else 0), 0)" if s > 1 else f"(I[n, c, {at}] else 0)"
            )
            return f"sum[c, {window}]({read} * F[c, o, {window}])"
        at = ", ".join(f"{x}*{s} + {r}*{d} - {p}" for x, r, p in pairs)
        if self.depthwise:
            return f"sum[{window}]((I[n, o, {at}] else 0) * F[o, 0, {window}])"
        share, each = self.channels // self.groups, self.filters[1]
        channel = "c" if self.groups == 1 else f"o//{share}*{each} + c"
        return f"sum[c in 0:{each}, {window}]((I[n, {channel}, {at}] else 0) * F[o, c, {window}])"

    @property
    def sizes(self) -> Sizes:
        return ()

    @property
    def multiply_adds(self) -> float:
        """Multiplications by inserted or padded zeros of a transposed convolution are not counted."""
        per_place = math.prod(self.image[2:]) if self.transposed else math.prod(self.places)
        return float(self.image[0]) * per_place * math.prod(self.filters)

    def reference(self, arrays: Mapping[str, Array]) -> tuple[Array, ...]:
        image, filters = (arrays[n].astype(np.float64) for n in ("I", "F"))
        summed = (
            self._transposed(image, filters) if self.transposed else self._forward(image, filters)
        )
        bias = arrays["b"].astype(np.float64) if self.epilogue.bias else None
        if bias is not None:
            bias = bias.reshape(-1, *(1,) * len(self.window))
        residual = arrays["R"].astype(np.float64) if self.epilogue.residual else None
        return (self.epilogue.apply(summed, bias, residual),)

    def _forward(self, image: Array, filters: Array) -> Array:
        """One product of channels for each tap of the window."""
        padded = np.pad(image, [(0, 0), (0, 0), *((p, p) for p in self.padding)])
        batch, groups = image.shape[0], self.groups
        out = np.zeros((batch, groups, self.channels // groups, math.prod(self.places)))
        weights = filters.reshape(groups, self.channels // groups, *filters.shape[1:])
        for tap in product(*map(range, self.window)):
            part = padded[self._reach(tap, self.places)]
            part = part.reshape(batch, groups, filters.shape[1], -1)
            out += np.matmul(weights[_last(tap)], part)
        return out.reshape(self.output)

    def _reach(self, tap: tuple[int, ...], places: tuple[int, ...]) -> Any:
        """Of the padded tensor at the window's end, the `places` that one tap meets."""
        return _last(
            slice(t * self.dilation, t * self.dilation + (n - 1) * self.stride + 1, self.stride)
            for t, n in zip(tap, places, strict=True)
        )

    def _transposed(self, image: Array, filters: Array) -> Array:
        """Every element of the image adds a scaled window to the result, which is then cropped."""
        pads = self.padding
        full = tuple(n + 2 * p for n, p in zip(self.places, pads, strict=True))
        out = np.zeros((image.shape[0], self.channels, *full))
        for tap in product(*map(range, self.window)):
            at = self._reach(tap, image.shape[2:])
            weights = filters[_last(tap)]
            out[at] += np.einsum("nc...,co->no...", image, weights, optimize=True)
        crop = tuple(slice(p, p + n) for n, p in zip(self.places, pads, strict=True))
        cropped: Array = out[_last(crop)]
        return cropped

    def shrunk(self) -> Convolution:
        """Few channels and places; window, stride and the rest stay."""
        channels = 6 if self.depthwise else 3 * self.groups
        groups = 6 if self.depthwise else min(self.groups, 2)
        reach = [self.dilation * (r - 1) + 1 for r in self.window]
        places = [
            min(n, r + 2 * self.stride + 1) for n, r in zip(self.image[2:], reach, strict=True)
        ]
        into = 6 if self.depthwise else 2 * groups
        out = 6 if self.depthwise else min(channels, 3 * groups)
        return replace(
            self, image=(min(self.image[0], 2), into, *places), channels=out, groups=groups
        )


def _last(parts: Iterable[int | slice]) -> Any:
    """An index of the last axes."""
    return (..., *parts)
