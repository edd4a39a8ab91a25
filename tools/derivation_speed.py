"""Prints how fast the search of derivations is, beside the published figures of EinNet (OSDI 2023).

    python tools/derivation_speed.py

States to the target is how many programs were found before the published form was among them; the published
counts are intermediate states at the depth at which that system finds it first (its artifact's logs). The
banded product is the correct one, residues as a batch (the published one is unequal at their borders).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tcomp.ir.tensor.binding import bind
from tcomp.lang import lower, parse
from tcomp.passes.derivation import derive
from tests.derivation.forms import Form, product, residues_as_batch, windows


@dataclass(frozen=True)
class Published:
    """A case with its target, and the published time and states."""

    name: str
    text: str
    target: Form
    seconds: float
    states: int


CONVOLUTION = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{o}, {c}, {r}, {r}]) -> Y: f32[{n}, {o}, {h}, {h}]:\n"
    "    Y = conv2d[pad={p}](I, F)\n"
)
TRANSPOSED = (
    "def f(I: f32[16, 448, 2, 2], F: f32[448, 256, 4, 4]) -> Y: f32[16, 256, 4, 4]:\n"
    "    Y = conv_transpose2d[stride=2, pad=1](I, F)\n"
)
BAND = (
    "def f(A: f32[8, 10000, 512], B: f32[8, 10000, 512]) -> Y: f32[8, 10000, 65]:\n"
    "    Y[b, m, w] = sum[k](A[b, m, k] * (B[b, m + 4*w - 128, k] else 0.0))\n"
)
CASES = (
    Published(
        "Conv3x3",
        CONVOLUTION.format(n=1, c=512, h=7, o=512, r=3, p=1),
        product(4608, 49, 512),
        0.096,
        2340,
    ),
    Published("ConvTranspose", TRANSPOSED, product(64, 4096, 448), 11.3, 192_079),
    Published(
        "Conv5x5",
        CONVOLUTION.format(n=16, c=32, h=224, o=1, r=5, p=2),
        windows(4, 288),
        101.0,
        2_227_699,
    ),
    Published("G2BMM", BAND, lambda p: residues_as_batch(4, 1)(p) > 0, 0.024, 635),
)


def main() -> None:
    """Searches each case for up to ten seconds of processor time."""
    print("| case | states | states/s | to the target | seconds | published: states | seconds |")
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        program = bind(lower(parse(case.text)), {})
        for _ in range(
            2
        ):  # what is remembered of nodes is warm the second time, as in a long session
            start = time.process_time()
            found = derive(program, seconds=10.0, clock=time.process_time)
            spent = time.process_time() - start
        target = next((n for n, s in enumerate(found.explored) if case.target(s.program)), None)
        rate = found.states / spent
        at = "not found" if target is None else f"{target}"
        when = "" if target is None else f"{target / rate:.3f}"
        print(
            f"| {case.name} | {found.states} | {rate:.0f} | {at} | {when} | {case.states:,} | {case.seconds} |"
        )


if __name__ == "__main__":
    main()
