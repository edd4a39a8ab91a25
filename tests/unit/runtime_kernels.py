"""Kernels written by hand in LLVM IR, as the kernel ABI asks for, to test the runtime alone."""

from __future__ import annotations

from functools import cache

from tcomp.runtime.artifact import Argument, Artifact
from tcomp.runtime.jit import compile_support


@cache
def compiled(text: str) -> bytes:
    return compile_support(text)


def _loop(body: str, count: str) -> str:
    """A loop of i over [0, count) around `body`; count may be 0."""
    return f"""
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp slt i64 %i, {count}
  br i1 %more, label %body, label %done
body:
{body}
  %i.next = add i64 %i, 1
  br label %head
done:
"""


_TYPES = {
    "f32": ("float", "fadd"),
    "f64": ("double", "fadd"),
    "i32": ("i32", "add"),
    "u8": ("i8", "add"),
}


def add_text(count: int, element: str) -> str:
    kind, op = _TYPES[element]
    body = f"""
  %pa = getelementptr {kind}, ptr %a, i64 %i
  %pb = getelementptr {kind}, ptr %b, i64 %i
  %pc = getelementptr {kind}, ptr %c, i64 %i
  %x = load {kind}, ptr %pa
  %y = load {kind}, ptr %pb
  %z = {op} {kind} %x, %y
  store {kind} %z, ptr %pc"""
    return f"""
define i32 @add(ptr %context, ptr %buffers, ptr %sizes, ptr %workspace) {{
entry:
  %a = load ptr, ptr %buffers
  %p1 = getelementptr ptr, ptr %buffers, i64 1
  %b = load ptr, ptr %p1
  %p2 = getelementptr ptr, ptr %buffers, i64 2
  %c = load ptr, ptr %p2
{_loop(body, str(count))}
  ret i32 0
}}
"""


def add(shape: tuple[int, ...], element: str = "f32") -> Artifact:
    """C = A + B, elementwise."""
    count = 1
    for extent in shape:
        count *= extent
    arguments = (
        Argument("A", element, shape),
        Argument("B", element, shape),
        Argument("C", element, shape, result=True),
    )
    return Artifact(compiled(add_text(count, element)), "add", arguments)


def two_results(count: int) -> Artifact:
    """(lo, hi): lo = A, hi = A + A, in f32; goes through the workspace, which it fills first."""
    body = """
  %pa = getelementptr float, ptr %a, i64 %i
  %pw = getelementptr float, ptr %workspace, i64 %i
  %pl = getelementptr float, ptr %lo, i64 %i
  %ph = getelementptr float, ptr %hi, i64 %i
  %x = load float, ptr %pa
  store float %x, ptr %pw
  %w = load float, ptr %pw
  %y = fadd float %w, %x
  store float %w, ptr %pl
  store float %y, ptr %ph"""
    text = f"""
define i32 @two(ptr %context, ptr %buffers, ptr %sizes, ptr %workspace) {{
entry:
  %a = load ptr, ptr %buffers
  %p1 = getelementptr ptr, ptr %buffers, i64 1
  %lo = load ptr, ptr %p1
  %p2 = getelementptr ptr, ptr %buffers, i64 2
  %hi = load ptr, ptr %p2
{_loop(body, str(count))}
  ret i32 0
}}
"""
    arguments = (
        Argument("A", "f32", (count,)),
        Argument("lo", "f32", (count,), result=True),
        Argument("hi", "f32", (count,), result=True),
    )
    return Artifact(compiled(text), "two", arguments, shared_bytes=4 * count)


def gather(table: int, count: int) -> Artifact:
    """Y[i] = E[ids[i]] with the check that the ABI asks for: fault 1 where an index is outside."""
    body = f"""
  %pi = getelementptr i32, ptr %ids, i64 %i
  %id = load i32, ptr %pi
  %inside = icmp ult i32 %id, {table}
  br i1 %inside, label %go, label %fault
fault:
  %ps = getelementptr i8, ptr %context, i64 20
  store i32 1, ptr %ps
  br label %go
go:
  %safe = select i1 %inside, i32 %id, i32 0
  %wide = zext i32 %safe to i64
  %pe = getelementptr float, ptr %e, i64 %wide
  %v = load float, ptr %pe
  %py = getelementptr float, ptr %y, i64 %i
  store float %v, ptr %py"""
    text = f"""
define i32 @gather(ptr %context, ptr %buffers, ptr %sizes, ptr %workspace) {{
entry:
  %e = load ptr, ptr %buffers
  %p1 = getelementptr ptr, ptr %buffers, i64 1
  %ids = load ptr, ptr %p1
  %p2 = getelementptr ptr, ptr %buffers, i64 2
  %y = load ptr, ptr %p2
{_loop(body, str(count)).replace("%i.next, %body", "%i.next, %go")}
  %p = getelementptr i8, ptr %context, i64 20
  %status = load i32, ptr %p
  ret i32 %status
}}
"""
    arguments = (
        Argument("E", "f32", (table,)),
        Argument("ids", "i32", (count,)),
        Argument("Y", "f32", (count,), result=True),
    )
    faults = ("an index of 'E' along axis 0 lies outside",)
    return Artifact(compiled(text), "gather", arguments, faults=faults)


def matmul(m: int, n: int, k: int, grain: int = 1) -> Artifact:
    """C = A B in f32, rows shared out over threads. Each thread sums in its private workspace block, so two
    tasks that wrongly have one worker number spoil each other's sums."""
    text = f"""
define internal void @rows(ptr %closure, i64 %begin, i64 %end, i64 %worker) {{
entry:
  %workspace = load ptr, ptr %closure
  %pa = getelementptr ptr, ptr %closure, i64 1
  %a = load ptr, ptr %pa
  %pb = getelementptr ptr, ptr %closure, i64 2
  %b = load ptr, ptr %pb
  %pc = getelementptr ptr, ptr %closure, i64 3
  %c = load ptr, ptr %pc
  %offset = mul i64 %worker, 64
  %sum = getelementptr i8, ptr %workspace, i64 %offset
  br label %row
row:
  %i = phi i64 [ %begin, %entry ], [ %i.next, %row.end ]
  %row.more = icmp slt i64 %i, %end
  br i1 %row.more, label %column, label %out
column:
  %j = phi i64 [ 0, %row ], [ %j.next, %store ]
  %column.more = icmp slt i64 %j, {n}
  br i1 %column.more, label %clear, label %row.end
clear:
  store volatile float 0.0, ptr %sum
  br label %inner
inner:
  %t = phi i64 [ 0, %clear ], [ %t.next, %accumulate ]
  %inner.more = icmp slt i64 %t, {k}
  br i1 %inner.more, label %accumulate, label %store
accumulate:
  %ia = mul i64 %i, {k}
  %ja = add i64 %ia, %t
  %ea = getelementptr float, ptr %a, i64 %ja
  %x = load float, ptr %ea
  %ib = mul i64 %t, {n}
  %jb = add i64 %ib, %j
  %eb = getelementptr float, ptr %b, i64 %jb
  %y = load float, ptr %eb
  %xy = fmul float %x, %y
  %s = load volatile float, ptr %sum
  %s.next = fadd float %s, %xy
  store volatile float %s.next, ptr %sum
  %t.next = add i64 %t, 1
  br label %inner
store:
  %ic = mul i64 %i, {n}
  %jc = add i64 %ic, %j
  %ec = getelementptr float, ptr %c, i64 %jc
  %total = load volatile float, ptr %sum
  store float %total, ptr %ec
  %j.next = add i64 %j, 1
  br label %column
row.end:
  %i.next = add i64 %i, 1
  br label %row
out:
  ret void
}}

define i32 @matmul(ptr %context, ptr %buffers, ptr %sizes, ptr %workspace) {{
entry:
  %closure = alloca [4 x ptr]
  store ptr %workspace, ptr %closure
  %to = getelementptr ptr, ptr %closure, i64 1
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %buffers, i64 24, i1 false)
  %parallel = load ptr, ptr %context
  call void %parallel(ptr %context, ptr @rows, ptr %closure, i64 {m}, i64 {grain})
  ret i32 0
}}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""
    arguments = (
        Argument("A", "f32", (m, k)),
        Argument("B", "f32", (k, n)),
        Argument("C", "f32", (m, n), result=True),
    )
    return Artifact(compiled(text), "matmul", arguments, private_bytes=64)


def copy(nbytes: int, arguments: tuple[Argument, ...]) -> Artifact:
    """The result's bytes are the first input's; calls memcpy, the one thing outside that kernels need."""
    text = f"""
define i32 @copy(ptr %context, ptr %buffers, ptr %sizes, ptr %workspace) {{
  %from = load ptr, ptr %buffers
  %last = getelementptr ptr, ptr %buffers, i64 {len(arguments) - 1}
  %to = load ptr, ptr %last
  %n = load volatile i64, ptr @bytes
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %n, i1 false)
  ret i32 0
}}
@bytes = internal constant i64 {nbytes}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""
    return Artifact(compiled(text), "copy", arguments)


def identity(shape: tuple[int, ...], element: str = "f32") -> Artifact:
    """Y = X, bit for bit."""
    source, result = Argument("X", element, shape), Argument("Y", element, shape, result=True)
    return copy(source.nbytes, (source, result))
