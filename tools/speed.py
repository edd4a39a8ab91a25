"""Prints how fast tcomp starts, compiles, calls and computes, beside NumPy where NumPy can do the same.

    python tools/speed.py            everything, text
    python tools/speed.py --json     one JSON object
    python tools/speed.py softmax    some of it

Times are the minimum and the median; contenders take turns in every round (`tcomp.benchmarks.timing`). Each figure is
measured in a process of its own, with the threads it names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

Facts = dict[str, Any]

MATMUL = """
def matmul(A: f32[M, K], B: f32[K, N]) -> C: f32[M, N]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
"""
CHAIN = """
def chain(a: f32[N], b: f32[N], c: f32[N]) -> Y: f32[N]:
    Y[i] = tanh(a[i] * b[i] + c[i]) * sigmoid(a[i])
"""
SOFTMAX = """
def softmax(X: f32[M, N]) -> P: f32[M, N]:
    m[i] = max[j](X[i, j])
    E[i, j] = exp(X[i, j] - m[i])
    P[i, j] = E[i, j] / sum[k](E[i, k])
"""
SMALL = """
def small(a: f32[N], b: f32[N], c: f32[N]) -> Y: f32[N]:
    Y[i] = a[i] * b[i] + c[i]
"""
MATVEC = """
def matvec(A: f32[M, K], v: f32[K]) -> y: f32[M]:
    y[i] = sum[k](A[i, k] * v[k])
"""
PRODUCT = """
def product(A: f32[M, K], B: f32[K, N], v: f32[N]) -> y: f32[M]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
"""
CONVOLUTION = """
def convolution(I: f32[1, 64, 56, 56], F: f32[64, 64, 3, 3]) -> Y: f32[1, 64, 56, 56]:
    Y[n, o, y, x] = sum[c, r, s]((I[n, c, y + r - 1, x + s - 1] else 0) * F[o, c, r, s])
"""
# What `tuned` tunes: a name, a program, its sizes.
TUNED = (
    ("convolution 3x3, 64 channels, 56 x 56", CONVOLUTION, {}),
    ("skinny product 4096 x 64 x 64", MATMUL, {"M": 4096, "K": 64, "N": 64}),
    ("softmax 4096 x 1024", SOFTMAX, {"M": 4096, "N": 1024}),
)
TUNE_SECONDS = 20.0


def start() -> list[Facts]:
    """Seconds of `import tcomp` once NumPy is loaded, and of `tcomp --help` as a process."""
    imports = [_child("import_seconds")["seconds"] for _ in range(15)]
    helps = [_process([sys.executable, "-m", "tcomp", "--help"]) for _ in range(15)]
    return [
        _row("import tcomp, beyond NumPy", min(imports), _median(imports)),
        _row("tcomp --help", min(helps), _median(helps)),
    ]


def import_seconds() -> Facts:
    """The time of an import that nothing else did before, NumPy's excepted."""
    import numpy  # noqa: F401

    for name in [n for n in sys.modules if n.partition(".")[0] == "tcomp"]:
        del sys.modules[name]
    begin = time.perf_counter()
    import tcomp

    del tcomp
    return {"seconds": time.perf_counter() - begin}


def compilation() -> list[Facts]:
    """Seconds from program text to the first result."""
    with tempfile.TemporaryDirectory() as folder:
        uncached = [_child("first_result", TCOMP_CACHE_DIR=f"{folder}/{n}") for n in range(5)]
        cached = [_child("first_result", TCOMP_CACHE_DIR=f"{folder}/0") for n in range(5)]
    rows = []
    for kind, runs in (("uncached", uncached), ("cached", cached)):
        for phase in ("cold", "warm"):
            values = [r[phase] for r in runs]
            note = "LLVM loaded" if phase == "warm" else "first of the process"
            rows.append(_row(f"text to result, {kind}, {note}", min(values), _median(values)))
    return rows


def first_result() -> Facts:
    """In a fresh process: the first program, then a second one with everything loaded."""
    import numpy as np

    import tcomp

    facts = {}
    a = np.ones(64, np.float32)
    for phase, text in (("cold", SMALL), ("warm", SMALL.replace("c[i]", "2 * c[i]"))):
        begin = time.perf_counter()
        tcomp.compile(text)(a, a, a)
        facts[phase] = time.perf_counter() - begin
    return facts


def call() -> list[Facts]:
    """Seconds of a call on three small arrays; the kernel itself takes some nanoseconds."""
    return _rows(_child("call_child", threads=1))


def call_child() -> Facts:
    import numpy as np

    import tcomp

    f = tcomp.compile(SMALL, threads=1)
    a, b, c = (np.ones(16, np.float32) for _ in range(3))
    out = f(a, b, c)
    return _timed(
        ("call, 3 arrays of 16, fresh result", lambda: f(a, b, c)),
        ("call, 3 arrays of 16, into out", lambda: f(a, b, c, out=out)),
        ("NumPy a * b + c on the same", lambda: a * b + c),
    )


def matmul() -> list[Facts]:
    """1024 x 1024 x 1024 in f32."""
    return [r for t in _thread_counts() for r in _rows(_child("matmul_child", threads=t))]


def matmul_child() -> Facts:
    import numpy as np

    import tcomp

    rng = np.random.default_rng(0)
    A, B = (rng.standard_normal((1024, 1024)).astype(np.float32) for _ in range(2))
    f = tcomp.compile(MATMUL)
    return _against_numpy(
        "matmul 1024^3", f, (A, B), lambda: A @ B, lambda o: np.matmul(A, B, out=o)
    )


def chain() -> list[Facts]:
    """tanh(a * b + c) * sigmoid(a) on 16 M elements, f32."""
    return [r for t in _thread_counts() for r in _rows(_child("chain_child", threads=t))]


def chain_child() -> Facts:
    import numpy as np

    import tcomp

    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(1 << 24).astype(np.float32) for _ in range(3))
    f = tcomp.compile(CHAIN)
    return _against_numpy(
        "tanh(a*b+c)*sigmoid(a), 16 M", f, (a, b, c), lambda: np.tanh(a * b + c) / (1 + np.exp(-a))
    )


def softmax() -> list[Facts]:
    """Softmax over the rows of 4096 x 1024 in f32."""
    return [r for t in _thread_counts() for r in _rows(_child("softmax_child", threads=t))]


def softmax_child() -> Facts:
    import numpy as np

    import tcomp

    X = np.random.default_rng(0).standard_normal((4096, 1024)).astype(np.float32)

    def peer() -> Any:
        E = np.exp(X - X.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)

    return _against_numpy("softmax 4096 x 1024", tcomp.compile(SOFTMAX), (X,), peer)


def derived() -> list[Facts]:
    """(A B) v at 1024 with everything defaulted, two hand-called matrix-vector products, and NumPy."""
    return [r for t in _thread_counts() for r in _rows(_child("derived_child", threads=t))]


def derived_child() -> Facts:
    import numpy as np

    import tcomp

    rng = np.random.default_rng(0)
    A, B = (rng.standard_normal((1024, 1024)).astype(np.float32) for _ in range(2))
    v = rng.standard_normal(1024).astype(np.float32)
    whole, matvec = tcomp.compile(PRODUCT), tcomp.compile(MATVEC)
    gap = np.max(np.abs(whole(A, B, v) - A @ (B @ v))) / np.max(np.abs(A @ (B @ v)))
    if not gap < 1e-4:
        sys.exit(f"(A B) v differs by {gap}")
    threads = os.environ["TCOMP_NUM_THREADS"]
    name = f"(A B) v, 1024, {threads} thread{'s' if threads != '1' else ''}"
    return _timed(
        (f"{name}: tcomp", lambda: whole(A, B, v)),
        (f"{name}: two tcomp matrix-vector products", lambda: matvec(A, matvec(B, v))),
        (f"{name}: NumPy (A @ B) @ v", lambda: (A @ B) @ v),
    )


def tuned() -> list[Facts]:
    """Kernels with their analytical schedules and with those that some seconds of tuning found."""
    return _rows(_child("tuned_child", threads=_thread_counts()[-1]))


def tuned_child() -> Facts:
    import numpy as np

    import tcomp

    rows: list[Facts] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text, sizes in TUNED:
            file = f"{folder}/{name.split()[0]}.db"
            tcomp.tune(text, sizes=sizes, seconds=TUNE_SECONDS, database=file, progress=False)
            before = tcomp.compile(text, sizes=sizes, tune="off")
            after = tcomp.compile(text, sizes=sizes, database=file)
            rng = np.random.default_rng(0)
            shapes = [[int(n) for n in t.shape] for t in before.stages().program.inputs]
            arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
            out = before(*arrays)
            after(*arrays, out=out)
            rows += _timed(
                (f"{name}: analytical", lambda f=before, a=arrays, o=out: f(*a, out=o)),
                (f"{name}: tuned", lambda f=after, a=arrays, o=out: f(*a, out=o)),
            )["rows"]
    return {"rows": rows}


FIGURES: dict[str, Callable[[], list[Facts]]] = {
    f.__name__: f for f in (start, compilation, call, matmul, chain, softmax, derived, tuned)
}
CHILDREN = {
    f.__name__: f
    for f in (
        import_seconds,
        first_result,
        call_child,
        matmul_child,
        chain_child,
        softmax_child,
        derived_child,
        tuned_child,
    )
}


def _against_numpy(
    name: str, f: Any, arrays: tuple[Any, ...], peer: Any, peer_out: Any = None
) -> Facts:
    import numpy as np

    threads = os.environ["TCOMP_NUM_THREADS"]
    name = f"{name}, {threads} thread{'s' if threads != '1' else ''}"
    ours, theirs = f(*arrays), peer()
    gap = float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
    if not gap < 1e-4:
        sys.exit(f"{name}: results differ by {gap}")
    contenders = [
        (f"{name}: tcomp", lambda: f(*arrays)),
        (f"{name}: tcomp, into out", lambda: f(*arrays, out=ours)),
        (f"{name}: NumPy", peer),
    ]
    if peer_out is not None:
        contenders.append((f"{name}: NumPy, into out", lambda: peer_out(theirs)))
    return _timed(*contenders)


def _timed(*contenders: tuple[str, Callable[[], object]]) -> Facts:
    from tcomp.benchmarks.timing import Contender, interleave

    timings = interleave([Contender(n, c) for n, c in contenders])
    return {"rows": [_row(t.name, t.best, t.median) for t in timings]}


def _thread_counts() -> list[int]:
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return [1, 2] if cores > 1 else [1]


def _row(name: str, best: float, median: float) -> Facts:
    return {"name": name, "best": best, "median": median}


def _rows(facts: Facts) -> list[Facts]:
    rows: list[Facts] = facts["rows"]
    return rows


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _process(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _child(name: str, threads: int = 1, **environment: str) -> Facts:
    """Runs a function of this file in a process with that many threads and processors."""
    environment |= {"TCOMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--child", name, str(threads)]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"{name} failed")
    facts: Facts = json.loads(done.stdout)
    return facts


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--child"]:
        from tcomp.benchmarks.timing import limit_threads

        limit_threads(int(arguments[2]))
        print(json.dumps(CHILDREN[arguments[1]]()))
        return
    as_json = "--json" in arguments
    names = [a for a in arguments if a != "--json"] or list(FIGURES)
    if unknown := [n for n in names if n not in FIGURES]:
        sys.exit(f"no figure is called {unknown[0]}; there are {', '.join(FIGURES)}")
    rows = []
    for name in names:
        for row in FIGURES[name]():
            rows.append(row)
            if not as_json:
                print(f"{row['name']:58} {_show(row['best'])}  {_show(row['median'])}", flush=True)
    if as_json:
        print(json.dumps({"figures": rows}))


def _show(value: float) -> str:
    scale, unit = next(
        ((s, u) for s, u in ((1, "s "), (1e-3, "ms"), (1e-6, "us")) if value >= s), (1e-9, "ns")
    )
    return f"{value / scale:8.3g} {unit}"


if __name__ == "__main__":
    main(sys.argv[1:])
