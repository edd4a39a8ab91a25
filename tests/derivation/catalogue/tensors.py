"""Networks of tensors: Kronecker, Tucker, CP, trains, Monarch, and sums of five factors at random."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tests.derivation.catalogue.case import Case
from tests.derivation.catalogue.products import at_most
from tests.derivation.forms import Form, multiplications
from tests.derivation.orders import fewest_products

KRONECKER = (
    "def f(A: f32[{p}, {r}], B: f32[{q}, {s}], x: f32[{b}, {r}*{s}]) -> y: f32[{b}, {p}*{q}]:\n"
    "    K[i in 0:{p}*{q}, j in 0:{r}*{s}] = A[i//{q}, j//{s}] * B[i%{q}, j%{s}]\n"
    "    y[b, i] = sum[j](K[i, j] * x[b, j])\n"
)


def einsum(factors: Sequence[str], output: str, extent: Mapping[str, int]) -> str:
    """A sum of products as a program."""
    shapes = [f"A{n}: f32[{', '.join(str(extent[i]) for i in f)}]" for n, f in enumerate(factors)]
    summed = sorted({i for f in factors for i in f} - set(output))
    body = " * ".join(f"A{n}[{', '.join(f)}]" for n, f in enumerate(factors))
    ranges = ", ".join(f"{i} in 0:{extent[i]}" for i in summed)
    place = f"[{', '.join(output)}]" if output else ""
    shape = f"[{', '.join(str(extent[i]) for i in output)}]" if output else ""
    total = f"sum[{ranges}]({body})" if summed else body
    return f"def f({', '.join(shapes)}) -> Y: f32{shape}:\n    Y{place} = {total}\n"


def _network(title: str, variant: str, factors: str, output: str, extent: dict[str, int]) -> Case:
    parts = factors.split()
    fewest = fewest_products(parts, output, extent)
    text = einsum(parts, output, extent)
    return Case(0, title, variant, text, ordered(fewest), "either", 60.0, looks=400)


def ordered(fewest: float) -> Form:
    """As few multiplications as the best order of pairs needs."""
    return lambda program: multiplications(program) <= fewest


def _sizes(letters: str, *extents: int) -> dict[str, int]:
    return dict(zip(letters, extents, strict=True))


def _kronecker(variant: str, b: int, p: int, q: int, r: int, s: int) -> Case:
    text = KRONECKER.format(b=b, p=p, q=q, r=r, s=s)
    fewest = min(p * r * s + p * q * s, q * s * r + q * p * r)
    return Case(0, "(A kron B)x", variant, text, at_most(2.05 * b * fewest), looks=200)


def five_operands(seed: int) -> tuple[list[str], str, dict[str, int]]:
    """The factors, the output and the extents of a sum of five products, at random."""
    rng = random.Random(seed)
    while True:
        factors = ["".join(rng.sample("abcdef", rng.choice((2, 2, 3)))) for _ in range(5)]
        used = sorted(set("".join(factors)))
        output = "".join(n for n in used if rng.random() < 0.3)
        if len(used) == 6:
            return factors, output, {n: rng.choice((3, 5, 7, 8, 16, 31)) for n in used}


def _five(seed: int) -> Case:
    factors, output, extent = five_operands(seed)
    fewest = fewest_products(factors, output, extent)
    text = einsum(factors, output, extent)
    title = f"{','.join(factors)}->{output}"
    return Case(0, title, "odd, prime", text, ordered(fewest), "either", 60.0, looks=400)


CASES = (
    _kronecker("stated", 1, 64, 64, 64, 64),
    _kronecker("odd, prime", 1, 13, 49, 31, 27),
    _kronecker("batched", 7, 16, 24, 24, 16),
    _network("Tucker", "stated", "abc ia jb kc", "ijk", _sizes("abcijk", 4, 4, 4, 20, 20, 20)),
    _network("Tucker", "prime", "abc ia jb kc", "ijk", _sizes("abcijk", 3, 5, 7, 23, 19, 29)),
    _network("Tucker", "batched", "nabc ia jb kc", "nijk", _sizes("nabcijk", 4, 3, 4, 5, 11, 12, 13)),
    _network("CP times a matrix", "stated", "ir jr kr kl", "ijl", _sizes("ijklr", 48, 48, 48, 48, 16)),
    _network("CP times a matrix", "prime", "ir jr kr kl", "ijl", _sizes("ijklr", 31, 37, 41, 43, 7)),
    _network("CP times a matrix", "batched", "ir jr nkr kl", "nijl", _sizes("nijklr", 3, 15, 20, 25, 30, 9)),
    _network("tensor train", "stated", "ia ajb bkc cl ijkl", "", _sizes("ijklabc", 8, 8, 8, 8, 3, 3, 3)),
    _network("tensor train", "prime", "ia ajb bkc cl ijkl", "", _sizes("ijklabc", 7, 5, 11, 3, 2, 3, 5)),
    _network("tensor train", "batched", "ia ajb bkc cl nijkl", "n", _sizes("nijklabc", 5, 6, 6, 6, 6, 3, 3, 3)),
    _network("Monarch", "stated", "jik kjl kl", "ij", _sizes("ijkl", 16, 16, 16, 16)),
    _network("Monarch", "prime", "jik kjl kl", "ij", _sizes("ijkl", 13, 17, 19, 23)),
    _network("Monarch", "batched", "jik kjl nkl", "nij", _sizes("nijkl", 5, 12, 14, 9, 11)),
    *map(_five, range(12)),
)  # fmt: skip
