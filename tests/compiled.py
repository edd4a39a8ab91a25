"""Compiles a loop module and calls it: a small stand-alone harness of the kernel ABI for tests.

The pool is a serial one written in IR, which runs chunks of `grain` iterations and hands the worker
numbers out in turn, so that outlined loops are exercised without threads.
"""

from __future__ import annotations

import ctypes
from functools import partial

import llvmlite.binding as llvm
import numpy as np

from tcomp.codegen.emit import emit
from tcomp.codegen.host import host_target
from tcomp.codegen.llvm import compile_object

POOL = """
define void @test_parallel(ptr %context, ptr %task, ptr %closure, i64 %count, i64 %grain) {
entry:
  %threads.at = getelementptr i8, ptr %context, i64 16
  %threads = load i32, ptr %threads.at
  %threads64 = zext i32 %threads to i64
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %end, %body ]
  %worker = phi i64 [ 0, %entry ], [ %turn, %body ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %far = add i64 %i, %grain
  %last = icmp slt i64 %far, %count
  %end = select i1 %last, i64 %far, i64 %count
  call void %task(ptr %closure, i64 %i, i64 %end, i64 %worker)
  %next = add i64 %worker, 1
  %turn = urem i64 %next, %threads64
  br label %head
done:
  ret void
}
"""


class Context(ctypes.Structure):
    _fields_ = (
        ("parallel", ctypes.c_void_p),
        ("pool", ctypes.c_void_p),
        ("threads", ctypes.c_int32),
        ("status", ctypes.c_int32),
    )


class Compiled:
    """A loaded module; call it with arrays in the order of its arguments. Returns the status."""

    def __init__(self, module, target=None, threads=3):
        self.target = target or host_target()
        self.emitted = emit(module, self.target)
        self.threads = threads
        code = compile_object(self.emitted.text, self.target)
        pool = compile_object(f'target triple = "{self.target.triple}"\n{POOL}', self.target)
        self._jit = llvm.create_lljit_compiler()
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_object_img(pool)
        builder.add_current_process()
        names = (self.emitted.entry, "test_parallel")
        for name in names:
            builder.export_symbol(name)
        self._tracker = builder.link(self._jit, f"test{id(self)}")
        self.entry = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)(
            self._tracker[self.emitted.entry]
        )
        self._pool = self._tracker["test_parallel"]
        width = self.emitted.shared_bytes + threads * self.emitted.private_bytes + 64
        self._workspace = np.full(width, 0xA5, np.uint8)

    def __call__(self, *arrays):
        return self.prepared(*arrays)()

    def prepared(self, *arrays):
        """The call as a function without arguments, for repeated calls."""
        buffers = (ctypes.c_void_p * max(1, len(arrays)))(*[a.ctypes.data for a in arrays])
        context = Context(self._pool, None, self.threads, -1)
        workspace = -(-self._workspace.ctypes.data // 64) * 64
        return partial(self.entry, ctypes.byref(context), buffers, None, workspace)
