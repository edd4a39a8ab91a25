"""Arrays in and out: every element type, every kind of object, sizes solved from shapes."""

from __future__ import annotations

import array
import ctypes
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
import runtime_kernels as kernels

from tcomp.diagnostics import BindingError
from tcomp.ir import dtypes
from tcomp.ir.integer import Int, Size
from tcomp.ir.nibbles import pack_nibbles
from tcomp.runtime import arrays, binding, dlpack, outputs
from tcomp.runtime.artifact import Argument
from tcomp.runtime.kernel import load
from tcomp.runtime.memory import LARGE, Recycler, empty, recycler, size_class

UNPACKED = [t for t in dtypes.ALL if not t.is_packed]


@pytest.mark.parametrize("element", UNPACKED, ids=str)
@pytest.mark.parametrize("shape", [(), (5,), (3, 7), (0, 2)])
def test_every_type_passes_bit_for_bit(element, shape):
    bits = np.random.default_rng(1).integers(0, 2, (*shape, element.bytes), dtype=np.uint8)
    x = bits.copy().view(element.numpy).reshape(shape)
    kernel = load(kernels.identity(shape, element.name), 1)
    for source in (x, np.array(x, order="F")):
        result = kernel(source)
        assert result.dtype == element.numpy and result.shape == shape
        assert result.tobytes() == x.tobytes()
    out = np.empty(shape, element.numpy)
    kernel(x, out=out)
    assert out.tobytes() == x.tobytes()
    if shape == (3, 7):
        assert kernel(x[::-1, ::-1]).tobytes() == np.ascontiguousarray(x[::-1, ::-1]).tobytes()


@pytest.mark.parametrize("element", [dtypes.i4, dtypes.u4], ids=str)
@pytest.mark.parametrize("shape", [(6,), (3, 5), (2, 3, 1), (4, 0)])
def test_nibbles(element, shape):
    low = -8 if element.is_signed else 0
    values = np.random.default_rng(2).integers(low, low + 16, shape).astype(np.int8)
    logical, packed = values.astype(element.numpy), pack_nibbles(values)
    kernel = load(kernels.identity(shape, element.name), 1)
    for source in (packed, logical, logical[::-1][::-1], np.asfortranarray(packed)):
        np.testing.assert_array_equal(kernel(source), packed)
    for source in (packed, logical):
        out = np.zeros(shape, element.numpy)
        assert kernel(source, out=out) is out
        np.testing.assert_array_equal(out.astype(np.int8), values)
        out = np.full(packed.shape, 255, np.uint8)
        kernel(source, out=out)
        np.testing.assert_array_equal(out, packed)
    with pytest.raises(BindingError) as caught:
        kernel(values)
    assert caught.value.code == "TC074" and "ml_dtypes" in str(caught.value)
    if shape[-1] > 1:
        with pytest.raises(BindingError) as caught:
            kernel(values.astype(np.uint8))  # not packed: too long
        assert caught.value.code == "TC076"


# -- other objects -------------------------------------------------------------------------------------


class Producer:
    """Another library's array, known by the DLPack protocol alone."""

    def __init__(self, values, device=None):
        self.values, self.device = values, device

    def __dlpack__(self, **keywords):
        return self.values.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.device or self.values.__dlpack_device__()


def test_dlpack():
    kernel = load(kernels.add((4, 3)), 1)
    a = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(kernel(Producer(a), Producer(a)), a + a)
    strided = np.zeros((8, 6), np.float32)[::2, ::-2]
    np.testing.assert_array_equal(kernel(Producer(strided), a), a)
    out = np.empty_like(a)
    wrapped = Producer(out)
    assert kernel(a, a, out=wrapped) is wrapped
    np.testing.assert_array_equal(out, a + a)
    with pytest.raises(BindingError) as caught:
        kernel(Producer(a, device=(2, 0)), a)
    assert caught.value.code == "TC082" and "'A'" in str(caught.value)
    with pytest.raises(BindingError) as caught:
        kernel(a, a, out=Producer(a))
    assert caught.value.code == "TC080"


class NarrowProducer:
    """Exports a 2-D array by the unversioned DLPack exchange with a type code that NumPy does not import."""

    class Managed(ctypes.Structure):
        _fields_ = (
            ("tensor", dlpack._Tensor),
            ("context", ctypes.c_void_p),
            ("deleter", ctypes.c_void_p),
        )

    def __init__(self, values, code, bits=None):
        self.values, self.code, self.bits = values, code, bits or 8 * values.itemsize

    def __dlpack__(self, **keywords):
        if keywords:
            raise TypeError("an old producer without keywords")
        x = self.values
        self.shape = (ctypes.c_int64 * 2)(*x.shape)
        self.strides = (ctypes.c_int64 * 2)(*(s // x.itemsize for s in x.strides))
        self.managed = self.Managed()
        t = self.managed.tensor
        t.data, t.device_type, t.ndim = x.ctypes.data - 6, 1, 2
        t.code, t.bits, t.lanes, t.byte_offset = self.code, self.bits, 1, 6
        t.shape, t.strides = self.shape, self.strides
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.managed), b"dltensor", None)

    def __dlpack_device__(self):
        return (1, 0)


@pytest.mark.parametrize(
    ("element", "code"), [(dtypes.bf16, 4), (dtypes.f8e4m3, 10), (dtypes.f8e5m2, 12)], ids=str
)
def test_dlpack_of_narrow_floats(element, code):
    kernel = load(kernels.identity((3, 4), element.name), 1)
    x = np.arange(24).astype(element.numpy).reshape(3, 8)[::-1, ::2]
    assert kernel(NarrowProducer(x, code)).tobytes() == x.tobytes()
    out = np.zeros((3, 4), element.numpy)
    kernel(x, out=NarrowProducer(out, code))
    assert out.tobytes() == x.tobytes()
    with pytest.raises(BindingError) as caught:
        kernel(NarrowProducer(x, 99))
    assert caught.value.code == "TC077"


def test_buffer_protocol():
    kernel = load(kernels.add((4,)), 1)
    expected = np.array([2, 4, 6, 8], np.float32)
    sources = [
        array.array("f", [1, 2, 3, 4]),
        (ctypes.c_float * 4)(1, 2, 3, 4),
        memoryview(np.array([1, 2, 3, 4], np.float32)),
        memoryview(np.array([4, 3, 2, 1], np.float32))[::-1],
    ]
    for source in sources:
        np.testing.assert_array_equal(kernel(source, source), expected)
    target = array.array("f", [0] * 4)
    assert kernel(sources[0], sources[1], out=target) is target
    assert target.tolist() == expected.tolist()
    with pytest.raises(BindingError) as caught:
        kernel(sources[0], sources[1], out=memoryview(bytes(16)).cast("f"))
    assert caught.value.code == "TC079"


def test_array_interface():
    inner = np.arange(4, dtype=np.float32)
    source = SimpleNamespace(__array_interface__=inner.__array_interface__)
    np.testing.assert_array_equal(load(kernels.add((4,)), 1)(source, inner), inner + inner)


SCALARS = [
    ("f32", 1.5, 1.5),
    ("f32", 3, 3.0),
    ("f32", True, 1.0),
    ("f32", np.float64(0.1), np.float32(0.1)),
    ("f32", 1e300, np.inf),
    ("f16", 0.1, np.float16(0.1)),
    ("bf16", 0.1, ml_dtypes.bfloat16(0.1)),
    ("i8", -128, -128),
    ("i8", np.int64(7), 7),
    ("i8", True, 1),
    ("u64", 2**64 - 1, 2**64 - 1),
    ("bool", True, True),
    ("bool", np.bool(False), False),
]


@pytest.mark.parametrize(("element", "value", "expected"), SCALARS)
def test_numbers(element, value, expected):
    result = load(kernels.identity((), element), 1)(value)
    assert result.shape == () and result.dtype == dtypes.dtype(element).numpy
    assert result[()] == expected


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("i8", 128),
        ("u8", -1),
        ("i32", 1.0),
        ("i32", np.float32(1)),
        ("bool", 1),
        ("f32", 1j),
        ("u64", 2**64),
    ],
)
def test_numbers_that_do_not_fit(element, value):
    with pytest.raises(BindingError):
        load(kernels.identity((), element), 1)(value)


def test_number_for_an_array_is_an_error():
    with pytest.raises(BindingError) as caught:
        load(kernels.identity((3,)), 1)(2.0)
    assert caught.value.code == "TC075"


# -- results -------------------------------------------------------------------------------------------


def test_large_results_reuse_memory():
    recycler.clear()
    kernel = load(kernels.identity((LARGE,), "u8"), 1)
    x = np.arange(LARGE, dtype=np.uint32).astype(np.uint8)
    first = kernel(x)
    address = first.ctypes.data
    np.testing.assert_array_equal(first, x)
    assert first.flags.writeable and type(first) is np.ndarray
    view = first[10:20]
    del first
    second = kernel(x)
    assert second.ctypes.data != address  # a view still holds it
    np.testing.assert_array_equal(view, x[10:20])
    del view
    assert recycler.held_bytes == size_class(LARGE)
    third = kernel(x)
    assert third.ctypes.data == address and recycler.held_bytes == 0
    np.testing.assert_array_equal(second, x)
    np.testing.assert_array_equal(third, x)


@pytest.mark.parametrize("name", ["float32", "bool", "int64", "bfloat16", "float8_e4m3fn"])
def test_large_arrays_of_every_type(name):
    kind = np.dtype(getattr(np, name, None) or getattr(ml_dtypes, name))
    made = empty((3, LARGE), kind)
    assert made.shape == (3, LARGE) and made.dtype == kind and made.flags.c_contiguous
    made[...] = 1
    assert (made == 1).all()


def test_recycler_keeps_to_its_limit():
    small = Recycler(kept_bytes=5 << 20)
    blocks = [small.take(2 << 20) for _ in range(4)]
    for block in blocks:
        assert block.address % (2 << 20) == 0
        small.give(block)
    assert small.held_bytes == 4 << 20
    assert small.take(2 << 20) in blocks
    small.clear()
    assert small.held_bytes == 0


def test_size_classes_waste_little():
    for n in (1, 1 << 16, LARGE - 1, LARGE, LARGE + 1, 5 << 20, 100 << 20, (1 << 30) + 1):
        assert n <= size_class(n) <= max(n * 1.13 + (2 << 20), 1 << 16)
        assert size_class(size_class(n)) == size_class(n)


def test_impossible_sizes_are_memory_errors():
    with pytest.raises(MemoryError):
        empty((1 << 45,), np.dtype(np.float64))


def test_overlap_within_out():
    base = np.zeros(64, np.float32)
    strided = np.lib.stride_tricks.as_strided
    shared = [
        strided(base, (4, 4), (8, 4)),
        strided(base, (4,), (0,)),
        strided(base, (2, 8), (4, 4)),
    ]
    apart = [strided(base, (4, 4), (16, 4)), strided(base, (4, 4), (4, 16)), base[::-3], base[:0]]
    for each in shared:
        with pytest.raises(BindingError) as caught:
            outputs.given(each, Argument("Y", "f32", each.shape, True), [])
        assert caught.value.code == "TC080"
    for each in apart:
        outputs.given(each, Argument("Y", "f32", each.shape, True), [])


# -- sizes ---------------------------------------------------------------------------------------------


M, N, K = (Int.of(Size(name)) for name in "MNK")


def declared(name, *shape):
    return SimpleNamespace(name=name, shape=tuple(map(Int.of, shape)))


def solve(parameters, shapes, types=None, known=None):
    types = types or [dtypes.f32] * len(shapes)
    stored = [
        np.zeros(s, "u1" if t.is_packed else t.numpy) for s, t in zip(shapes, types, strict=True)
    ]
    return binding.bind_sizes(parameters, types, stored, known)


def test_sizes_from_shapes():
    parameters = [declared("X", M, K), declared("W", K, N), declared("b", N), declared("s")]
    assert solve(parameters, [(3, 0), (0, 5), (5,), ()]) == {"M": 3, "K": 0, "N": 5}


def test_expressions_are_checked():
    parameters = [declared("X", N), declared("P", N * 2 + 1, N // 2, 3)]
    assert solve(parameters, [(5,), (11, 2, 3)]) == {"N": 5}
    with pytest.raises(
        BindingError, match=r"'P' has size 3 along axis 1, expected 2 .*N = 5"
    ) as caught:
        solve(parameters, [(5,), (11, 3, 3)])
    assert caught.value.code == "TC076"
    with pytest.raises(BindingError, match="axis 2, expected 3"):
        solve(parameters, [(5,), (11, 2, 4)])


def test_contradicting_sizes_name_both_places():
    parameters = [declared("X", M, K), declared("W", K, N)]
    with pytest.raises(BindingError, match="'W' has size 5 along axis 0, expected 4") as caught:
        solve(parameters, [(3, 4), (5, 6)])
    assert "K = 4 from axis 1 of 'X'" in str(caught.value)
    with pytest.raises(BindingError, match="M = 2 from sizes="):
        solve(parameters, [(3, 4), (4, 6)], known={"M": 2})
    assert solve(parameters, [(3, 4), (4, 6)], known={"M": np.int64(3)}) == {"M": 3, "K": 4, "N": 6}
    for wrong in (-1, 2.0, True, "3"):
        with pytest.raises(BindingError) as caught:
            solve(parameters, [(3, 4), (4, 6)], known={"M": wrong})
        assert caught.value.code == "TC083"


def test_rank_and_type_come_first():
    with pytest.raises(BindingError) as caught:
        solve([declared("X", M, K)], [(3,)])
    assert caught.value.code == "TC075" and "[M, K]" in str(caught.value)
    with pytest.raises(BindingError) as caught:
        binding.bind_sizes([declared("X", M)], [dtypes.f32], [np.zeros(3)])
    assert caught.value.code == "TC074"


def test_packed_last_axis():
    w, x = declared("W", N, K), declared("X", M, K)
    assert solve([w], [(2, 3)], [dtypes.u4]) == {"N": 2, "K": 6}
    assert solve([w, x], [(2, 3), (1, 5)], [dtypes.u4, dtypes.f32]) == {"N": 2, "K": 5, "M": 1}
    with pytest.raises(BindingError):
        solve([w, x], [(2, 3), (1, 7)], [dtypes.u4, dtypes.f32])
    logical = np.zeros((2, 5), ml_dtypes.int4)
    assert binding.bind_sizes([w], [dtypes.i4], [logical]) == {"N": 2, "K": 5}


def test_generic_types():
    f32, f64, i8 = (np.zeros(1, t) for t in ("f4", "f8", "i1"))
    names = ["a", "b", "c"]
    bind = binding.bind_generics
    assert bind(["float", "int", "f32"], [f64, i8, f32], names) == {
        "float": dtypes.f64,
        "int": dtypes.i8,
    }
    assert bind(["float"], [np.zeros(1, ">f4")], ["a"]) == {"float": dtypes.f32}
    for types, values, code in [
        (["float", "float"], [f32, f64], "TC084"),
        (["float"], [i8], "TC074"),
        (["int"], [f32], "TC074"),
        (["int"], [np.zeros(1, bool)], "TC074"),
        (["float"], [np.zeros(1, object)], "TC074"),
    ]:
        with pytest.raises(BindingError) as caught:
            bind(types, values, names[: len(values)])
        assert caught.value.code == code


def test_exact_arrays_are_not_copied():
    x = np.zeros((3, 4), np.float32)
    argument = Argument("X", "f32", (3, 4))
    assert np.shares_memory(arrays.dense(arrays.as_array(x, "X"), argument), x)
    assert not np.shares_memory(arrays.dense(x[::-1], argument), x)
