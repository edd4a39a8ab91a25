; Part of the thread pool. See pool_ir.py for the design and the meaning of the $NAMES$, which it replaces.

define internal void @run_chunks(ptr %pool, i64 %worker) noinline {
entry:
  %next = getelementptr i8, ptr %pool, i64 $NEXT$
  %p.task = getelementptr i8, ptr %pool, i64 $TASK$
  %p.closure = getelementptr i8, ptr %pool, i64 $CLOSURE$
  %p.count = getelementptr i8, ptr %pool, i64 $COUNT$
  %p.grain = getelementptr i8, ptr %pool, i64 $GRAIN$
  %p.threads = getelementptr i8, ptr %pool, i64 $THREADS$
  %task = load ptr, ptr %p.task
  %closure = load ptr, ptr %p.closure
  %count = load i64, ptr %p.count
  %grain = load i64, ptr %p.grain
  %threads32 = load i32, ptr %p.threads
  %threads = zext i32 %threads32 to i64
  %shares = mul i64 %threads, $SHARES$
  br label %claim
claim:
  %begin = load atomic i64, ptr %next monotonic, align 8
  %left = sub i64 %count, %begin
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %size, label %done
size:
  %share = udiv i64 %left, %shares
  %big = icmp ugt i64 %share, %grain
  %chunk = select i1 %big, i64 %share, i64 %grain
  %all = icmp ugt i64 %chunk, %left
  %taken = select i1 %all, i64 %left, i64 %chunk
  %end = add i64 %begin, %taken
  %swap = cmpxchg ptr %next, i64 %begin, i64 %end monotonic monotonic
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %run, label %claim
run:
  call void %task(ptr %closure, i64 %begin, i64 %end, i64 %worker)
  br label %claim
done:
  ret void
}

define internal ptr @worker_main(ptr %slot) {
entry:
  %pool = load ptr, ptr %slot
  %p.number = getelementptr i8, ptr %slot, i64 8
  %number = load i64, ptr %p.number
  call void @begin(ptr %slot)
  br label %idle
idle:
  %seen = phi i64 [ 0, %entry ], [ %generation, %missed ], [ %generation, %joined ], [ %seen, %sleep ]
  br label %look
look:
  %i = phi i64 [ 0, %idle ], [ %i.next, %pause ], [ %i, %join ]
  %state = load atomic i64, ptr %pool acquire, align 8
  %generation = lshr i64 %state, 32
  %old = icmp eq i64 %generation, %seen
  br i1 %old, label %wait, label %fresh
fresh:
  %closed.bit = and i64 %state, $CLOSED$
  %open = icmp eq i64 %closed.bit, 0
  br i1 %open, label %join, label %missed
missed:
  br label %idle
join:
  %more = add i64 %state, 1
  %swap = cmpxchg ptr %pool, i64 %state, i64 %more acquire monotonic
  %in = extractvalue { i64, i1 } %swap, 1
  br i1 %in, label %joined, label %look
joined:
  call void @run_chunks(ptr %pool, i64 %number)
  %before = atomicrmw sub ptr %pool, i64 1 release
  br label %idle
wait:
  %i.next = add i64 %i, 1
  %tired = icmp ugt i64 %i, $WORKER_SPINS$
  br i1 %tired, label %sleep, label %pause
pause:
  $PAUSE$
  br label %look
sleep:
  call void @sleep_while(ptr %pool, i64 %seen)
  br label %idle
}

; The workers block all signals: the interpreter wants them on its own threads.
define internal void @start_workers(ptr %pool) noinline cold {
entry:
  %thread = alloca i64
  %all = alloca [16 x i64]
  %old = alloca [16 x i64]
  call void @llvm.memset.p0.i64(ptr %all, i8 -1, i64 128, i1 false)
  %p.create = getelementptr i8, ptr %pool, i64 $pthread_create$
  %create = load ptr, ptr %p.create
  %p.detach = getelementptr i8, ptr %pool, i64 $pthread_detach$
  %detach = load ptr, ptr %p.detach
  %p.sigmask = getelementptr i8, ptr %pool, i64 $pthread_sigmask$
  %sigmask = load ptr, ptr %p.sigmask
  %p.started = getelementptr i8, ptr %pool, i64 $STARTED$
  store i32 1, ptr %p.started
  %p.threads = getelementptr i8, ptr %pool, i64 $THREADS$
  %threads32 = load i32, ptr %p.threads
  %threads = zext i32 %threads32 to i64
  %r0 = call i32 %sigmask(i32 $SIG_BLOCK$, ptr %all, ptr %old)
  br label %loop
loop:
  %n = phi i64 [ 1, %entry ], [ %n.next, %again ]
  %more = icmp ult i64 %n, %threads
  br i1 %more, label %make, label %end
make:
  %slots = getelementptr i8, ptr %pool, i64 $SLOTS$
  %offset = mul i64 %n, $SLOT_BYTES$
  %slot = getelementptr i8, ptr %slots, i64 %offset
  store ptr %pool, ptr %slot
  %slot.number = getelementptr i8, ptr %slot, i64 8
  store i64 %n, ptr %slot.number
  %rc = call i32 %create(ptr %thread, ptr null, ptr @worker_main, ptr %slot)
  %made = icmp eq i32 %rc, 0
  br i1 %made, label %let_go, label %again
let_go:
  %id = load i64, ptr %thread
  %r1 = call i32 %detach(i64 %id)
  br label %again
again:
  %n.next = add i64 %n, 1
  br label %loop
end:
  %r2 = call i32 %sigmask(i32 $SIG_SETMASK$, ptr %old, ptr null)
  ret void
}

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define void @tcomp_parallel(ptr %context, ptr %task, ptr %closure, i64 %count, i64 %grain) {
entry:
  %some = icmp sgt i64 %count, 0
  br i1 %some, label %ask, label %end
ask:
  %p.pool = getelementptr i8, ptr %context, i64 8
  %pool = load ptr, ptr %p.pool
  %no.pool = icmp eq ptr %pool, null
  %one.chunk = icmp sge i64 %grain, %count
  %alone = or i1 %no.pool, %one.chunk
  br i1 %alone, label %serial, label %enter
enter:
  %p.busy = getelementptr i8, ptr %pool, i64 $BUSY$
  %claim = cmpxchg ptr %p.busy, i32 0, i32 1 acquire monotonic
  %free = extractvalue { i32, i1 } %claim, 1
  br i1 %free, label %check, label %serial
serial:
  call void %task(ptr %closure, i64 0, i64 %count, i64 0)
  br label %end
check:
  %p.started = getelementptr i8, ptr %pool, i64 $STARTED$
  %started = load i32, ptr %p.started
  %running = icmp ne i32 %started, 0
  br i1 %running, label %publish, label %start
start:
  call void @start_workers(ptr %pool)
  br label %publish
publish:
  %p.next = getelementptr i8, ptr %pool, i64 $NEXT$
  %p.task = getelementptr i8, ptr %pool, i64 $TASK$
  %p.closure = getelementptr i8, ptr %pool, i64 $CLOSURE$
  %p.count = getelementptr i8, ptr %pool, i64 $COUNT$
  %p.grain = getelementptr i8, ptr %pool, i64 $GRAIN$
  %p.sleepers = getelementptr i8, ptr %pool, i64 $SLEEPERS$
  %positive = icmp sgt i64 %grain, 1
  %least = select i1 %positive, i64 %grain, i64 1
  store i64 0, ptr %p.next
  store ptr %task, ptr %p.task
  store ptr %closure, ptr %p.closure
  store i64 %count, ptr %p.count
  store i64 %least, ptr %p.grain
  %state = load atomic i64, ptr %pool monotonic, align 8
  %generation = lshr i64 %state, 32
  %fresh = add i64 %generation, 1
  %opened = shl i64 %fresh, 32
  store atomic i64 %opened, ptr %pool seq_cst, align 8
  %sleepers = load atomic i32, ptr %p.sleepers seq_cst, align 4
  %none = icmp eq i32 %sleepers, 0
  br i1 %none, label %work, label %wake
wake:
  call void @wake_all(ptr %pool)
  br label %work
work:
  call void @run_chunks(ptr %pool, i64 0)
  %was = atomicrmw or ptr %pool, i64 $CLOSED$ acq_rel
  br label %wait
wait:
  %i = phi i64 [ 0, %work ], [ %i.next, %again ]
  %now = load atomic i64, ptr %pool acquire, align 8
  %low = and i64 %now, 2147483647
  %left = icmp eq i64 %low, 0
  br i1 %left, label %leave, label %pause
pause:
  $PAUSE$
  %i.next = add i64 %i, 1
  %rest = urem i64 %i.next, $CALLER_SPINS$
  %tired = icmp eq i64 %rest, 0
  br i1 %tired, label %yield, label %again
yield:
  %p.yield = getelementptr i8, ptr %pool, i64 $sched_yield$
  %sched.yield = load ptr, ptr %p.yield
  %ignored = call i32 %sched.yield()
  br label %again
again:
  br label %wait
leave:
  store atomic i32 0, ptr %p.busy release, align 4
  br label %end
end:
  ret void
}
