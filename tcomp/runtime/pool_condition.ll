; Part of the thread pool. See pool_ir.py for the design and the meaning of the $NAMES$, which it replaces.

; A worker counts itself asleep before it looks at the generation once more (in the system's call), the caller
; stores the generation before it looks at the count: one of them sees the other.

define internal void @sleep_while(ptr %pool, i64 %seen) noinline {
entry:
  %p.sleepers = getelementptr i8, ptr %pool, i64 $SLEEPERS$
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX$
  %condition = getelementptr i8, ptr %pool, i64 $CONDITION$
  %p.lock = getelementptr i8, ptr %pool, i64 $pthread_mutex_lock$
  %lock = load ptr, ptr %p.lock
  %p.unlock = getelementptr i8, ptr %pool, i64 $pthread_mutex_unlock$
  %unlock = load ptr, ptr %p.unlock
  %p.wait = getelementptr i8, ptr %pool, i64 $pthread_cond_wait$
  %wait = load ptr, ptr %p.wait
  %b = atomicrmw add ptr %p.sleepers, i32 1 seq_cst
  %r0 = call i32 %lock(ptr %mutex)
  br label %look
look:
  %state = load atomic i64, ptr %pool seq_cst, align 8
  %generation = lshr i64 %state, 32
  %same = icmp eq i64 %generation, %seen
  br i1 %same, label %rest, label %up
rest:
  %r1 = call i32 %wait(ptr %condition, ptr %mutex)
  br label %look
up:
  %r2 = call i32 %unlock(ptr %mutex)
  %a = atomicrmw sub ptr %p.sleepers, i32 1 seq_cst
  ret void
}

define internal void @wake_all(ptr %pool) noinline {
  %mutex = getelementptr i8, ptr %pool, i64 $MUTEX$
  %condition = getelementptr i8, ptr %pool, i64 $CONDITION$
  %p.lock = getelementptr i8, ptr %pool, i64 $pthread_mutex_lock$
  %lock = load ptr, ptr %p.lock
  %p.unlock = getelementptr i8, ptr %pool, i64 $pthread_mutex_unlock$
  %unlock = load ptr, ptr %p.unlock
  %p.broadcast = getelementptr i8, ptr %pool, i64 $pthread_cond_broadcast$
  %broadcast = load ptr, ptr %p.broadcast
  %r0 = call i32 %lock(ptr %mutex)
  %r1 = call i32 %broadcast(ptr %condition)
  %r2 = call i32 %unlock(ptr %mutex)
  ret void
}

define internal void @begin(ptr %slot) {
  ret void
}
