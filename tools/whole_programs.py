"""Prints how whole programs are derived: time, states, what each kind of part became, and microseconds a layer.

    python tools/whole_programs.py                     every network
    python tools/whole_programs.py --only stack        those whose names have this in them
    python tools/whole_programs.py --no-times          without compiling and timing them

Weights are bound. `one search` is a single search over the whole program in the time of one part.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from tcomp import pipeline
from tcomp.ir.tensor.binding import bind
from tcomp.lang import lower, parse
from tcomp.options import options_from
from tcomp.passes.derivation import Derivation, call_cost, chosen, derive, least_cost
from tcomp.specialise import kernel_from

ROUNDS = 15


@dataclass(frozen=True)
class Network:
    """A program with the number of its layers; all inputs but X are weights."""

    name: str
    layers: int
    text: str


class Writer:
    """Writes a program tensor by tensor."""

    def __init__(self, image: str) -> None:
        self.inputs = [f"X: f32[{image}]"]
        self.lines: list[str] = []

    def weight(self, name: str, *shape: int) -> str:
        self.inputs.append(f"{name}: f32[{', '.join(map(str, shape))}]")
        return name

    def line(self, text: str) -> None:
        self.lines.append(f"    {text}\n")

    def text(self, result: str, shape: str) -> str:
        return f"def net({', '.join(self.inputs)}) -> {result}: f32[{shape}]:\n" + "".join(
            self.lines
        )


def stack(layers: int, channels: int = 64, size: int = 28) -> Network:
    return chain(f"stack of {layers}", [(channels, channels)] * layers, size, 1)


def chain(name: str, channels: list[tuple[int, int]], size: int, dilation: int) -> Network:
    """Convolutions of 3 x 3 with relu."""
    written = Writer(f"1, {channels[0][0]}, {size}, {size}")
    image = "X"
    for n, (c, o) in enumerate(channels):
        weight = written.weight(f"F{n}", o, c, 3, 3)
        written.line(f"A{n} = conv2d[pad={dilation}, dilation={dilation}]({image}, {weight})")
        image = f"R{n}"
        written.line(f"{image} = relu(A{n})")
    text = written.text(image, f"1, {channels[-1][1]}, {size}, {size}")
    return Network(name, len(channels), text)


def residual(stages: list[tuple[int, int, int]]) -> Network:
    """Basic blocks with batch norm as in ResNet-18: blocks, channels and size of each stage."""
    written = Writer(f"1, {stages[0][1]}, {stages[0][2]}, {stages[0][2]}")
    image, before = "X", stages[0][1]

    def layer(name: str, image: str, shape: tuple[int, int], taps: int, stride: int) -> str:
        weight = written.weight(f"F{name}", shape[1], shape[0], taps, taps)
        gain, mean, bias = (written.weight(f"{k}{name}", shape[1]) for k in ("g", "m", "b"))
        written.line(f"A{name} = conv2d[pad={taps // 2}, stride={stride}]({image}, {weight})")
        return f"(A{name}[n, o, y, x] - {mean}[o]) * {gain}[o] + {bias}[o]"

    count = 0
    for number, (blocks, channels, size) in enumerate(stages):
        for block in range(blocks):
            name = f"{number}_{block}"
            stride = 2 if block == 0 and number else 1
            beside, made = image, (channels, channels)
            if stride == 2:
                beside = f"S{name}"
                shortcut = layer(f"{name}s", image, (before, channels), 1, 2)
                written.line(f"{beside}[n, o, y in 0:{size}, x in 0:{size}] = {shortcut}")
            first = layer(f"{name}a", image, (before, channels), 3, stride)
            written.line(f"P{name}[n, o, y in 0:{size}, x in 0:{size}] = relu({first})")
            second = layer(f"{name}b", f"P{name}", made, 3, 1)
            image = f"R{name}"
            written.line(f"{image}[n, o, y, x] = relu({second} + {beside}[n, o, y, x])")
            before = channels
            count += 2
    channels, size = stages[-1][1:]
    return Network("ResNet-18 blocks", count, written.text(image, f"1, {channels}, {size}, {size}"))


def encoder(layers: int, tokens: int, width: int, heads: int) -> Network:
    """Transformer encoder layers: attention and two dense layers, each behind a norm and beside its input."""
    written = Writer(f"{tokens}, {width}")
    depth, inner = width // heads, 4 * width
    image = "X"
    for n in range(layers):
        image = _attention(written, image, n, (tokens, width, heads, depth))
        image = _dense(written, image, n, (tokens, width, inner))
    return Network(f"encoder of {layers}", layers, written.text(image, f"{tokens}, {width}"))


def _normed(written: Writer, image: str, name: str, tokens: int, width: int) -> str:
    gain, bias = written.weight(f"g{name}", width), written.weight(f"b{name}", width)
    written.line(f"m{name}[s in 0:{tokens}] = sum[c in 0:{width}]({image}[s, c]) / {width}.0")
    off = f"({image}[s, c] - m{name}[s])"
    written.line(f"v{name}[s in 0:{tokens}] = sum[c in 0:{width}]({off} * {off}) / {width}.0")
    written.line(
        f"N{name}[s in 0:{tokens}, c in 0:{width}] = "
        f"{off} / sqrt(v{name}[s] + 0.00001) * {gain}[c] + {bias}[c]"
    )
    return f"N{name}"


def _attention(written: Writer, image: str, n: int, sizes: tuple[int, int, int, int]) -> str:
    tokens, width, heads, depth = sizes
    normed = _normed(written, image, f"a{n}", tokens, width)
    rows = f"h in 0:{heads}, s in 0:{tokens}"
    for kind in "QKV":
        weight = written.weight(f"W{kind}{n}", width, heads, depth)
        written.line(
            f"{kind}{n}[{rows}, d in 0:{depth}] = sum[c in 0:{width}]({normed}[s, c] * {weight}[c, h, d])"
        )
    product = f"sum[d in 0:{depth}](Q{n}[h, s, d] * K{n}[h, t, d]) * {depth**-0.5}"
    written.line(f"L{n}[{rows}, t in 0:{tokens}] = {product}")
    written.line(f"M{n}[{rows}] = max[t in 0:{tokens}](L{n}[h, s, t])")
    written.line(f"E{n}[{rows}, t in 0:{tokens}] = exp(L{n}[h, s, t] - M{n}[h, s])")
    written.line(f"z{n}[{rows}] = sum[t in 0:{tokens}](E{n}[h, s, t])")
    mixed = f"sum[t in 0:{tokens}](E{n}[h, s, t] / z{n}[h, s] * V{n}[h, t, d])"
    written.line(f"O{n}[{rows}, d in 0:{depth}] = {mixed}")
    weight = written.weight(f"WO{n}", heads, depth, width)
    joined = f"sum[h in 0:{heads}, d in 0:{depth}](O{n}[h, s, d] * {weight}[h, d, c])"
    written.line(f"R{n}[s in 0:{tokens}, c in 0:{width}] = {joined} + {image}[s, c]")
    return f"R{n}"


def _dense(written: Writer, image: str, n: int, sizes: tuple[int, int, int]) -> str:
    tokens, width, inner = sizes
    normed = _normed(written, image, f"d{n}", tokens, width)
    up, down = written.weight(f"U{n}", width, inner), written.weight(f"D{n}", inner, width)
    first, second = written.weight(f"c{n}", inner), written.weight(f"e{n}", width)
    product = f"sum[c in 0:{width}]({normed}[s, c] * {up}[c, f])"
    written.line(f"G{n}[s in 0:{tokens}, f in 0:{inner}] = gelu({product} + {first}[f])")
    product = f"sum[f in 0:{inner}](G{n}[s, f] * {down}[f, c])"
    written.line(f"Y{n}[s in 0:{tokens}, c in 0:{width}] = {product} + {second}[c] + {image}[s, c]")
    return f"Y{n}"


NETWORKS = (
    *(stack(n) for n in (1, 2, 4, 8, 16)),
    residual([(2, 64, 56), (2, 128, 28), (2, 256, 14), (2, 512, 7)]),
    chain("dilated, 64 channels", [(64, 64)] * 4, 28, 2),
    chain("CSRNet's end", [(512, 512)] * 3 + [(512, 256), (256, 128), (128, 64)], 28, 2),
    encoder(1, 128, 256, 4),
    encoder(4, 128, 256, 4),
)


def one_search(program: Any, constants: frozenset[str]) -> Derivation:
    """What a single search over the whole program finds."""
    found = derive(
        program,
        seconds=pipeline.DERIVE_SECONDS,
        cost=lambda p: call_cost(p, constants),
        promise=lambda p: least_cost(p, constants),
        clock=time.thread_time,
        patience=pipeline.PATIENCE,
    )
    return chosen(found, "standard")


def weights(program: Any) -> dict[str, Any]:
    """Values that keep what passes through many layers at about 1."""
    rng = np.random.default_rng(0)
    arrays = {}
    for tensor in program.inputs:
        shape = [int(n) for n in tensor.shape]
        array = rng.standard_normal(shape).astype(np.float32)
        if len(shape) > 1 and tensor.name != "X":
            array /= np.float32(np.prod(shape[1:] if len(shape) == 4 else shape[:1]) ** 0.5)
        arrays[tensor.name] = array
    return arrays


def forms(found: Derivation) -> str:
    """The rules of each kind of part, with the number of such parts."""
    kinds = Counter(
        " + ".join(dict.fromkeys(s.rule for s in each.derivation.steps)) or "as written"
        for each in found.parts
    )
    one = " + ".join(dict.fromkeys(s.rule for s in found.steps)) or "as written"
    return "; ".join(f"{n} x {rules}" for rules, n in kinds.items()) or one


def times(kernels: list[Callable[..., Any]], array: Any) -> list[float]:
    """The least seconds of a call of each, in turns."""
    best = [float("inf")] * len(kernels)
    for _ in range(ROUNDS):
        for number, kernel in enumerate(kernels):
            kernel(array)
            start = time.perf_counter()
            kernel(array)
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def line(network: Network, timed: bool) -> str:
    program = bind(lower(parse(network.text)), {})
    constants = frozenset(t.name for t in program.inputs) - {"X"}
    start = time.thread_time()
    found = pipeline.derived(program, "standard", constants)
    spent = time.thread_time() - start
    distinct = len({each.alike for each in found.parts})
    cells = [
        network.name,
        f"{len(found.parts) or 1} ({distinct or 1})",
        f"{found.states}",
        f"{spent:.2f}",
        forms(found),
    ]
    if timed:
        options = options_from()
        arrays = weights(program)
        image = arrays.pop("X")
        whole = one_search(program, constants)
        stages = (
            pipeline.build_as_written(program, options, constants),
            pipeline.build_form(program, whole, options, constants),
            pipeline.build_form(program, found, options, constants),
        )
        kernels = [kernel_from(each, options, arrays) for each in stages]
        results = [kernel(image) for kernel in kernels]
        error = max(np.abs(r - results[0]).max() / np.abs(results[0]).max() for r in results)
        cells += [f"{t * 1e6 / network.layers:.0f}" for t in times(kernels, image)]
        cells.append(f"{error:.1e}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="networks whose names have this in them")
    parser.add_argument("--no-times", dest="timed", action="store_false")
    chosen_for = parser.parse_args()
    head = ["network", "parts (distinct)", "states", "s of the processor", "forms"]
    if chosen_for.timed:
        head += ["µs a layer as written", "one search", "derived", "difference"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    forks = multiprocessing.get_context("spawn")
    for network in NETWORKS:
        if chosen_for.only in network.name:
            with forks.Pool(
                1
            ) as pool:  # a process of its own, which remembers nothing of the others
                print(pool.apply(line, (network, chosen_for.timed)), flush=True)


if __name__ == "__main__":
    main()
