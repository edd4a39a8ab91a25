"""Groups that are equal but for names share a kernel: one function, called with other buffers."""

from __future__ import annotations

import numpy as np
import pytest

import tcomp
from tcomp import passes, schedule
from tcomp.codegen.emit import emit
from tcomp.ir.loop.nodes import Module, Repeat
from tcomp.ir.loop.printer import print_module
from tcomp.ir.loop.verifier import verify_module
from tcomp.ir.tensor.binding import bind
from tcomp.lang import lower, parse
from tests.unit.schedule_harness import WIDE, agree

STACK = """
def f(X: f32[9, 37], W0: f32[37, 37], W1: f32[37, 37], W2: f32[37, 37]) -> Y: f32[9, 37]:
    H = relu(matmul(X, W0))
    G = relu(matmul(H, W1))
    Y = relu(matmul(G, W2))
"""
CONVOLUTIONS = """
def f(X: f32[1, 8, 9, 11], A: f32[8, 8, 3, 3], B: f32[8, 8, 3, 3], C: f32[8, 8, 3, 3])
        -> Y: f32[1, 8, 9, 11]:
    H = relu(conv2d[pad=1](X, A))
    G = relu(conv2d[pad=1](H, B))
    Y = relu(conv2d[pad=1](G, C))
"""


def module_of(text: str) -> Module:
    plan = passes.plan(bind(lower(parse(text)), {}))
    traces = schedule.analytical(plan, WIDE, 2)
    module = schedule.lower(plan, traces, WIDE, 2)
    verify_module(module)
    return module


def repeats(module: Module) -> int:
    return sum(isinstance(kernel, Repeat) for kernel in module.kernels)


def drawn(text: str, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    program = bind(lower(parse(text)), {})
    return {
        t.name: rng.standard_normal([int(n) for n in t.shape]).astype(np.float32)
        for t in program.inputs
    }


@pytest.mark.parametrize("text", [STACK, CONVOLUTIONS])
def test_equal_layers_are_one_function(text: str) -> None:
    module = module_of(text)
    assert print_module(module) == print_module(module_of(text))  # the same every time
    agree(bind(lower(parse(text)), {}), drawn(text), tolerance=1e-3)


def long_stack(layers: int) -> str:
    weights = ", ".join(f"W{n}: f32[37, 37]" for n in range(layers))
    lines = [f"def f(X: f32[9, 37], {weights}) -> Y: f32[9, 37]:"]
    for n in range(layers):
        source = f"H{n - 1}" if n else "X"
        target = f"H{n}" if n < layers - 1 else "Y"
        lines.append(f"    {target} = relu(matmul({source}, W{n}))")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_layers_of_a_stack_are_emitted_once(bound: bool, threads: int) -> None:
    text = long_stack(7)
    arrays = drawn(text)
    expected = arrays["X"].astype(np.float64)
    for n in range(7):
        expected = np.maximum(expected @ arrays[f"W{n}"], 0)
    constants = {n: a for n, a in arrays.items() if n != "X"} if bound else {}
    free = [a for n, a in arrays.items() if n not in constants]
    f = tcomp.compile(text, constants=constants, threads=threads)
    scale = np.abs(expected).max()
    for _ in range(2):
        np.testing.assert_allclose(f(*free), expected, rtol=0, atol=3e-6 * scale)
    stages = f.stages()
    assert repeats(stages.loops) == 4  # all but the first two and the last
    if stages.packing is not None:
        assert repeats(stages.packing) == 4
    functions = [k for k in stages.loops.kernels if not isinstance(k, Repeat)]
    whole = [
        line for line in stages.emitted.text.splitlines() if line.startswith("define internal")
    ]
    assert sum("_task." not in line for line in whole) == len(functions)


def test_repeated_kernels_read_as_kernels_of_their_own() -> None:
    module = module_of(long_stack(5))
    found = [k for k in module.kernels if isinstance(k, Repeat)]
    assert len(found) == 2
    for kernel in found:
        alone = Module(module.name, module.arguments, (kernel,))
        verify_module(alone)
        assert kernel.body != kernel.of.body
        assert set(kernel.buffers) != set(kernel.of.buffers)
    agree(bind(lower(parse(long_stack(5))), {}), drawn(long_stack(5)), tolerance=1e-3)


def test_layers_of_other_shapes_are_not_shared() -> None:
    text = """
def f(X: f32[9, 37], A: f32[37, 37], B: f32[37, 38], C: f32[38, 37]) -> Y: f32[9, 37]:
    H = relu(matmul(X, A))
    G = relu(matmul(H, B))
    Y = relu(matmul(G, C))
"""
    assert repeats(module_of(text)) == 0


def test_constants_in_bodies_are_told_apart() -> None:
    text = """
def f(X: f32[9, 37], W: f32[37, 37]) -> (A: f32[9, 37], B: f32[9, 37], C: f32[9, 37]):
    A[i, j] = 2 * sum[k](X[i, k] * W[k, j])
    B[i, j] = 3 * sum[k](X[i, k] * W[k, j])
    C[i, j] = 2 * sum[k](X[i, k] * W[j, k])
"""
    module = module_of(text)
    assert repeats(module) == 0
    agree(bind(lower(parse(text)), {}), drawn(text), tolerance=1e-3)


def test_checks_keep_their_messages() -> None:
    text = """
def f(X: f32[5, 3], P: i64[4], Q: i64[4]) -> (A: f32[4, 3], B: f32[4, 3]):
    A[i, j] = X[P[i], j]
    B[i, j] = X[Q[i], j]
"""
    f = tcomp.compile(text)
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    good, bad = np.array([0, 4, 2, 1]), np.array([0, 5, 2, 1])
    for got in f(x, good, good):
        np.testing.assert_array_equal(got, x[good])
    with pytest.raises(IndexError):
        f(x, good, bad)


def test_two_results_by_one_kernel() -> None:
    """The first call's buffers are arguments of the caller, as are the second's."""
    text = """
def f(X: f32[33, 65], Y: f32[33, 65]) -> (A: f32[33, 65], B: f32[33, 65]):
    A = softmax(X)
    B = softmax(Y)
"""
    module = module_of(text)
    assert repeats(module) >= 1
    emit(module, WIDE)
    arrays = drawn(text)
    agree(bind(lower(parse(text)), {}), arrays)
    a, b = tcomp.compile(text)(arrays["X"], arrays["Y"])
    for got, given in ((a, arrays["X"]), (b, arrays["Y"])):
        wide = np.exp(given - given.max(1, keepdims=True), dtype=np.float64)
        np.testing.assert_allclose(got, wide / wide.sum(1, keepdims=True), rtol=1e-5)
