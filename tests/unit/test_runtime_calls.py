"""Calls of kernels: the compiled fast path, the slow path, and that nobody sees which one it was."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import numpy as np
import pytest
import runtime_kernels as kernels

from tcomp.diagnostics import BindingError
from tcomp.runtime.kernel import load
from tcomp.runtime.support import support

rng = np.random.default_rng(0)


def pair(shape, dtype=np.float32):
    return tuple((rng.standard_normal(shape) * 8).astype(dtype) for _ in range(2))


@pytest.fixture(params=["wrapper", "python"])
def either_path(request, monkeypatch):
    """Runs a test on the compiled wrapper, and once more as on interpreters where it does not work."""
    if request.param == "python":
        monkeypatch.setattr("tcomp.runtime.kernel.make_callable", lambda kernel, slow, fail: slow)
    return request.param


@pytest.mark.parametrize(
    "shape", [(), (1,), (7,), (3, 5), (2, 1, 13), (0,), (4, 0, 3), (1, 1, 1, 1, 1)]
)
@pytest.mark.parametrize("element", ["f32", "f64", "i32", "u8"])
def test_results_are_numpys(either_path, shape, element):
    kernel = load(kernels.add(shape, element), 1)
    a, b = pair(shape, kernel.artifact.arguments[0].element.numpy)
    result = kernel(a, b)
    assert type(result) is np.ndarray
    assert result.shape == shape and result.dtype == a.dtype
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(result, a + b)
    assert result.flags.c_contiguous and result.flags.writeable


def test_arguments_by_name(either_path):
    kernel = load(kernels.add((5,)), 1)
    a, b = pair((5,))
    for result in (kernel(A=a, B=b), kernel(a, B=b), kernel(B=b, A=a)):
        np.testing.assert_array_equal(result, a + b)


def test_out_is_written_and_returned(either_path):
    kernel = load(kernels.add((3, 5)), 1)
    a, b = pair((3, 5))
    out = np.empty((3, 5), np.float32)
    before = sys.getrefcount(out)
    for _ in range(100):
        assert kernel(a, b, out=out) is out
    assert sys.getrefcount(out) == before
    np.testing.assert_array_equal(out, a + b)


def test_several_results(either_path):
    kernel = load(kernels.two_results(6), 1)
    x = np.arange(6, dtype=np.float32)
    lo, hi = kernel(x)
    np.testing.assert_array_equal(lo, x)
    np.testing.assert_array_equal(hi, 2 * x)
    outs = (np.empty(6, np.float32), np.empty(6, np.float32))
    again = kernel(x, out=outs)
    assert isinstance(again, tuple) and all(a is b for a, b in zip(again, outs, strict=True))
    np.testing.assert_array_equal(outs[1], 2 * x)
    kernel(x, out=list(outs))
    with pytest.raises(BindingError) as caught:
        kernel(x, out=outs[:1])
    assert caught.value.code == "TC078"


LAYOUTS = {
    "transposed": lambda a: np.asfortranarray(a),
    "reversed": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "every other": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder("S")),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "memory map": None,
    "subclass": lambda a: a.view(type("Sub", (np.ndarray,), {})),
    "buffer": lambda a: memoryview(a),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_inputs(either_path, layout, tmp_path):
    kernel = load(kernels.add((4, 7)), 1)
    a, b = pair((4, 7))
    if layout == "memory map":
        odd = np.memmap(tmp_path / "a.bin", np.float32, "w+", shape=a.shape)
        odd[...] = a
    else:
        odd = LAYOUTS[layout](a)
    result = kernel(odd, b)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, a + b)
    np.testing.assert_array_equal(kernel(b, odd), a + b)


def test_stride_zero_input(either_path):
    kernel = load(kernels.add((4, 7)), 1)
    a, b = pair((4, 7))
    np.testing.assert_array_equal(kernel(np.broadcast_to(b[0], (4, 7)), a), a + b[0])


def test_strided_out(either_path):
    kernel = load(kernels.add((4, 7)), 1)
    a, b = pair((4, 7))
    store = np.zeros((8, 14), np.float32)
    for view in (store[::2, ::2], store[3::-1, 6::-1], store.T[:8:2, :7], store[:4, :7]):
        store[...] = -1
        assert kernel(a, b, out=view) is view
        np.testing.assert_array_equal(view, a + b)
        assert (store == -1).sum() == store.size - view.size
    swapped = np.empty((4, 7), ">f4")
    np.testing.assert_array_equal(kernel(a, b, out=swapped), a + b)


def test_out_that_must_not_be(either_path):
    kernel = load(kernels.add((8,)), 1)
    a, b = pair((8,))
    store = np.zeros(12, np.float32)
    frozen = np.zeros(8, np.float32)
    frozen.flags.writeable = False
    cases = [
        ("TC080", (a, b), a),
        ("TC080", (store[:8], b), store[4:]),
        ("TC080", (store[4:], b), store[:8]),
        ("TC080", (a, b), a[::-1]),
        ("TC079", (a, b), frozen),
        ("TC074", (a, b), np.zeros(8)),
        ("TC076", (a, b), np.zeros(9, np.float32)),
        ("TC075", (a, b), np.zeros((8, 1), np.float32)),
        ("TC080", (a, b), np.lib.stride_tricks.as_strided(store, (8,), (0,))),
        ("TC078", (a, b), (store[:8], store[4:])),
        ("TC077", (a, b), "no array"),
    ]
    for code, inputs, out in cases:
        with pytest.raises(BindingError) as caught:
            kernel(*inputs, out=out)
        assert caught.value.code == code, (code, caught.value)
    both = np.zeros(9, np.float32)
    with pytest.raises(BindingError) as caught:
        load(kernels.two_results(6), 1)(a[:6], out=(both[:6], both[3:]))
    assert caught.value.code == "TC080"


def test_touching_but_apart(either_path):
    kernel = load(kernels.add((8,)), 1)
    store = np.arange(24, dtype=np.float32)
    expected = store[:8] + store[16:]
    kernel(store[:8], store[16:], out=store[8:16])
    np.testing.assert_array_equal(store[8:16], expected)
    evens, odds = np.zeros(16, np.float32)[::2], np.zeros(16, np.float32)
    kernel(odds[1::2], evens, out=odds[::2])  # interleaved, not overlapping


@pytest.mark.parametrize(
    ("args", "named", "code", "says"),
    [
        ((1, 2, 3), {}, "TC070", "3 arguments were given, expected 2"),
        ((), {}, "TC071", "'A', 'B'"),
        (("a",), {}, "TC071", "'B'"),
        ((), {"A": "a", "b": "a"}, "TC072", "did you mean 'B'"),
        (("a", "a"), {"B": "a"}, "TC073", "'B'"),
        (("d", "a"), {}, "TC074", "float64"),
        (("a", "3d"), {}, "TC075", "'B'"),
        (("long", "a"), {}, "TC076", "size 9, not 8"),
        (([1.0] * 8, "a"), {}, "TC077", "'A' is no array but a list"),
        ((None, "a"), {}, "TC077", "NoneType"),
        (("masked", "a"), {}, "TC077", "filled"),
        (("objects", "a"), {}, "TC074", "object"),
        (("complex", "a"), {}, "TC074", "complex64"),
    ],
)
def test_wrong_arguments(either_path, args, named, code, says):
    arrays = {
        "a": np.zeros(8, np.float32),
        "d": np.zeros(8),
        "3d": np.zeros((8, 1, 1), np.float32),
        "long": np.zeros(9, np.float32),
        "masked": np.ma.masked_array(np.zeros(8, np.float32)),
        "objects": np.zeros(8, object),
        "complex": np.zeros(8, np.complex64),
    }

    def pick(value):
        return arrays[value] if isinstance(value, str) else value

    kernel = load(kernels.add((8,)), 1)
    with pytest.raises(BindingError) as caught:
        kernel(*map(pick, args), **{k: pick(v) for k, v in named.items()})
    assert caught.value.code == code
    assert says in str(caught.value)
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, ValueError)


def test_fault_is_an_index_error(either_path):
    kernel = load(kernels.gather(5, 3), 1)
    table = np.arange(5, dtype=np.float32)
    out = np.zeros(3, np.float32)
    before = sys.getrefcount(out)
    for bad in ([0, 5, 1], [-1, 0, 0]):
        for keywords in ({}, {"out": out}):
            with pytest.raises(IndexError, match="'E' along axis 0"):
                kernel(table, np.array(bad, np.int32), **keywords)
    assert sys.getrefcount(out) <= before + 1  # the last traceback may hold one
    np.testing.assert_array_equal(kernel(table, np.array([4, 0, 2], np.int32)), [4, 0, 2])


def test_constants_are_bound(either_path):
    a, b = pair((6,))
    kernel = load(kernels.add((6,)), 1, constants={"B": b[::-1]})
    assert [p.name for p in kernel.parameters] == ["A"]
    np.testing.assert_array_equal(kernel(a), a + b[::-1])
    np.testing.assert_array_equal(kernel(A=a[::-1]), a[::-1] + b[::-1])
    with pytest.raises(BindingError):
        load(kernels.add((6,)), 1, constants={"B": np.zeros(5, np.float32)})


def test_wrapper_hands_everything_else_on():
    kernel = load(kernels.add((6,)), 1)
    a, b = pair((6,))
    seen = []

    def slow(*args, **named):
        seen.append((args, named))
        return "slow"

    function = kernel.callable(slow)
    np.testing.assert_array_equal(function(a, b), a + b)
    assert not seen
    odd = a.astype(np.float64)
    assert function(odd, b, out=None) == "slow" and seen[-1] == ((odd, b), {"out": None})
    assert function(a, B=b) == "slow" and function() == "slow" and function(x=1, y=2) == "slow"


def test_error_in_slow_callable_passes_through():
    def slow(*args):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        load(kernels.add((6,)), 1).callable(slow)(1, 2)


def test_function_outlives_its_kernel():
    a, b = pair((6,))
    functions = [load(kernels.add((6,)), 1).function for _ in range(20)]
    gc.collect()
    for function in functions:
        np.testing.assert_array_equal(function(a, b), a + b)


def test_dropped_kernels_are_freed():
    kernel = load(kernels.add((6,)), 1)
    library = kernel.library.owner
    alive = weakref.ref(library)
    kernel(*pair((6,)))
    del kernel, library
    gc.collect()
    assert alive() is None


def test_no_reference_is_lost_or_leaked():
    kernel = load(kernels.two_results(6), 1)
    x = np.arange(6, dtype=np.float32)
    counts = (sys.getrefcount(x), sys.getrefcount(x.dtype))
    for _ in range(1000):
        kernel(x)
        kernel(x[::-1])
    assert sys.getrefcount(x) == counts[0]
    assert abs(sys.getrefcount(x.dtype) - counts[1]) < 10


def test_many_python_threads():
    kernel = load(kernels.two_results(1000), 1)
    matrix = load(kernels.matmul(17, 9, 11), 2)
    a, b = pair((17, 11))[0], pair((11, 9))[0]
    expected = a @ b
    failures = []

    def work(seed):
        x = np.full(1000, seed, np.float32)
        for _ in range(200):
            lo, hi = kernel(x)
            if not ((lo == seed).all() and (hi == 2 * seed).all()):
                failures.append(seed)
            if not np.allclose(matrix(a, b), expected, atol=1e-4):
                failures.append("matmul")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_wrapper_is_in_use_here():
    if sys.implementation.name == "cpython" and "t" not in sys.abiflags:
        assert support().call
        assert type(load(kernels.add((1,)), 1).function).__name__ == "builtin_function_or_method"


def test_timing_counts_calls():
    kernel = load(kernels.add((64,)), 1)
    samples = kernel.time(pair((64,)), rounds=3, region=1e-4)
    assert len(samples) == 3 and all(s > 0 for s in samples)


def test_timing_reports_faults():
    kernel = load(kernels.gather(5, 2), 1)
    with pytest.raises(IndexError):
        kernel.time((np.zeros(5, np.float32), np.array([0, 9], np.int32)), rounds=1)


def test_prepared_calls_work_in_one_place():
    """A workspace that is new in every call is timed with its page faults (a race lost its fastest form so)."""
    kernel = load(kernels.two_results(1 << 18), 1)
    (a, _) = pair((1 << 18,))
    outputs = [np.zeros_like(a), np.zeros_like(a)]
    prepared = kernel.prepare([a], outputs)
    used = prepared.workspace
    for calls in (1, 2, 5):
        used[:] = 0
        assert prepared.seconds(calls) > 0
        np.testing.assert_array_equal(used[: a.nbytes].view(np.float32), a)
    np.testing.assert_array_equal(outputs[1], 2 * a)
