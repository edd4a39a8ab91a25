"""Random programs of several layers, derived in parts under a judge that prefers programs at random."""

from __future__ import annotations

from collections import Counter
from itertools import count
from zlib import crc32

import numpy as np

from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.canonical import fingerprint
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.printer import print_program
from tcomp.ir.tensor.verifier import verify
from tcomp.lang import lower, parse
from tcomp.passes.derivation import Derivation, call_cost, derive, derive_whole
from tcomp.passes.derivation.proof import replay, to_log
from tests.fuzz.choices import Choices, Seeded

MOST_STATES = 24  # of the search for a part


class _Layers:
    """A program over matrices of c rows and n columns, layer by layer."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.c, self.n = choices.pick((3, 2, 4)), choices.pick((8, 6, 9, 12))
        self.inputs = [f"X: f64[{self.c}, {self.n}]"]
        self.lines: list[str] = []
        self.made = ["X"]

    def weight(self, *shape: int) -> str:
        self.inputs.append(f"W{len(self.inputs)}: f64[{', '.join(map(str, shape))}]")
        return self.inputs[-1].partition(":")[0]

    def line(self, body: str) -> None:
        """A tensor of the common shape over i and x."""
        self.made.append(f"T{len(self.made)}")
        self.lines.append(f"    {self.made[-1]}[i in 0:{self.c}, x in 0:{self.n}] = {body}\n")

    def convolution(self) -> None:
        step, taps = self.choices.pick((2, 1, 3)), self.choices.pick((3, 2))
        weight = self.weight(self.c, self.c, taps)
        place = f"x + {step}*r - {step * (taps // 2)}"
        self.line(
            f"sum[k in 0:{self.c}, r in 0:{taps}](({self.made[-1]}[k, {place}] else 0) * {weight}[i, k, r])"
        )

    def product(self) -> None:
        weight = self.weight(self.c, self.c)
        self.line(f"sum[k in 0:{self.c}]({weight}[i, k] * {self.made[-1]}[k, x])")

    def function(self) -> None:
        here = f"{self.made[-1]}[i, x]"
        gate = f"sum[k in 0:{self.c}]({self.weight(self.c, self.c)}[i, k] * {self.made[-1]}[k, x])"
        forms = ("relu({})", "tanh({})", "{0} * sigmoid({0})", "maximum({}, 0.5)", "exp({})")
        form = self.choices.pick((*forms, "where({0} > 0, {0}, 0.1 * {0})"))
        self.line(form.format(self.choices.pick((here, here, gate))))

    def affine(self) -> None:
        scale, bias = self.weight(self.c), self.weight(self.c)
        self.line(f"({self.made[-1]}[i, x] - {bias}[i]) * {scale}[i]")

    def residual(self) -> None:
        other = self.choices.pick(self.made)
        self.line(f"{self.made[-1]}[i, x] + {other}[i, x]")

    def shortcut(self) -> None:
        weight, other = self.weight(self.c, self.c), self.choices.pick(self.made)
        self.line(
            f"relu({self.made[-1]}[i, x] + sum[k in 0:{self.c}]({weight}[i, k] * {other}[k, x]))"
        )

    def softmax(self) -> None:
        here = self.made[-1]
        name = f"s{len(self.made)}"
        self.lines += [
            f"    m{name}[i in 0:{self.c}] = max[y in 0:{self.n}]({here}[i, y])\n",
            f"    e{name}[i in 0:{self.c}, x in 0:{self.n}] = exp({here}[i, x] - m{name}[i])\n",
        ]
        self.line(f"e{name}[i, x] / sum[y in 0:{self.n}](e{name}[i, y])")

    def norm(self) -> None:
        here = self.made[-1]
        name = f"v{len(self.made)}"
        square = f"{here}[i, x] * {here}[i, x]"
        self.lines.append(f"    {name}[x in 0:{self.n}] = sum[i in 0:{self.c}]({square})\n")
        self.line(f"{here}[i, x] / sqrt({name}[x] + 0.5)")

    def pool(self) -> None:
        self.line(f"max[r in 0:3]({self.made[-1]}[i, minimum(x + r, {self.n - 1})])")

    def flip(self) -> None:
        half = self.n // 2
        self.line(f"{self.made[-1]}[i, (x + {half}) % {self.n}]")

    def text(self) -> str:
        results = dict.fromkeys((self.made[-1], self.choices.pick(self.made[1:])))
        outs = ", ".join(f"{name}: f64[{self.c}, {self.n}]" for name in results)
        return f"def f({', '.join(self.inputs)}) -> ({outs}):\n" + "".join(self.lines)


LAYERS = (
    _Layers.convolution, _Layers.function, _Layers.product, _Layers.convolution, _Layers.function,
    _Layers.affine, _Layers.residual, _Layers.shortcut, _Layers.softmax, _Layers.norm, _Layers.flip,
)  # fmt: skip


def program_of(seed: int) -> Program:
    """The bound program of a seed; every second one repeats its first layers."""
    choices = Seeded(seed)
    layers = _Layers(choices)
    chosen = [choices.pick(LAYERS) for _ in range(choices.integer(2, 5))]
    for layer in chosen * (1 + seed % 2):
        layer(layers)
    bound = bind(lower(parse(layers.text())), {})
    verify(bound)
    return bound


def derived(source: Program, seed: int) -> Derivation:
    """A derivation that is led by prices from a hash, with a random share of the weights bound."""
    choices = Seeded(seed)
    weights = [t.name for t in source.inputs[1:] if choices.integer(0, 2)]

    def price(program: Program, constants: frozenset[str]) -> float:
        whim = crc32(f"{seed} {print_program(program)}".encode()) / 2**32
        return call_cost(program, constants) * (0.2 + whim)

    return derive_whole(
        source,
        "none",
        search=lambda part, known, share: derive(
            part,
            seconds=share,
            cost=lambda p: price(p, known),
            promise=lambda p: price(p, known),
            clock=count().__next__,
        ),
        cost=price,
        seconds=MOST_STATES,
        constants=frozenset(weights),
    )


def check(seed: int) -> Counter[str]:
    """Derives a program and compares what was chosen with it. Returns what happened."""
    source = program_of(seed)
    found = derived(source, seed)
    verify(found.program)
    rng = np.random.default_rng(seed)
    arrays = {t.name: rng.standard_normal([int(n) for n in t.shape]) for t in source.inputs}
    pairs = zip(interpret(source, arrays), interpret(found.program, arrays), strict=True)
    for want, got in pairs:
        scale = np.abs(want).max(where=np.isfinite(want), initial=0.0)
        close = np.allclose(got, want, rtol=1e-7, atol=1e-7 * scale, equal_nan=True)
        assert close, f"{found}\n{print_program(source)}\n{print_program(found.program)}"
    again = replay(source, to_log(found))
    assert not found.steps or fingerprint(again) == fingerprint(found.program)
    happened = Counter({f"rule {step.rule}": 1 for step in found.steps})
    happened["verdict parts"] += len(found.parts)
    happened["verdict equal parts"] += sum(p.alike != n for n, p in enumerate(found.parts))
    happened["verdict chosen as neighbours"] += len(found.candidates) > 1
    return happened
