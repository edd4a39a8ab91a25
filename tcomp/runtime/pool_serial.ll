; Part of the thread pool. See pool_ir.py for the design and the meaning of the $NAMES$, which it replaces.

define void @tcomp_parallel(ptr %context, ptr %task, ptr %closure, i64 %count, i64 %grain) {
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %run, label %end
run:
  call void %task(ptr %closure, i64 0, i64 %count, i64 0)
  br label %end
end:
  ret void
}
