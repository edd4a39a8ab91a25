"""Object code into the process: our linker and LLVM's agree, and both refuse what they cannot link."""

from __future__ import annotations

import ctypes
import gc
import platform
import random
import sys
from pathlib import Path

import pytest
import runtime_kernels as kernels

from tcomp.runtime import elf
from tcomp.runtime.jit import compile_support, load_object, load_with_llvm

own_linker = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and platform.machine() == "x86_64"),
    reason="the linker is for x86-64 Linux",
)

# Constant pools, a jump table, addresses of functions in a table, calls within and out of the object.
VARIED = """
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare double @llvm.floor.f64(double)
declare i32 @abs(i32)
@table = internal constant [3 x ptr] [ptr @twice, ptr @thrice, ptr @magnitude]
@weights = internal constant [4 x double] [double 1.0, double 10.0, double 100.0, double 1000.0], align 32

define internal i32 @twice(i32 %x) { %y = mul i32 %x, 2 ret i32 %y }
define internal i32 @thrice(i32 %x) noinline { %y = mul i32 %x, 3 ret i32 %y }
define internal i32 @magnitude(i32 %x) noinline { %y = call i32 @abs(i32 %x) ret i32 %y }

define i32 @pick(i32 %which, i32 %x) {
  %wide = zext i32 %which to i64
  %p = getelementptr ptr, ptr @table, i64 %wide
  %f = load ptr, ptr %p
  %y = call i32 %f(i32 %x)
  ret i32 %y
}

define i32 @switch(i32 %x) {
  switch i32 %x, label %other [
    i32 0, label %a
    i32 1, label %b
    i32 2, label %c
    i32 3, label %d
    i32 4, label %e
    i32 5, label %f
  ]
a:
  ret i32 7
b:
  %u = call i32 @thrice(i32 %x)
  ret i32 %u
c:
  ret i32 -5
d:
  ret i32 1000
e:
  %v = call i32 @magnitude(i32 -12)
  ret i32 %v
f:
  ret i32 77
other:
  ret i32 0
}

define double @weigh(ptr %x, i64 %i) {
  %p = getelementptr double, ptr @weights, i64 %i
  %w = load double, ptr %p
  %v = load double, ptr %x
  %f = call double @llvm.floor.f64(double %v)
  %r = fmul double %w, %f
  ret double %r
}

define void @clear(ptr %x, i64 %n) {
  call void @llvm.memset.p0.i64(ptr %x, i8 0, i64 %n, i1 false)
  ret void
}
"""

NAMES = ["pick", "switch", "weigh", "clear"]


def answers(library):
    pick = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)(library.address("pick"))
    switch = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(library.address("switch"))
    weigh = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_int64)(
        library.address("weigh")
    )
    clear = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(library.address("clear"))
    value = ctypes.c_double(2.75)
    block = (ctypes.c_uint8 * 8)(*range(1, 9))
    clear(block, 5)
    return (
        [pick(n, -21) for n in range(3)],
        [switch(n) for n in range(8)],
        [weigh(ctypes.byref(value), n) for n in range(4)],
        list(block),
    )


EXPECTED = (
    [-42, -63, 21],
    [7, 3, -5, 1000, 12, 77, 0, 0],
    [2.0, 20.0, 200.0, 2000.0],
    [0, 0, 0, 0, 0, 6, 7, 8],
)


@pytest.mark.parametrize("loader", [load_object, load_with_llvm])
def test_loaded_code_works(loader):
    assert answers(loader(compile_support(VARIED), NAMES)) == EXPECTED


@own_linker
def test_our_linker_takes_it():
    parsed = elf.read(compile_support(VARIED))
    assert parsed is not None
    assert answers_of_mapping(elf.link(parsed, NAMES)) == EXPECTED


def answers_of_mapping(mapping):
    class View:
        def address(self, name):
            return mapping.addresses[name]

    return answers(View())


@own_linker
def test_code_is_not_writable():
    mapping = elf.link(elf.read(compile_support(VARIED)), NAMES)
    page = mapping.addresses["pick"] & ~0xFFF
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(x, 16) for x in line.split()[0].split("-"))
        if begin <= page < end:
            assert line.split()[1].startswith("r-x")
            return
    pytest.fail("the code is not mapped")


@own_linker
def test_memory_is_given_back():
    def mapped():
        lines = Path("/proc/self/maps").read_text().splitlines()
        return sum("r-xp" in line and not line.split()[5:] for line in lines)

    code = compile_support(VARIED)
    gc.collect()
    before = mapped()
    libraries = [load_object(code, NAMES) for _ in range(50)]
    assert len({lib.address("pick") for lib in libraries}) == 50
    libraries.clear()
    gc.collect()
    assert mapped() <= before + 1


def test_writable_data_goes_to_llvm():
    text = """
@counter = internal global i64 5
define i64 @count() {
  %x = load i64, ptr @counter
  %y = add i64 %x, 1
  store i64 %y, ptr @counter
  ret i64 %y
}
"""
    code = compile_support(text)
    assert elf.read(code) is None
    library = load_object(code, ["count"])
    count = ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("count"))
    assert [count(), count()] == [6, 7]


@pytest.mark.parametrize("loader", [load_object, load_with_llvm])
def test_missing_symbols(loader):
    code = compile_support(VARIED)
    with pytest.raises(RuntimeError):
        loader(code, ["pick", "absent"])
    outside = compile_support(
        "declare i32 @tcomp_no_such_function()\n"
        "define i32 @f() { %x = call i32 @tcomp_no_such_function() ret i32 %x }"
    )
    with pytest.raises(RuntimeError):
        loader(outside, ["f"])


def test_what_is_no_object():
    for data in (b"", b"\x7fELF", b"MZ" * 100, kernels.add((3,)).to_bytes()):
        assert elf.read(data) is None


@own_linker
def test_damaged_objects_do_not_break_the_reader():
    code = compile_support(VARIED)
    chance = random.Random(3)
    for _ in range(300):
        damaged = bytearray(code)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        elf.read(bytes(damaged))  # an object or None, never a crash
