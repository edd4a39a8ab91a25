; Part of the thread pool. See pool_ir.py for the design and the meaning of the $NAMES$, which it replaces.

; A worker counts itself asleep before it looks at the generation once more (in the system's call), the caller
; stores the generation before it looks at the count: one of them sees the other.

define internal void @sleep_while(ptr %pool, i64 %seen) noinline {
  %p.sleepers = getelementptr i8, ptr %pool, i64 $SLEEPERS$
  %p.syscall = getelementptr i8, ptr %pool, i64 $syscall$
  %syscall = load ptr, ptr %p.syscall
  %word = getelementptr i8, ptr %pool, i64 4
  %seen32 = trunc i64 %seen to i32
  %b = atomicrmw add ptr %p.sleepers, i32 1 seq_cst
  ; FUTEX_WAIT_PRIVATE = 128
  %r = call i64 (i64, ...) %syscall(i64 $FUTEX$, ptr %word, i32 128, i32 %seen32, ptr null)
  %a = atomicrmw sub ptr %p.sleepers, i32 1 seq_cst
  ret void
}

define internal void @wake_all(ptr %pool) noinline {
  %p.syscall = getelementptr i8, ptr %pool, i64 $syscall$
  %syscall = load ptr, ptr %p.syscall
  %word = getelementptr i8, ptr %pool, i64 4
  ; FUTEX_WAKE_PRIVATE = 129
  %r = call i64 (i64, ...) %syscall(i64 $FUTEX$, ptr %word, i32 129, i32 2147483647, ptr null)
  ret void
}
