; The call wrapper: METH_FASTCALL | METH_KEYWORDS for every kernel. See wrapper_ir.py for the structures and the
; meaning of the $NAMES$, which it replaces.

%Header = type { ptr, ptr, ptr, ptr, i32, i32, ptr, ptr, i64, i64, i64, i64, i64 }
;               api entry parallel pool threads flags slow fail free inputs results arrays workspace
%Record = type { ptr, i64, i64, ptr, i64, i64, ptr, ptr }
;               dtype rank dims bound is_bound nbytes allocator -
%Context = type { ptr, ptr, i32, i32 }
%Entry = type { i64, i64, ptr }

; The data pointer of an array that fits its record, else null.
define internal ptr @data_if_fits(ptr %array, ptr %base, ptr %record, ptr %type, i32 %needed) {
entry:
  %p.type = getelementptr i8, ptr %array, i64 8
  %its.type = load ptr, ptr %p.type
  %is.array = icmp eq ptr %its.type, %type
  br i1 %is.array, label %look, label %no
look:
  %p.descr = getelementptr i8, ptr %array, i64 $DESCR$
  %descr = load ptr, ptr %p.descr
  %want.descr = load ptr, ptr %record
  %same.descr = icmp eq ptr %descr, %want.descr
  %p.flags = getelementptr i8, ptr %array, i64 $FLAGS$
  %flags = load i32, ptr %p.flags
  %have = and i32 %flags, %needed
  %dense = icmp eq i32 %have, %needed
  %p.ndim = getelementptr i8, ptr %array, i64 $NDIM$
  %ndim32 = load i32, ptr %p.ndim
  %ndim = sext i32 %ndim32 to i64
  %p.rank = getelementptr %Record, ptr %record, i64 0, i32 1
  %rank = load i64, ptr %p.rank
  %same.rank = icmp eq i64 %ndim, %rank
  %a = and i1 %same.descr, %dense
  %b = and i1 %a, %same.rank
  br i1 %b, label %dims, label %no
dims:
  %p.dims = getelementptr i8, ptr %array, i64 $DIMS$
  %have.dims = load ptr, ptr %p.dims
  %p.offset = getelementptr %Record, ptr %record, i64 0, i32 2
  %offset = load i64, ptr %p.offset
  %want.dims = getelementptr i8, ptr %base, i64 %offset
  br label %next
next:
  %i = phi i64 [ 0, %dims ], [ %i.next, %compare ]
  %more = icmp slt i64 %i, %rank
  br i1 %more, label %compare, label %yes
compare:
  %p.have = getelementptr i64, ptr %have.dims, i64 %i
  %p.want = getelementptr i64, ptr %want.dims, i64 %i
  %have.dim = load i64, ptr %p.have
  %want.dim = load i64, ptr %p.want
  %same = icmp eq i64 %have.dim, %want.dim
  %i.next = add i64 %i, 1
  br i1 %same, label %next, label %no
yes:
  %p.data = getelementptr i8, ptr %array, i64 $DATA$
  %data = load ptr, ptr %p.data
  ret ptr %data
no:
  ret ptr null
}

; Whether an array's memory meets that of any of the first %count arrays of the call.
define internal i1 @meets_any(ptr %data, ptr %record, ptr %buffers, ptr %records, i64 %count) {
entry:
  %p.bytes = getelementptr %Record, ptr %record, i64 0, i32 5
  %bytes = load i64, ptr %p.bytes
  %begin = ptrtoint ptr %data to i64
  %end = add i64 %begin, %bytes
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %check ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %check, label %no
check:
  %p.other = getelementptr ptr, ptr %buffers, i64 %i
  %other = load ptr, ptr %p.other
  %other.begin = ptrtoint ptr %other to i64
  %p.other.bytes = getelementptr %Record, ptr %records, i64 %i, i32 5
  %other.bytes = load i64, ptr %p.other.bytes
  %other.end = add i64 %other.begin, %other.bytes
  %before = icmp ule i64 %end, %other.begin
  %after = icmp ule i64 %other.end, %begin
  %apart = or i1 %before, %after
  %i.next = add i64 %i, 1
  br i1 %apart, label %next, label %yes
yes:
  ret i1 true
no:
  ret i1 false
}

; Marks the smallest idle workspace of at least %bytes as busy and returns its entry, or null. Called with
; the interpreter's lock held, as are the two functions below.
define internal ptr @take_workspace(ptr %table, i64 %bytes) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %kept ]
  %best = phi ptr [ null, %entry ], [ %best.next, %kept ]
  %least = phi i64 [ -1, %entry ], [ %least.next, %kept ]
  %more = icmp ult i64 %i, $WORKSPACES$
  br i1 %more, label %kept, label %end
kept:
  %candidate = getelementptr %Entry, ptr %table, i64 %i
  %busy = load i64, ptr %candidate
  %idle = icmp eq i64 %busy, 0
  %p.size = getelementptr %Entry, ptr %candidate, i64 0, i32 1
  %size = load i64, ptr %p.size
  %enough = icmp uge i64 %size, %bytes
  %smaller = icmp ult i64 %size, %least
  %a = and i1 %idle, %enough
  %better = and i1 %a, %smaller
  %best.next = select i1 %better, ptr %candidate, ptr %best
  %least.next = select i1 %better, i64 %size, i64 %least
  %i.next = add i64 %i, 1
  br label %next
end:
  %none = icmp eq ptr %best, null
  br i1 %none, label %out, label %mark
mark:
  store i64 1, ptr %best
  br label %out
out:
  ret ptr %best
}

; Puts memory into the smallest idle entry if that is smaller, and returns what was there; else returns
; %memory itself. The caller owns what it gets back.
define ptr @tcomp_install(ptr %table, ptr %memory, i64 %bytes) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %look ]
  %worst = phi ptr [ null, %entry ], [ %worst.next, %look ]
  %least = phi i64 [ %bytes, %entry ], [ %least.next, %look ]
  %more = icmp ult i64 %i, $WORKSPACES$
  br i1 %more, label %look, label %end
look:
  %candidate = getelementptr %Entry, ptr %table, i64 %i
  %busy = load i64, ptr %candidate
  %idle = icmp eq i64 %busy, 0
  %p.size = getelementptr %Entry, ptr %candidate, i64 0, i32 1
  %size = load i64, ptr %p.size
  %smaller = icmp ult i64 %size, %least
  %worse = and i1 %idle, %smaller
  %worst.next = select i1 %worse, ptr %candidate, ptr %worst
  %least.next = select i1 %worse, i64 %size, i64 %least
  %i.next = add i64 %i, 1
  br label %next
end:
  %none = icmp eq ptr %worst, null
  br i1 %none, label %refuse, label %put
refuse:
  ret ptr %memory
put:
  %p.old = getelementptr %Entry, ptr %worst, i64 0, i32 2
  %old = load ptr, ptr %p.old
  store ptr %memory, ptr %p.old
  %p.bytes = getelementptr %Entry, ptr %worst, i64 0, i32 1
  store i64 %bytes, ptr %p.bytes
  ret ptr %old
}

; The kernel itself, with the interpreter's lock released where the call is worth it.
define internal i32 @run_kernel(ptr %header, ptr %buffers, ptr %workspace) {
entry:
  %context = alloca %Context
  %p.parallel = getelementptr %Header, ptr %header, i64 0, i32 2
  %parallel = load ptr, ptr %p.parallel
  %p.pool = getelementptr %Header, ptr %header, i64 0, i32 3
  %pool = load ptr, ptr %p.pool
  %p.threads = getelementptr %Header, ptr %header, i64 0, i32 4
  %threads = load i32, ptr %p.threads
  store ptr %parallel, ptr %context
  %c.pool = getelementptr %Context, ptr %context, i64 0, i32 1
  store ptr %pool, ptr %c.pool
  %c.threads = getelementptr %Context, ptr %context, i64 0, i32 2
  store i32 %threads, ptr %c.threads
  %c.status = getelementptr %Context, ptr %context, i64 0, i32 3
  store i32 0, ptr %c.status
  %p.entry = getelementptr %Header, ptr %header, i64 0, i32 1
  %kernel = load ptr, ptr %p.entry
  %p.flags = getelementptr %Header, ptr %header, i64 0, i32 5
  %flags = load i32, ptr %p.flags
  %release = icmp ne i32 %flags, 0
  br i1 %release, label %released, label %held
held:
  %status0 = call i32 %kernel(ptr %context, ptr %buffers, ptr null, ptr %workspace)
  ret i32 %status0
released:
  %api = load ptr, ptr %header
  %p.save = getelementptr i8, ptr %api, i64 $PyEval_SaveThread$
  %save = load ptr, ptr %p.save
  %p.restore = getelementptr i8, ptr %api, i64 $PyEval_RestoreThread$
  %restore = load ptr, ptr %p.restore
  %thread = call ptr %save()
  %status1 = call i32 %kernel(ptr %context, ptr %buffers, ptr null, ptr %workspace)
  call void %restore(ptr %thread)
  ret i32 %status1
}

; A fresh array for a result, or null with an exception set.
define internal ptr @allocate(ptr %api, ptr %base, ptr %record) {
entry:
  %p.allocator = getelementptr %Record, ptr %record, i64 0, i32 6
  %allocator = load ptr, ptr %p.allocator
  %small = icmp eq ptr %allocator, null
  br i1 %small, label %plain, label %special
plain:
  %p.incref = getelementptr i8, ptr %api, i64 $Py_IncRef$
  %incref = load ptr, ptr %p.incref
  %descr = load ptr, ptr %record
  call void %incref(ptr %descr)
  %p.new = getelementptr i8, ptr %api, i64 $PyArray_NewFromDescr$
  %new = load ptr, ptr %p.new
  %p.array.type = getelementptr i8, ptr %api, i64 $PyArray_Type$
  %array.type = load ptr, ptr %p.array.type
  %p.rank = getelementptr %Record, ptr %record, i64 0, i32 1
  %rank = load i64, ptr %p.rank
  %rank32 = trunc i64 %rank to i32
  %p.offset = getelementptr %Record, ptr %record, i64 0, i32 2
  %offset = load i64, ptr %p.offset
  %dims = getelementptr i8, ptr %base, i64 %offset
  %array = call ptr %new(ptr %array.type, ptr %descr, i32 %rank32, ptr %dims, ptr null, ptr null, i32 0, ptr null)
  ret ptr %array
special:
  %p.call = getelementptr i8, ptr %api, i64 $PyObject_Vectorcall$
  %call = load ptr, ptr %p.call
  %block = call ptr %call(ptr %allocator, ptr null, i64 0, ptr null)
  ret ptr %block
}

; Gives back %count references.
define internal void @drop(ptr %api, ptr %objects, i64 %count) {
entry:
  %p.decref = getelementptr i8, ptr %api, i64 $Py_DecRef$
  %decref = load ptr, ptr %p.decref
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %one ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %end
one:
  %p.object = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %p.object
  call void %decref(ptr %object)
  %i.next = add i64 %i, 1
  br label %next
end:
  ret void
}

; Raises what the status means.
define internal ptr @fail(ptr %api, ptr %header, i32 %status) cold {
  %argument = alloca ptr
  %p.long = getelementptr i8, ptr %api, i64 $PyLong_FromLong$
  %long = load ptr, ptr %p.long
  %wide = sext i32 %status to i64
  %number = call ptr %long(i64 %wide)
  store ptr %number, ptr %argument
  %p.fail = getelementptr %Header, ptr %header, i64 0, i32 7
  %raise = load ptr, ptr %p.fail
  %p.call = getelementptr i8, ptr %api, i64 $PyObject_Vectorcall$
  %call = load ptr, ptr %p.call
  %result = call ptr %call(ptr %raise, ptr %argument, i64 1, ptr null)
  call void @drop(ptr %api, ptr %argument, i64 1)
  ret ptr %result
}

; One array, or a tuple of several; takes over the references.
define internal ptr @deliver(ptr %api, ptr %objects, i64 %count) {
entry:
  %single = icmp eq i64 %count, 1
  br i1 %single, label %one, label %several
one:
  %object = load ptr, ptr %objects
  ret ptr %object
several:
  %p.new = getelementptr i8, ptr %api, i64 $PyTuple_New$
  %new = load ptr, ptr %p.new
  %tuple = call ptr %new(i64 %count)
  %failed = icmp eq ptr %tuple, null
  br i1 %failed, label %lost, label %fill
lost:
  call void @drop(ptr %api, ptr %objects, i64 %count)
  ret ptr null
fill:
  %items = getelementptr i8, ptr %tuple, i64 $ITEMS$
  %bytes = shl i64 %count, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %items, ptr %objects, i64 %bytes, i1 false)
  ret ptr %tuple
}

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; Where the caller's results stand: an array of object pointers, null without `out=`, -1 where the slow
; path must look at it.
define internal ptr @find_out(ptr %api, ptr %after, ptr %kwnames, i64 %results) {
entry:
  %none = icmp eq ptr %kwnames, null
  br i1 %none, label %absent, label %names
absent:
  ret ptr null
names:
  %p.count = getelementptr i8, ptr %kwnames, i64 16
  %count = load i64, ptr %p.count
  %p.name = getelementptr i8, ptr %kwnames, i64 $ITEMS$
  %name = load ptr, ptr %p.name
  %p.out = getelementptr i8, ptr %api, i64 $out$
  %out.name = load ptr, ptr %p.out
  %is.one = icmp eq i64 %count, 1
  %is.out = icmp eq ptr %name, %out.name
  %good = and i1 %is.one, %is.out
  br i1 %good, label %value, label %slow
value:
  %single = icmp eq i64 %results, 1
  br i1 %single, label %plain, label %several
plain:
  ret ptr %after
several:
  %object = load ptr, ptr %after
  %p.type = getelementptr i8, ptr %object, i64 8
  %type = load ptr, ptr %p.type
  %p.tuple.type = getelementptr i8, ptr %api, i64 $PyTuple_Type$
  %tuple.type = load ptr, ptr %p.tuple.type
  %is.tuple = icmp eq ptr %type, %tuple.type
  br i1 %is.tuple, label %size, label %slow
size:
  %p.size = getelementptr i8, ptr %object, i64 16
  %size.is = load i64, ptr %p.size
  %fits = icmp eq i64 %size.is, %results
  %items = getelementptr i8, ptr %object, i64 $ITEMS$
  br i1 %fits, label %good.tuple, label %slow
good.tuple:
  ret ptr %items
slow:
  ret ptr inttoptr (i64 -1 to ptr)
}

; Fills the first buffers from arguments and bound constants; false where an argument does not fit.
define internal i1 @read_inputs(ptr %api, ptr %header, ptr %args, ptr %buffers) {
entry:
  %records = getelementptr i8, ptr %header, i64 $RECORDS$
  %p.array.type = getelementptr i8, ptr %api, i64 $PyArray_Type$
  %array.type = load ptr, ptr %p.array.type
  %p.inputs = getelementptr %Header, ptr %header, i64 0, i32 9
  %inputs = load i64, ptr %p.inputs
  br label %next
next:
  %k = phi i64 [ 0, %entry ], [ %k.next, %put ]
  %used = phi i64 [ 0, %entry ], [ %used.next, %put ]
  %more = icmp slt i64 %k, %inputs
  br i1 %more, label %one, label %yes
one:
  %record = getelementptr %Record, ptr %records, i64 %k
  %p.is.bound = getelementptr %Record, ptr %record, i64 0, i32 4
  %is.bound = load i64, ptr %p.is.bound
  %free = icmp eq i64 %is.bound, 0
  br i1 %free, label %given, label %fixed
fixed:
  %p.bound = getelementptr %Record, ptr %record, i64 0, i32 3
  %bound = load ptr, ptr %p.bound
  br label %put
given:
  %p.array = getelementptr ptr, ptr %args, i64 %used
  %array = load ptr, ptr %p.array
  %read = call ptr @data_if_fits(ptr %array, ptr %header, ptr %record, ptr %array.type, i32 $DENSE$)
  %used.more = add i64 %used, 1
  %fits = icmp ne ptr %read, null
  br i1 %fits, label %put, label %no
put:
  %data = phi ptr [ %bound, %fixed ], [ %read, %given ]
  %used.next = phi i64 [ %used, %fixed ], [ %used.more, %given ]
  %p.buffer = getelementptr ptr, ptr %buffers, i64 %k
  store ptr %data, ptr %p.buffer
  %k.next = add i64 %k, 1
  br label %next
yes:
  ret i1 true
no:
  ret i1 false
}

; Fills the last buffers from the caller's arrays; false where one does not fit or overlaps another array.
define internal i1 @read_outputs(ptr %api, ptr %header, ptr %outs, ptr %buffers) {
entry:
  %records = getelementptr i8, ptr %header, i64 $RECORDS$
  %p.array.type = getelementptr i8, ptr %api, i64 $PyArray_Type$
  %array.type = load ptr, ptr %p.array.type
  %p.inputs = getelementptr %Header, ptr %header, i64 0, i32 9
  %inputs = load i64, ptr %p.inputs
  %p.results = getelementptr %Header, ptr %header, i64 0, i32 10
  %results = load i64, ptr %p.results
  br label %next
next:
  %j = phi i64 [ 0, %entry ], [ %j.next, %put ]
  %more = icmp slt i64 %j, %results
  br i1 %more, label %one, label %yes
one:
  %k = add i64 %inputs, %j
  %record = getelementptr %Record, ptr %records, i64 %k
  %p.array = getelementptr ptr, ptr %outs, i64 %j
  %array = load ptr, ptr %p.array
  %data = call ptr @data_if_fits(ptr %array, ptr %header, ptr %record, ptr %array.type, i32 $WRITEABLE$)
  %misfit = icmp eq ptr %data, null
  br i1 %misfit, label %no, label %check
check:
  %meets = call i1 @meets_any(ptr %data, ptr %record, ptr %buffers, ptr %records, i64 %k)
  br i1 %meets, label %no, label %put
put:
  %p.buffer = getelementptr ptr, ptr %buffers, i64 %k
  store ptr %data, ptr %p.buffer
  %j.next = add i64 %j, 1
  br label %next
yes:
  ret i1 true
no:
  ret i1 false
}

; Fresh results into %objects and the last buffers; false with an exception set where memory is short.
define internal i1 @make_outputs(ptr %api, ptr %header, ptr %objects, ptr %buffers) {
entry:
  %records = getelementptr i8, ptr %header, i64 $RECORDS$
  %p.inputs = getelementptr %Header, ptr %header, i64 0, i32 9
  %inputs = load i64, ptr %p.inputs
  %p.results = getelementptr %Header, ptr %header, i64 0, i32 10
  %results = load i64, ptr %p.results
  br label %next
next:
  %j = phi i64 [ 0, %entry ], [ %j.next, %put ]
  %more = icmp slt i64 %j, %results
  br i1 %more, label %one, label %yes
one:
  %k = add i64 %inputs, %j
  %record = getelementptr %Record, ptr %records, i64 %k
  %array = call ptr @allocate(ptr %api, ptr %header, ptr %record)
  %short = icmp eq ptr %array, null
  br i1 %short, label %no, label %put
put:
  %p.object = getelementptr ptr, ptr %objects, i64 %j
  store ptr %array, ptr %p.object
  %p.data = getelementptr i8, ptr %array, i64 $DATA$
  %data = load ptr, ptr %p.data
  %p.buffer = getelementptr ptr, ptr %buffers, i64 %k
  store ptr %data, ptr %p.buffer
  %j.next = add i64 %j, 1
  br label %next
yes:
  ret i1 true
no:
  call void @drop(ptr %api, ptr %objects, i64 %j)
  ret i1 false
}

; New references to the caller's arrays.
define internal void @share(ptr %api, ptr %outs, ptr %objects, i64 %count) {
entry:
  %p.incref = getelementptr i8, ptr %api, i64 $Py_IncRef$
  %incref = load ptr, ptr %p.incref
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %one ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %end
one:
  %p.from = getelementptr ptr, ptr %outs, i64 %i
  %object = load ptr, ptr %p.from
  call void %incref(ptr %object)
  %p.to = getelementptr ptr, ptr %objects, i64 %i
  store ptr %object, ptr %p.to
  %i.next = add i64 %i, 1
  br label %next
end:
  ret void
}

define ptr @tcomp_call(ptr %self, ptr %args, i64 %nargs, ptr %kwnames) {
entry:
  %p.first = getelementptr i8, ptr %self, i64 $ITEMS$
  %first = load ptr, ptr %p.first
  %header = getelementptr i8, ptr %first, i64 $BYTES$
  %api = load ptr, ptr %header
  %p.free = getelementptr %Header, ptr %header, i64 0, i32 8
  %free = load i64, ptr %p.free
  %p.results = getelementptr %Header, ptr %header, i64 0, i32 10
  %results = load i64, ptr %p.results
  %p.arrays = getelementptr %Header, ptr %header, i64 0, i32 11
  %arrays = load i64, ptr %p.arrays
  %p.workspace = getelementptr %Header, ptr %header, i64 0, i32 12
  %bytes = load i64, ptr %p.workspace
  %buffers = alloca ptr, i64 %arrays
  %objects = alloca ptr, i64 %results
  %right.count = icmp eq i64 %nargs, %free
  br i1 %right.count, label %keywords, label %slow
keywords:
  %after = getelementptr ptr, ptr %args, i64 %nargs
  %outs = call ptr @find_out(ptr %api, ptr %after, ptr %kwnames, i64 %results)
  %odd = icmp eq ptr %outs, inttoptr (i64 -1 to ptr)
  br i1 %odd, label %slow, label %inputs
inputs:
  %inputs.fit = call i1 @read_inputs(ptr %api, ptr %header, ptr %args, ptr %buffers)
  br i1 %inputs.fit, label %choose, label %slow
choose:
  %fresh = icmp eq ptr %outs, null
  br i1 %fresh, label %workspace, label %given
given:
  %outs.fit = call i1 @read_outputs(ptr %api, ptr %header, ptr %outs, ptr %buffers)
  br i1 %outs.fit, label %workspace, label %slow
workspace:
  %unneeded = icmp eq i64 %bytes, 0
  br i1 %unneeded, label %results.step, label %take
take:
  %p.table = getelementptr i8, ptr %api, i64 $workspaces$
  %table = load ptr, ptr %p.table
  %taken = call ptr @take_workspace(ptr %table, i64 %bytes)
  %all.busy = icmp eq ptr %taken, null
  br i1 %all.busy, label %slow, label %taken.step
taken.step:
  %p.memory = getelementptr %Entry, ptr %taken, i64 0, i32 2
  %taken.memory = load ptr, ptr %p.memory
  br label %results.step
results.step:
  %holder = phi ptr [ null, %workspace ], [ %taken, %taken.step ]
  %memory = phi ptr [ null, %workspace ], [ %taken.memory, %taken.step ]
  br i1 %fresh, label %make, label %keep
make:
  %made = call i1 @make_outputs(ptr %api, ptr %header, ptr %objects, ptr %buffers)
  br i1 %made, label %run, label %give
keep:
  call void @share(ptr %api, ptr %outs, ptr %objects, i64 %results)
  br label %run
run:
  %ran = call i32 @run_kernel(ptr %header, ptr %buffers, ptr %memory)
  br label %give
give:
  %status = phi i32 [ %ran, %run ], [ -1, %make ]
  %ready = phi i1 [ true, %run ], [ false, %make ]
  %borrowed = icmp ne ptr %holder, null
  br i1 %borrowed, label %give.back, label %judge
give.back:
  store i64 0, ptr %holder
  br label %judge
judge:
  br i1 %ready, label %finished, label %short
short:
  ret ptr null
finished:
  %success = icmp eq i32 %status, 0
  br i1 %success, label %done, label %failed
done:
  %result = call ptr @deliver(ptr %api, ptr %objects, i64 %results)
  ret ptr %result
failed:
  call void @drop(ptr %api, ptr %objects, i64 %results)
  %nothing = call ptr @fail(ptr %api, ptr %header, i32 %status)
  ret ptr %nothing
slow:
  %p.slow = getelementptr %Header, ptr %header, i64 0, i32 6
  %slow.callable = load ptr, ptr %p.slow
  %p.call = getelementptr i8, ptr %api, i64 $PyObject_Vectorcall$
  %call = load ptr, ptr %p.call
  %answer = call ptr %call(ptr %slow.callable, ptr %args, i64 %nargs, ptr %kwnames)
  ret ptr %answer
}

; %calls calls in a row, for timing; stops at the first that fails.
define i32 @tcomp_repeat(ptr %kernel, ptr %context, ptr %buffers, ptr %workspace, i64 %calls) {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %one ]
  %more = icmp slt i64 %i, %calls
  br i1 %more, label %one, label %end
one:
  %status = call i32 %kernel(ptr %context, ptr %buffers, ptr null, ptr %workspace)
  %i.next = add i64 %i, 1
  %fine = icmp eq i32 %status, 0
  br i1 %fine, label %next, label %bad
bad:
  ret i32 %status
end:
  ret i32 0
}
