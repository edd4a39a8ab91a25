"""Convolutions, transposed and dilated ones: the published derivations and their harder variants."""

from __future__ import annotations

from collections.abc import Callable

from tcomp.ir.tensor.nodes import Definition, Program, Reduce, postorder
from tcomp.passes import split_constants
from tcomp.passes.derivation.estimate import extent, mismatches, occurrence
from tests.derivation.catalogue.case import Case
from tests.derivation.forms import (
    Form,
    product,
    residues_as_batch,
    some,
    sum_of_products,
    windows,
)

CONVOLUTION = (
    "def f(I: f32[{n}, {c}, {h}, {w}], F: f32[{o}, {c}, {r}, {s}]) -> Y: f32[{n}, {o}, {h}, {w}]:\n"
    "    Y[n, o, y, x] = sum[c, r, s]((I[n, c, y + {d}*r - {p}, x + {d}*s - {q}] else 0.0) * F[o, c, r, s])\n"
)
# A convolution in the sense of signal processing, and a transposed one with stride 1: filters slide backwards.
TURNED = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{c}, {c}, 3, 3]) -> Y: f32[{n}, {c}, {h}, {h}]:\n"
    "    Y[n, o, y, x] = sum[c, r, s]((I[n, c, y - r + 1, x - s + 1] else 0.0) * F[o, c, r, s])\n"
)
NHWC = (
    "def f(A: f32[{n}, {h}, {h}, {c}], K: f32[3, 3, {o}, {c}]) -> Y: f32[{n}, {h}, {h}, {o}]:\n"
    "    Y[n, y, x, o] = sum[c, r, s]((A[n, y + r - 1, x + s - 1, c] else 0.0) * K[r, s, o, c])\n"
)
TRANSPOSED = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{c}, {o}, {k}, {k}])"
    " -> Y: f32[{n}, {o}, ({h} - 1)*{s} - 2*{p} + {k}, ({h} - 1)*{s} - 2*{p} + {k}]:\n"
    "    Y = conv_transpose2d[stride={s}, pad={p}](I, F)\n"
)
# The definition itself: zeros between the pixels, then a convolution with turned filters.
ZEROS_INSERTED = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{c}, {o}, {k}, {k}]) -> Y: f32[{n}, {o}, {m}, {m}]:\n"
    "    Z[n in 0:{n}, c in 0:{c}, u in 0:{u}, v in 0:{u}] = "
    "where(u % {s} == 0 and v % {s} == 0, I[n, c, u // {s}, v // {s}], 0.0)\n"
    "    Y[n, o, y, x] = sum[c in 0:{c}, r in 0:{k}, q in 0:{k}]((Z[n, c, y + r - {e}, x + q - {e}] else 0.0)"
    " * F[c, o, {k} - 1 - r, {k} - 1 - q])\n"
)
CHAIN = (
    "def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{c}, {c}, 3, 3], G: f32[{c}, {c}, 3, 3]) -> Y: f32[{n}, {c}, {h}, {h}]:\n"
    "    H[n in 0:{n}, o in 0:{c}, y in 0:{h}, x in 0:{h}] = relu(sum[c in 0:{c}, r in 0:3, s in 0:3]("
    "(I[n, c, y + {d}*r - {d}, x + {d}*s - {d}] else 0.0) * F[o, c, r, s]))\n"
    "    Y[n, o, y, x] = sum[c, r, s]((H[n, c, y + {d}*r - {d}, x + {d}*s - {d}] else 0.0) * G[o, c, r, s])\n"
)


def conv(n: int, c: int, h: int, o: int, r: int, s: int, d: int = 1, w: int | None = None) -> str:
    return CONVOLUTION.format(
        n=n, c=c, h=h, w=w or h, o=o, r=r, s=s, d=d, p=d * (r // 2), q=d * (s // 2)
    )


def nhwc(n: int, c: int, h: int, o: int) -> str:
    return NHWC.format(n=n, c=c, h=h, o=o)


def transposed(n: int, c: int, h: int, o: int, k: int, s: int, p: int) -> str:
    return TRANSPOSED.format(n=n, c=c, h=h, o=o, k=k, s=s, p=p)


def zeros_inserted(n: int, c: int, h: int, o: int, k: int, s: int, p: int) -> str:
    return ZEROS_INSERTED.format(
        n=n, c=c, h=h, o=o, k=k, s=s, u=(h - 1) * s + 1, m=(h - 1) * s - 2 * p + k, e=k - 1 - p
    )


def chain(n: int, c: int, h: int, d: int) -> str:
    return CHAIN.format(n=n, c=c, h=h, d=d)


# -- forms -------------------------------------------------------------------------------------------


def at_least(count: int, of: Callable[[Program], int]) -> Form:
    return lambda program: of(program) >= count


def one_kernel(points: int, terms: int) -> Form:
    """All taps and channels in one sum, whose operands lie where they lie: a batch of products, one a tap."""

    def is_it(program: Program) -> bool:
        if len(program.body) != 1:
            return False
        (definition,) = program.definitions()
        (total,) = (n for n in postorder(definition.body) if isinstance(n, Reduce))
        sizes = (extent(definition.iters), extent(total.iters))
        return sizes == (points, terms) and occurrence(definition) is not None

    return is_it


def phases(points: int, inner: int) -> Form:
    """Windows for each residue of a position, of the taps that count: no zero is multiplied."""

    def is_it(definition: Definition) -> bool:
        sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
        found = occurrence(definition)
        if len(sums) != 1 or found is None or mismatches(definition) == 0:
            return False
        return extent(definition.iters) == points and extent(sums[0].iters) == inner

    return some(is_it)


def transformed(most: int) -> Form:
    """At most so many products at a call, in the transformed domain of a bilinear algorithm."""

    def is_it(program: Program) -> bool:
        called = split_constants(program, frozenset("F"))[1]
        found = [o for o in map(occurrence, called.definitions()) if o is not None]
        return bool(found) and sum(o.products for o in found) <= most

    return is_it


# -- cases -------------------------------------------------------------------------------------------


def _phases(n: int, c: int, h: int, o: int, variant: str, verdict: str) -> Case:
    """Four dense 2 x 2 convolutions, with 9 products for a tile of 2 x 2 instead of 16."""
    tiles = -(-h // 2)
    return Case(
        28, f"Winograd F(2, 2), convT4x4 stride 2, {c}x{h}x{h}", variant,
        transposed(n, c, h, o, 4, 2, 1), transformed(n * c * o * 36 * tiles * tiles), verdict, 10.0, "F",
        looks=30,
    )  # fmt: skip


def _winograd(
    n: int, c: int, h: int, variant: str, verdict: str = "chosen", turned: bool = False
) -> Case:
    tiles = -(-h // 2)
    form = transformed(n * c * c * 16 * tiles * tiles)  # of 36 products for each tile of 2 x 2
    text = TURNED.format(n=n, c=c, h=h) if turned else conv(n, c, h, c, 3, 3)
    title = f"Winograd {c}x{h}x{h}" + (", filters turned" if turned else "")
    return Case(28, title, variant, text, form, verdict, 60.0, "F", looks=30)


def _strided(
    n: int, c: int, h: int, k: int, outputs: int, products: int, variant: str, verdict: str
) -> Case:
    """Taps of stride 2 in classes, with so many products for so many outputs along each axis."""
    pad, size = (k - 1) // 2, (h - 1) // 2 + 1
    tiles = -(-size // outputs)
    text = (
        f"def f(I: f32[{n}, {c}, {h}, {h}], F: f32[{c}, {c}, {k}, {k}]) -> Y: f32[{n}, {c}, {size}, {size}]:\n"
        f"    Y[n, o, y, x] = sum[c, r, s]((I[n, c, 2*y + r - {pad}, 2*x + s - {pad}] else 0.0) * F[o, c, r, s])\n"
    )
    return Case(
        28, f"Winograd, conv{k}x{k} stride 2, {c}x{h}x{h}", variant, text,
        transformed(n * c * c * (products * tiles) ** 2), verdict, 10.0, "F", looks=30,
    )  # fmt: skip


ONE_BY_ONE = (
    Case(14, "conv1x1 512x7x7", "stated", conv(1, 512, 7, 512, 1, 1), one_kernel(512 * 49, 512)),
    Case(
        14, "conv1x1 16x256x14x14", "stated, batched", conv(16, 256, 14, 64, 1, 1),
        one_kernel(16 * 64 * 196, 256),
    ),
    Case(
        14, "conv1x1 3x37x11x11", "prime, batched", conv(3, 37, 11, 29, 1, 1),
        one_kernel(3 * 29 * 121, 37),
    ),
    Case(14, "conv1x1 9x15x15", "odd", conv(1, 9, 15, 21, 1, 1), one_kernel(21 * 225, 9)),
)  # fmt: skip

ONE_PIXEL = (
    Case(
        15, "DCGAN layer 1", "stated", transposed(1, 100, 1, 512, 4, 1, 0),
        sum_of_products(8192, 100), looks=5,
    ),
    Case(
        15, "one pixel, 16 images", "batched", transposed(16, 100, 1, 512, 4, 1, 0),
        product(16, 8192, 100), looks=5,
    ),
    Case(
        15, "one pixel, 5x5 taps", "odd, prime, batched", transposed(3, 37, 1, 29, 5, 1, 0),
        product(3, 725, 37), looks=5,
    ),
    Case(
        15, "one pixel, padded, stride 2", "odd", transposed(1, 99, 1, 511, 4, 2, 1),
        sum_of_products(4 * 511, 99), looks=5,
    ),
)  # fmt: skip

ONE_ROW = (
    Case(
        17, "conv1x7", "stated", conv(1, 2048, 7, 128, 1, 7), product(896, 49, 2048), "either",
    ),
    Case(
        17, "conv1x7, weights bound", "stated", conv(1, 2048, 7, 128, 1, 7),
        product(896, 49, 2048), "either", constants="F",
    ),
    Case(17, "conv7x1", "odd, prime", conv(1, 67, 13, 31, 7, 1), product(217, 169, 67), "either"),
    Case(
        17, "conv1x7 at 7x11", "batched, prime", conv(5, 13, 7, 31, 1, 7, w=11),
        product(217, 385, 13), "either", looks=150,
    ),
)  # fmt: skip

THREE_BY_THREE = (
    Case(
        19, "conv3x3 form (A), channels last", "stated", nhwc(1, 512, 7, 512),
        product(4608, 49, 512), "either", 10.0,
    ),
    Case(
        19, "conv3x3 form (A), channels last, weights bound", "stated", nhwc(1, 512, 7, 512),
        product(4608, 49, 512), "rejected", 10.0, "K",
    ),
    Case(
        19, "conv3x3 form (A), channels first", "stated", conv(1, 512, 7, 512, 3, 3),
        product(4608, 49, 512), "either", 10.0,
    ),
    Case(
        19, "conv3x3 form (A)", "odd, batched", conv(3, 33, 7, 17, 3, 3),
        product(153, 147, 33), "either", 10.0,
    ),
    Case(
        19, "conv3x3 form (A), channels last", "prime, batched", nhwc(3, 37, 11, 29),
        product(261, 363, 37), "either", 10.0,
    ),
    Case(
        20, "conv3x3 over taps and channels at once", "stated", nhwc(1, 512, 7, 512),
        one_kernel(49 * 512, 4608), "either", 10.0,
    ),
    Case(
        20, "conv3x3 over taps and channels at once", "odd, prime, batched", nhwc(3, 61, 13, 29),
        one_kernel(3 * 169 * 29, 549), "either", 10.0,
    ),
)  # fmt: skip

STRIDED = (
    Case(
        21, "convT4x4 stride 2, form (C)", "stated", transposed(16, 448, 2, 256, 4, 2, 1),
        product(64, 4096, 448), "chosen", 10.0,
    ),
    Case(
        21, "convT4x4 stride 2 from inserted zeros", "stated",
        zeros_inserted(16, 448, 2, 256, 4, 2, 1), product(64, 4096, 448), "chosen", 10.0,
    ),
    Case(
        21, "convT4x4 stride 2, four dense 2x2", "stated", transposed(16, 448, 2, 256, 4, 2, 1),
        phases(16 * 256 * 16, 448 * 4), "either", 10.0,
    ),
    Case(
        21, "convT3x3 stride 2", "odd, batched", transposed(3, 33, 5, 25, 3, 2, 1),
        product(75, 225, 33), "either", 10.0,
    ),
    Case(
        21, "convT5x5 stride 3 from inserted zeros", "prime, batched",
        zeros_inserted(2, 31, 7, 23, 5, 3, 1), product(98, 575, 31), "either", 10.0, looks=200,
    ),
    Case(
        21, "convT5x5 stride 3", "odd", transposed(1, 33, 7, 25, 5, 3, 1),
        product(49, 625, 33), "chosen", 10.0,
    ),
    Case(
        22, "last layer of DCGAN", "stated", transposed(1, 64, 32, 3, 4, 2, 1),
        product(1024, 48, 64), "chosen", 10.0,
    ),
    Case(
        22, "last layer of DCGAN", "batched", transposed(16, 64, 32, 3, 4, 2, 1),
        product(16384, 48, 64), "chosen", 10.0,
    ),
    Case(
        22, "last layer of DCGAN", "odd, prime", transposed(1, 61, 31, 3, 5, 2, 2),
        product(961, 75, 61), "either", 10.0,
    ),
)  # fmt: skip

DILATED = (
    Case(
        24, "dilated 512x14x14", "stated", conv(1, 512, 14, 512, 3, 3, d=2),
        at_least(1, residues_as_batch(2, 2)), "rejected", 10.0,
    ),
    Case(
        24, "dilated 64x15x15, guarded", "odd", conv(1, 64, 15, 64, 3, 3, d=2),
        at_least(1, residues_as_batch(2, 2)), "rejected", 10.0,
    ),
    Case(
        24, "dilated by three", "prime, batched", conv(2, 7, 13, 5, 3, 3, d=3),
        at_least(1, residues_as_batch(3, 2)), "rejected", 10.0,
    ),
    Case(
        24, "two dilated layers", "stated", chain(1, 512, 14, 2),
        at_least(2, residues_as_batch(2, 2)), "either", 10.0,
    ),
    Case(
        24, "two dilated layers by three", "prime, batched", chain(3, 7, 12, 3),
        at_least(2, residues_as_batch(3, 2)), "either", 10.0,
    ),
    Case(
        24, "two dilated layers at 15x15", "odd", chain(1, 9, 15, 2),
        at_least(2, residues_as_batch(2, 2)), "either", 10.0,
    ),
)  # fmt: skip

LARGE = (
    Case(25, "conv6x6", "stated", conv(1, 16, 224, 64, 6, 6), windows(256, 144), "rejected", 60.0),
    Case(
        25, "conv6x6", "odd, prime, batched", conv(3, 7, 29, 5, 6, 6), windows(20, 63),
        "either", 60.0,
    ),
    Case(25, "conv9x9", "stated", conv(8, 16, 224, 32, 9, 9), windows(288, 144), "rejected", 60.0),
    Case(
        25, "conv9x9", "odd, prime, batched", conv(3, 5, 23, 7, 9, 9), windows(63, 45),
        "either", 60.0,
    ),
    Case(25, "conv5x5", "stated", conv(16, 32, 224, 1, 5, 5), windows(4, 288), "rejected", 60.0),
    Case(25, "conv5x5", "prime, batched", conv(3, 7, 13, 5, 5, 5), windows(20, 63), "either", 60.0),
    Case(25, "conv7x5", "odd, prime", conv(1, 5, 23, 3, 7, 5), windows(18, 45), "either", 60.0),
)  # fmt: skip

WINOGRAD = (
    _winograd(1, 64, 56, "stated"),
    _winograd(1, 256, 14, "stated"),
    _winograd(2, 128, 29, "odd, batched"),
    _winograd(3, 61, 23, "prime, batched"),
    _winograd(1, 64, 56, "stated", turned=True),
    _winograd(3, 61, 23, "prime, batched", turned=True),
    # Sixteen tiles are just enough: measured 1.85 times as fast (docs/performance.md).
    _winograd(1, 512, 7, "stated"),
    # One tile fewer along an axis is not.
    _winograd(1, 64, 5, "odd", "refused"),
    _phases(1, 256, 8, 128, "stated", "chosen"),
    _phases(16, 256, 8, 128, "stated, batched", "chosen"),
    _phases(1, 128, 15, 64, "odd", "either"),
    _phases(3, 61, 13, 29, "prime, batched", "either"),
    _strided(1, 128, 56, 3, 2, 5, "stated", "chosen"),  # F(2, 2) of two taps and of one
    _strided(2, 37, 29, 3, 2, 5, "odd, prime, batched", "either"),
    _strided(1, 64, 56, 5, 2, 7, "odd", "chosen"),  # F(2, 3) of three taps and of two
    _strided(1, 64, 14, 3, 2, 5, "stated", "either"),
    _strided(1, 128, 7, 3, 2, 5, "odd", "refused"),  # four tiles
    _phases(1, 512, 4, 256, "stated", "refused"),  # each transformed filter meets four tiles
)

CASES = (
    *ONE_BY_ONE,
    *ONE_PIXEL,
    *ONE_ROW,
    *THREE_BY_THREE,
    *STRIDED,
    *DILATED,
    *LARGE,
    *WINOGRAD,
)
