"""Prints how fast contractions are, beside NumPy and the machine's multiply-add peak of the same rounds.

    python tools/bench_contractions.py                    every group, 1 thread
    python tools/bench_contractions.py --threads 2 cubes  some of them

Contenders take turns in every round, results go into given arrays (`tcomp.cli.timing`). The peak is a
kernel of twelve independent sums in registers, measured in the same rounds: on a machine that is shared,
only figures of one round compare.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MATMUL = "def product(A: f32[{a}], B: f32[{b}]) -> C: f32[M, N]:\n    C[i, j] = sum[k](A[{x}] * B[{y}])\n"
CONV = """
def product[stride=1, pad=0](A: f32[N, C, H, W], B: f32[O, C, R, S])
        -> Y: f32[N, O, (H + 2*pad - R)//stride + 1, (W + 2*pad - S)//stride + 1]:
    Y[n, o, y, x] = sum[c, r, s](
        (A[n, c, y*stride + r - pad, x*stride + s - pad] else 0) * B[o, c, r, s])
"""


@dataclass(frozen=True)
class Workload:
    """A product of two arrays; `peer` is NumPy's way, if it has one worth timing."""

    name: str
    text: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    operations: float
    peer: Callable[[Any, Any, Any], object] | None = None
    params: tuple[tuple[str, int], ...] = ()


def matmul(m: int, n: int, k: int, layout: str = "nn") -> Workload:
    left, right = layout[0] == "t", layout[1] == "t"
    text = MATMUL.format(
        a="K, M" if left else "M, K",
        b="N, K" if right else "K, N",
        x="k, i" if left else "i, k",
        y="j, k" if right else "k, j",
    )

    def peer(a: Any, b: Any, out: Any) -> object:
        import numpy as np

        return np.matmul(a.T if left else a, b.T if right else b, out=out)

    shapes = ((k, m) if left else (m, k), (n, k) if right else (k, n))
    return Workload(f"{m}x{n}x{k} {layout}", text, shapes, 2.0 * m * n * k, peer)


def batched(count: int, m: int, n: int, k: int) -> Workload:
    text = (
        "def product(A: f32[Z, M, K], B: f32[Z, K, N]) -> C: f32[Z, M, N]:\n"
        "    C[z, i, j] = sum[k](A[z, i, k] * B[z, k, j])\n"
    )

    def peer(a: Any, b: Any, out: Any) -> object:
        import numpy as np

        return np.matmul(a, b, out=out)

    shapes = ((count, m, k), (count, k, n))
    return Workload(f"{count} x {m}x{n}x{k}", text, shapes, 2.0 * count * m * n * k, peer)


def convolution(
    image: tuple[int, int, int, int], filters: tuple[int, int, int], stride: int = 1, pad: int = 0
) -> Workload:
    n, c, h, w = image
    o, r, s = filters
    points = n * o * ((h + 2 * pad - r) // stride + 1) * ((w + 2 * pad - s) // stride + 1)
    name = f"{n}x{c}x{h}x{w}, {o} of {r}x{s}, stride {stride}"
    weights = (o, c, r, s)
    params = (("stride", stride), ("pad", pad))
    return Workload(name, CONV, (image, weights), 2.0 * points * c * r * s, None, params)


def einsum(out: str, left: str, right: str, **extents: int) -> Workload:
    axes = [", ".join(f"{c.upper()}_" for c in letters) for letters in (left, right, out)]
    summed = sorted((set(left) | set(right)) - set(out))
    text = (
        f"def product(A: f32[{axes[0]}], B: f32[{axes[1]}]) -> C: f32[{axes[2]}]:\n"
        f"    C[{', '.join(out)}] = sum[{', '.join(summed)}]"
        f"(A[{', '.join(left)}] * B[{', '.join(right)}])\n"
    )
    operations = 2.0
    for letter in {*left, *right}:
        operations *= extents[letter]

    def peer(a: Any, b: Any, result: Any) -> object:
        import numpy as np

        return np.einsum(f"{left},{right}->{out}", a, b, out=result, optimize=True)

    shapes = tuple(extents[c] for c in left), tuple(extents[c] for c in right)
    return Workload(f"{out}-{left}-{right}", text, shapes, operations, peer)


def groups() -> dict[str, list[Workload]]:
    """Workloads by kind."""
    size = dict.fromkeys("abcd", 24) | dict.fromkeys("ef", 24)
    return {
        "cubes": [matmul(n, n, n) for n in (32, 64, 100, 128, 256, 384, 512, 1000, 1024, 2048)],
        "layouts": [
            matmul(n, n, n, t) for n in (64, 256, 1024) for t in ("nn", "tn", "nt", "tt")
        ],
        "skinny": [
            matmul(16384, 64, 64), matmul(64, 16384, 64), matmul(64, 64, 16384),
            matmul(16, 4096, 1024), matmul(512, 8, 512), matmul(8, 4096, 4096, "nt"),
            matmul(2, 4096, 4096), matmul(2, 4096, 4096, "nt"),
        ],
        "vectors": [
            matmul(1, n, n, t) for n in (256, 1024, 4096) for t in ("nn", "nt")
        ] + [matmul(4096, 1, 4096)],
        "batches": [batched(32, 128, 128, 64), batched(512, 16, 16, 16), batched(64, 197, 64, 64)],
        "convolutions": [
            convolution((1, 64, 56, 56), (64, 3, 3), 1, 1),
            convolution((1, 64, 56, 56), (64, 1, 1)),
            convolution((1, 128, 28, 28), (128, 3, 3), 1, 1),
            convolution((1, 256, 14, 14), (256, 3, 3), 1, 1),
            convolution((1, 512, 7, 7), (512, 3, 3), 1, 1),
            convolution((1, 3, 224, 224), (64, 7, 7), 2, 3),
            convolution((1, 128, 56, 56), (128, 3, 3), 2, 1),
        ],
        "tensors": [
            einsum("abcd", "aebf", "dfce", **size), einsum("abcd", "ebad", "ce", **size),
            einsum("abc", "bda", "dc", a=72, b=72, c=72, d=72),
            einsum("bqhd", "bhqk", "bkhd", b=2, q=128, h=8, d=64, k=128),
        ],
    }  # fmt: skip


def measure(workloads: list[Workload], threads: int) -> Iterator[str]:
    """A line for each workload: speed, NumPy's, the ratio, and the share of the peak."""
    import numpy as np

    import tcomp
    from tcomp.cli.timing import Contender, interleave

    peak, operations = peak_kernel(threads)
    rng = np.random.default_rng(0)
    for w in workloads:
        a, b = (rng.standard_normal(s, dtype=np.float32) for s in w.shapes)
        f = tcomp.compile(w.text, threads=threads, params=dict(w.params))
        out = f(a, b)
        contenders = [Contender("peak", peak), Contender("ours", lambda: f(a, b, out=out))]  # noqa: B023
        if w.peer is not None:
            theirs = np.empty_like(out)
            w.peer(a, b, theirs)
            gap = float(np.max(np.abs(out - theirs)) / np.max(np.abs(theirs)))
            if not gap < 1e-4:
                sys.exit(f"{w.name}: results differ by {gap}")
            contenders.append(Contender("NumPy", lambda: w.peer(a, b, theirs)))  # noqa: B023
        best = {t.name: t.best for t in interleave(contenders, budget=1.0)}
        ours = w.operations / best["ours"] * 1e-9
        share = ours / (operations / best["peak"] * 1e-9)
        line = f"{w.name:38} {best['ours'] * 1e3:9.4f} ms {ours:7.1f} GFLOP/s {share:6.1%} of peak"
        if "NumPy" in best:
            line += f"   NumPy {w.operations / best['NumPy'] * 1e-9:7.1f}   ratio {best['NumPy'] / best['ours']:5.2f}"
        yield line


def peak_kernel(threads: int) -> tuple[Callable[[], object], float]:
    """A call that only multiplies and adds, and how many operations it makes."""
    import numpy as np

    from tcomp.codegen.emit import emit
    from tcomp.codegen.host import host_target
    from tcomp.codegen.llvm import compile_object
    from tcomp.ir.dtypes import f32
    from tcomp.ir.integer import Int
    from tcomp.ir.loop import nodes as loop
    from tcomp.runtime.artifact import Argument, Artifact
    from tcomp.runtime.kernel import load

    target = host_target()
    lanes, steps, sums = target.lanes(32), 20_000, 12
    out = loop.Buffer("out", f32, threads * lanes, loop.Space.ARGUMENT)
    task = loop.LoopVar("task", 0, threads - 1)
    step = loop.LoopVar("step", 0, steps - 1)
    values = [loop.Local(f"sum{i}", f32, lanes) for i in range(sums)]
    factor = loop.Const(0.5, f32, lanes)
    body: list[loop.Stmt] = [
        loop.Declare(v, loop.Const(float(i), f32, lanes)) for i, v in enumerate(values)
    ]
    adds = tuple(loop.Assign(v, loop.Op("fma", (v, factor, factor), f32)) for v in values)
    body.append(loop.For(step, Int.of(0), Int.of(steps), adds))
    total: loop.Expr = values[0]
    for value in values[1:]:
        total = loop.Op("add", (total, value), f32)
    body.append(loop.Store(out, Int.of(task) * lanes, total))
    tasks = loop.For(task, Int.of(0), Int.of(threads), tuple(body), parallel=threads > 1)
    module = loop.Module("peak", (out,), (loop.Function("peak", (out,), (tasks,)),))
    emitted = emit(module, target)
    artifact = Artifact(
        compile_object(emitted.text, target),
        emitted.entry,
        (Argument("out", "f32", (threads * lanes,), True),),
        emitted.shared_bytes,
        emitted.private_bytes,
    )
    kernel, result = load(artifact, threads), np.empty(threads * lanes, np.float32)
    return lambda: kernel(out=result), 2.0 * threads * steps * sums * lanes


def main() -> None:
    from tcomp.cli.timing import limit_threads

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", help="which groups; all of them if none is named")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    known = groups()
    if unknown := [g for g in arguments.groups if g not in known]:
        sys.exit(f"no group is called {unknown[0]}; there are {', '.join(known)}")
    print(f"{arguments.threads} thread(s)")
    for name in arguments.groups or known:
        print(f"\n{name}")
        for line in measure(known[name], arguments.threads):
            print(line, flush=True)


if __name__ == "__main__":
    main()
