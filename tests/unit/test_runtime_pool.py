"""The thread pool: everything is run once, by whoever is there, whatever happens to the others."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import runtime_kernels as kernels

from tcomp.cores import cgroup_quota, usable_cores
from tcomp.runtime import pool, pool_ir
from tcomp.runtime.jit import compile_support, load_object
from tcomp.runtime.kernel import Context, load
from tcomp.runtime.threads import default_threads

# A task that adds 1 to each element of its range and notes its worker, and regions of it, nested ones too.
TASKS = """
%Closure = type { ptr, ptr, ptr, i64 }

define internal void @count(ptr %closure, i64 %begin, i64 %end, i64 %worker) {
entry:
  %data = load ptr, ptr %closure
  %p.owners = getelementptr %Closure, ptr %closure, i64 0, i32 1
  %owners = load ptr, ptr %p.owners
  br label %head
head:
  %i = phi i64 [ %begin, %entry ], [ %n, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %out
body:
  %p = getelementptr i32, ptr %data, i64 %i
  %v = load volatile i32, ptr %p
  %x = add i32 %v, 1
  store volatile i32 %x, ptr %p
  %o = getelementptr i64, ptr %owners, i64 %i
  store i64 %worker, ptr %o
  %n = add i64 %i, 1
  br label %head
out:
  ret void
}

define void @region(ptr %context, ptr %closure, i64 %count, i64 %grain, i64 %times) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %n, %body ]
  %more = icmp slt i64 %i, %times
  br i1 %more, label %body, label %out
body:
  call void @tcomp_parallel(ptr %context, ptr @count, ptr %closure, i64 %count, i64 %grain)
  %n = add i64 %i, 1
  br label %head
out:
  ret void
}

; Each of the outer iterations runs a region of its own over 8 elements.
define internal void @outer(ptr %closure, i64 %begin, i64 %end, i64 %worker) {
entry:
  %p.context = getelementptr %Closure, ptr %closure, i64 0, i32 2
  %context = load ptr, ptr %p.context
  br label %head
head:
  %i = phi i64 [ %begin, %entry ], [ %n, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %out
body:
  %inner = alloca %Closure
  %data = load ptr, ptr %closure
  %at = mul i64 %i, 8
  %p = getelementptr i32, ptr %data, i64 %at
  store ptr %p, ptr %inner
  %p.owners = getelementptr %Closure, ptr %closure, i64 0, i32 1
  %owners = load ptr, ptr %p.owners
  %o = getelementptr i64, ptr %owners, i64 %at
  %q = getelementptr %Closure, ptr %inner, i64 0, i32 1
  store ptr %o, ptr %q
  call void @tcomp_parallel(ptr %context, ptr @count, ptr %inner, i64 8, i64 1)
  %n = add i64 %i, 1
  br label %head
out:
  ret void
}

define void @nested(ptr %context, ptr %closure, i64 %count) {
  call void @tcomp_parallel(ptr %context, ptr @outer, ptr %closure, i64 %count, i64 1)
  ret void
}
"""


class Closure(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("owners", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
        ("unused", ctypes.c_int64),
    )


class Harness:
    """One kind of pool with the tasks above."""

    def __init__(self, kind, threads):
        library = load_object(
            compile_support(pool_ir.pool_text(kind) + TASKS), ["tcomp_parallel", "region", "nested"]
        )
        library.keep_forever()
        self.kind, self.threads, self.address = kind, threads, pool.allocate(threads)
        pool.initialise(self.address, threads, kind)
        self.parallel = library.address("tcomp_parallel")
        pointers = [ctypes.c_void_p] * 2 + [ctypes.c_int64]
        self._region = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64, ctypes.c_int64)(
            library.address("region")
        )
        self._nested = ctypes.CFUNCTYPE(None, *pointers)(library.address("nested"))

    def _closure(self, count):
        data, owners = np.zeros(count, np.int32), np.full(count, -1)
        context = Context(self.parallel, self.address, self.threads, 0)
        closure = Closure(data.ctypes.data, owners.ctypes.data, ctypes.addressof(context), 0)
        return data, owners, context, closure

    def region(self, count, grain=1, times=1):
        data, owners, context, closure = self._closure(count)
        self._region(ctypes.byref(context), ctypes.byref(closure), count, grain, times)
        assert (data == times).all()
        if count:
            assert owners.min() >= 0 and owners.max() < self.threads
        return set(owners.tolist())

    def nested(self, count):
        data, _owners, context, closure = self._closure(8 * count)
        self._nested(ctypes.byref(context), ctypes.byref(closure), count)
        assert (data == 1).all()


def kinds():
    here = pool.system()
    found = [pool_ir.System(here.machine, "serial")]
    if os.name == "posix":
        block, mask = int(signal.SIG_BLOCK), int(signal.SIG_SETMASK)
        found.append(pool_ir.System(here.machine, "condition", sig_block=block, sig_setmask=mask))
    if here.sleep == "futex":
        found.append(here)
    return found


@pytest.fixture(scope="module", params=kinds(), ids=lambda kind: kind.sleep)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def harness(kind):
    return Harness(kind, 3)  # more threads than this machine may have cores


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 64, 1009])
@pytest.mark.parametrize("grain", [0, 1, 5, 64, 10_000])
def test_each_iteration_once(harness, count, grain):
    for _ in range(3):
        harness.region(count, grain)


def test_many_regions(harness):
    harness.region(16, 1, 20_000)
    harness.region(10_000, 16, 200)


def test_regions_after_sleep(harness):
    for _ in range(30):
        time.sleep(0.003)  # the workers have gone to sleep by then
        harness.region(64)


def test_workers_help(harness):
    if harness.kind.sleep == "serial":
        pytest.skip("no workers")
    seen = set()
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        seen |= harness.region(200_000, 64)
    assert len(seen) > 1


def test_nested_regions_run_serially(harness):
    for _ in range(20):
        harness.nested(37)


def test_regions_from_many_threads(harness):
    failures = []

    def work():
        try:
            for _ in range(50):
                harness.region(997, 3, 5)
        except AssertionError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_more_threads_than_cores(kind):
    crowd = Harness(kind, 4 * usable_cores() + 3)
    for _ in range(5):
        crowd.region(5000, 1, 3)


# -- the process around it -----------------------------------------------------------------------------


def run_python(text, **environment):
    paths = [os.path.dirname(__file__), *sys.path]
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


SETUP = """
import os, threading, time
import numpy as np
import runtime_kernels as kernels
from tcomp.runtime.kernel import load
kernel = load(kernels.matmul(64, 32, 16), 2)
a = np.arange(64 * 16, dtype=np.float32).reshape(64, 16) % 7
b = np.arange(16 * 32, dtype=np.float32).reshape(16, 32) % 5
def check():
    assert (kernel(a, b) == a @ b).all()
"""


@pytest.mark.skipif(pool.system().sleep != "futex", reason="needs the system's affinity")
@pytest.mark.parametrize("cores", [1, 2])
def test_workers_keep_clear_of_the_caller(cores):
    if usable_cores() < cores:
        pytest.skip("too few cores")
    done = run_python(
        f"import os\nallowed = set(sorted(os.sched_getaffinity(0))[:{cores}])\n"
        + "os.sched_setaffinity(0, allowed)\n"
        + SETUP
        + textwrap.dedent("""
        own = set(os.listdir("/proc/self/task"))
        for _ in range(20):
            time.sleep(0.01)  # workers sleep, and are woken by the next call
            check()
        workers = set(os.listdir("/proc/self/task")) - own
        assert workers
        for task in workers:
            there = os.sched_getaffinity(int(task))
            assert there <= allowed and len(there) == max(1, len(allowed) - 1), there
        """)
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_other_threads_run_regions():
    done = run_python(
        SETUP
        + textwrap.dedent("""
        import warnings
        warnings.simplefilter("ignore")  # Python 3.12 warns of fork beside threads: that is what is tried
        check()
        stop = False
        def work():
            while not stop:
                check()
        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads: t.start()
        codes = []
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                try:
                    for _ in range(50): check()
                    os._exit(0)
                except BaseException:
                    os._exit(1)
            codes.append(os.waitpid(pid, 0)[1])
        stop = True
        for t in threads: t.join()
        check()
        print(codes)
        """)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str([0] * 20)


def test_exit_with_workers_and_daemon_threads():
    for ending in ("", "raise SystemExit(0)", "os._exit(0)"):
        done = run_python(
            SETUP
            + textwrap.dedent("""
            def forever():
                while True: check()
            for _ in range(2):
                threading.Thread(target=forever, daemon=True).start()
            time.sleep(0.05)
            """)
            + ending
        )
        assert done.returncode == 0, (ending, done.returncode, done.stderr)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_signals_reach_python():
    done = run_python(
        SETUP
        + textwrap.dedent("""
        import signal
        check()
        signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        begin = time.monotonic()
        try:
            time.sleep(30)
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - begin < 20)
        """)
    )
    assert done.stdout.strip() == "interrupted True", done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")
def test_multiprocessing_by_fork():
    kernel = load(kernels.matmul(31, 8, 5), 2)
    a, b = np.ones((31, 5), np.float32), np.ones((5, 8), np.float32)
    assert (kernel(a, b) == 5).all()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: os._exit(0 if (kernel(a, b) == 5).all() else 1)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 0


# -- how many threads ----------------------------------------------------------------------------------


def test_number_of_threads(monkeypatch):
    monkeypatch.delenv("TCOMP_NUM_THREADS", raising=False)
    assert 1 <= default_threads() <= (os.cpu_count() or 1)
    monkeypatch.setenv("TCOMP_NUM_THREADS", "5")
    assert default_threads() == 5
    monkeypatch.setenv("TCOMP_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="TCOMP_NUM_THREADS"):
        default_threads()


def test_affinity_counts():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity")
    done = run_python(
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from tcomp.cores import usable_cores; print(usable_cores())"
    )
    assert done.stdout.strip() == "1", done.stderr


def test_container_quota(tmp_path):
    assert cgroup_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cgroup_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cgroup_quota(tmp_path) == 1.5
    (tmp_path / "cpu.max").write_text("nonsense")
    assert cgroup_quota(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("400000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    (tmp_path / "cpu.max").unlink()
    assert cgroup_quota(tmp_path) == 4
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    assert cgroup_quota(tmp_path) is None
