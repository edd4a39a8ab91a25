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

define internal void @begin(ptr %slot) noinline {
  %pool = load ptr, ptr %slot
  %p.syscall = getelementptr i8, ptr %pool, i64 $syscall$
  %syscall = load ptr, ptr %p.syscall
  %id = call i64 (i64, ...) %syscall(i64 $GETTID$)
  %p.id = getelementptr i8, ptr %slot, i64 16
  store atomic i64 %id, ptr %p.id release, align 8
  ret void
}

; Workers may run on any processor but the caller's. Where the scheduler wakes a worker there it waits for the
; end of the region that it should share: measured where wake-ups are packed onto few processors, 258 us for
; 132, call after call. Told anew when the caller has moved.
define internal void @keep_clear(ptr %pool) noinline {
entry:
  %mask = alloca [16 x i64], align 8
  %p.getcpu = getelementptr i8, ptr %pool, i64 $sched_getcpu$
  %getcpu = load ptr, ptr %p.getcpu
  %cpu = call i32 %getcpu()
  %p.home = getelementptr i8, ptr %pool, i64 $HOME$
  %home = load i32, ptr %p.home
  %stayed = icmp eq i32 %cpu, %home
  %beyond = icmp ugt i32 %cpu, 1023
  %leave = or i1 %stayed, %beyond
  br i1 %leave, label %end, label %moved
moved:
  store i32 %cpu, ptr %p.home
  %p.allowed = getelementptr i8, ptr %pool, i64 $ALLOWED$
  %allowed = load <16 x i64>, ptr %p.allowed, align 8
  store <16 x i64> %allowed, ptr %mask, align 8
  %number = lshr i32 %cpu, 6
  %p.word = getelementptr [16 x i64], ptr %mask, i32 0, i32 %number
  %place = and i32 %cpu, 63
  %place64 = zext i32 %place to i64
  %bit = shl i64 1, %place64
  %others = xor i64 %bit, -1
  %word = load i64, ptr %p.word
  %cleared = and i64 %word, %others
  store i64 %cleared, ptr %p.word
  %p.threads = getelementptr i8, ptr %pool, i64 $THREADS$
  %threads32 = load i32, ptr %p.threads
  %threads = zext i32 %threads32 to i64
  %p.syscall = getelementptr i8, ptr %pool, i64 $syscall$
  %syscall = load ptr, ptr %p.syscall
  br label %loop
loop:
  %n = phi i64 [ 1, %moved ], [ %n.next, %next ]
  %more = icmp ult i64 %n, %threads
  br i1 %more, label %tell, label %end
tell:
  %offset = mul i64 %n, $SLOT_BYTES$
  %at = add i64 %offset, $SLOTS$
  %slot = getelementptr i8, ptr %pool, i64 %at
  %p.id = getelementptr i8, ptr %slot, i64 16
  %id = load atomic i64, ptr %p.id acquire, align 8
  %begun = icmp ne i64 %id, 0
  br i1 %begun, label %set, label %later
set:
  %r = call i64 (i64, ...) %syscall(i64 $SETAFFINITY$, i64 %id, i64 128, ptr %mask)
  br label %next
later:
  store i32 -1, ptr %p.home
  br label %next
next:
  %n.next = add i64 %n, 1
  br label %loop
end:
  ret void
}

define internal void @wake_all(ptr %pool) noinline {
  call void @keep_clear(ptr %pool)
  %p.syscall = getelementptr i8, ptr %pool, i64 $syscall$
  %syscall = load ptr, ptr %p.syscall
  %word = getelementptr i8, ptr %pool, i64 4
  ; FUTEX_WAKE_PRIVATE = 129
  %r = call i64 (i64, ...) %syscall(i64 $FUTEX$, ptr %word, i32 129, i32 2147483647, ptr null)
  ret void
}
