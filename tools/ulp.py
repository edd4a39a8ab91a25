"""Measures the elementary functions: errors in units in the last place, operations, time.

    python tools/ulp.py [NAME ...] [--count N]      prints a table
    python tools/ulp.py --write                     writes docs/numerics.md
    python tools/ulp.py NAME --exhaustive           all 2**32 f32 arguments, against float64

Run from the repository's root.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tcomp.codegen.host import host_target
from tcomp.codegen.math import Accuracy, expand
from tcomp.ir.dtypes import DType, f32, f64
from tcomp.ir.loop.nodes import Local, Op, postorder
from tests.numerics.math_kernels import BLOCK, apply, compiled
from tests.numerics.math_reference import REFERENCES, argument_samples, true_value, ulp_error

PAGE = Path(__file__).parents[1] / "docs" / "numerics.md"
SLOW_REFERENCES = {"erf", "erfc", "gelu"}  # mpmath, one value at a time


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    dtype: DType
    accuracy: Accuracy
    operations: int
    nanoseconds: float
    worst: float
    at: tuple[float, ...]


def operations(name: str, arity: int, dtype: DType, accuracy: Accuracy) -> int:
    args = tuple(Local(f"x{k}", dtype, 8) for k in range(arity))
    expanded = expand(Op(name, args, dtype), accuracy)
    return sum(isinstance(n, Op) and n.op != "bitcast" for n in postorder(expanded))


def measure(name: str, dtype: DType, accuracy: Accuracy, count: int) -> Row:
    """The largest error over special values, all exponents and the function's interesting interval."""
    if dtype is f64 and name in SLOW_REFERENCES:
        count //= 30
    args = argument_samples(name, dtype.numpy, count)
    error = errors(name, dtype, accuracy, args)
    worst = int(np.argmax(error))
    time_taken = nanoseconds(name, dtype, accuracy, len(args))
    count = operations(name, len(args), dtype, accuracy)
    at = tuple(float(a[worst]) for a in args)
    return Row(name, dtype, accuracy, count, time_taken, float(error[worst]), at)


def errors(name: str, dtype: DType, accuracy: Accuracy, args: tuple[Any, ...]) -> Any:
    sources = (dtype,) * len(args)
    lanes = host_target().lanes(dtype.bits)
    result = apply(name, *args, sources=sources, result=dtype, accuracy=accuracy, lanes=lanes)
    return ulp_error(result, true_value(name, *args))


def nanoseconds(name: str, dtype: DType, accuracy: Accuracy, arity: int) -> float:
    """Time for one element in cache, on one thread; the minimum of many rounds."""
    lanes = host_target().lanes(dtype.bits)
    kernel = compiled(name, (dtype,) * arity, dtype, (None,) * arity, accuracy, lanes)
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.1, 2, BLOCK).astype(dtype.numpy) for _ in range(arity + 1)]
    call = kernel.prepared(*arrays)
    best = np.inf
    for _ in range(30):
        start = time.perf_counter()
        for _ in range(20):
            call()
        best = min(best, time.perf_counter() - start)
    return best / 20 / BLOCK * 1e9


def exhaustive(name: str, accuracy: Accuracy, stride: int) -> None:
    """Every f32 argument (or every `stride`th), 2**22 at a time."""
    worst, at = 0.0, 0.0
    for high in range(-(-(1 << 10) // stride)):
        bits = np.arange(high << 22, (high + 1) << 22, dtype=np.uint64) * stride
        bits = bits.astype(np.uint32)
        x = bits.view(np.float32)
        error = errors(name, f32, accuracy, (x,))
        k = int(np.argmax(error))
        if error[k] > worst:
            worst, at = float(error[k]), float(x[k])
    which = "all" if stride == 1 else f"every {stride}th of the"
    print(f"{name} {accuracy}: {worst:.4f} ULP at {at!r} over {which} f32", flush=True)


def table(rows: list[Row]) -> str:
    lines = ["| function | type | accuracy | ULP | operations | ns |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r.name} | {r.dtype.name} | {r.accuracy} | {r.worst:.2f} | {r.operations} "
        f"| {r.nanoseconds:.2f} |"
        for r in rows
    ]
    return "\n".join(lines)


PRODUCTS = """
## Products of narrow types

Integers are exact: sums wrap in the type of the sum, whatever words the products are cut into.

Products of bf16 and f16 are summed in f32. Where the processor multiplies pairs of bf16 faster than f32
(`vdpbf16ps`), "standard" and "fast" use it: products are exact in f32, sums are rounded to nearest even after
each product or each pair, and denormal operands, products and sums may count as zero, which changes a sum by less
than 2^-126 for each product. "strict" widens every element to f32 and keeps denormal numbers.

A factor that is the same within blocks of a sum (a scale for each 32 weights) may multiply the blocks' sums
instead of their elements, in every class: this leaves out one rounding of each product, and adds none.

Sums of products with integer codes (weights of 4 or 8 bits with a scale for each block) may be made in fixed point
in "standard" and "fast": up to 128 neighbouring elements of the other factor become integers of 23 bits and a sign,
parts of one power of two, and their products with the codes are summed exactly. An element is off by at most 2^-23 of
the largest in its group: on N(0, 1) and N(1000, 1) inputs the error of a sum was 0.1 to 0.6 of that of direct
evaluation, and about that of sums of floats by blocks. Groups with infinity, NaN, numbers whose sizes differ by more
than 2^16, or none above 2^-100 are summed as floats.
"""


def page(rows: list[Row], count: int) -> str:
    return f"""# Accuracy of the elementary functions

Written by `python tools/ulp.py --write`: do not edit. Largest errors found, in units in the last place,
over {count} arguments: special values, all exponents evenly, and each function's interesting interval
(f32 against float64, f64 against extended precision). *Operations* counts primitive operations for one
vector, rarely taken paths included; *ns* is the time for one element in cache on one core of the machine
that wrote the page ({host_target().cpu}). "standard" promises 4 ULP; "strict" 1 ULP for f32 and 2 for f64.

{table(rows)}
{PRODUCTS}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--exhaustive", action="store_true")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--accuracy", choices=["standard", "strict"], default="strict")
    options = parser.parse_args()
    names = options.names or sorted(REFERENCES)
    if options.exhaustive:
        for name in names:
            exhaustive(name, options.accuracy, options.stride)
        return
    rows = []
    for name in names:
        for dtype in (f32, f64):
            for accuracy in ("standard", "strict"):
                rows.append(measure(name, dtype, accuracy, options.count))  # type: ignore[arg-type]
                r = rows[-1]
                print(f"{name:10} {dtype} {accuracy:8} {r.worst:9.3f} ULP {r.operations:4} ops "
                      f"{r.nanoseconds:6.2f} ns at {r.at}", flush=True)  # fmt: skip
    if options.write:
        PAGE.write_text(page(rows, options.count))


if __name__ == "__main__":
    main()
