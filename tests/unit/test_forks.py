"""A process that forks while its other threads parse and compile: the child does both, too."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from tcomp import forks
from tcomp.lazy import lazy

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PROGRAM = """
import os, threading, warnings
import numpy as np, tcomp
warnings.simplefilter("ignore")  # Python 3.12 warns of fork beside threads: that is what is tried

def work(seed):
    rng = np.random.default_rng(seed)
    for n in range(3):
        text = f"def f(x: f32[N]) -> y: f32[N]:\\n    y[i] = x[i] + {seed}{n}\\n"
        x = rng.standard_normal(5 + seed).astype(np.float32)
        y = tcomp.compile(text, tune="off", threads=2)(x)
        assert np.allclose(y, x + float(f"{seed}{n}"))

work(9)
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads: t.start()
codes = []
for n in range(4):
    pid = os.fork()
    if pid == 0:
        try:
            work(4 + n)
            os._exit(0)
        except BaseException:
            import traceback; traceback.print_exc()
            os._exit(1)
    codes.append(os.waitpid(pid, 0)[1])
for t in threads: t.join()
print(codes)
"""


def test_compiling_in_a_child_of_a_compiling_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TCOMP_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.stdout.strip() == "[0, 0, 0, 0]", done.stderr


def test_declared_locks_are_free_in_the_child(monkeypatch):
    lock = threading.Lock()
    monkeypatch.setattr(forks, "_declared", [*forks._declared])
    forks.held_across_forks(lock, forks.INTERNING)
    stop = threading.Event()

    def hold():
        while not stop.is_set():
            with lock:
                stop.wait(0.002)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if lock.acquire(timeout=5) else 1)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        stop.set()
        thread.join()
    assert lock.acquire(blocking=False)


def test_lazy_attributes_are_computed_once():
    class Thing:
        made = 0

        @lazy
        def value(self):
            """What it is."""
            Thing.made += 1
            return Thing.made

    one, two = Thing(), Thing()
    assert (one.value, one.value, two.value) == (1, 1, 2)
    assert Thing.value.__doc__ == "What it is."
