"""The collector of cycles is paused while something compiles, and only then."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from tcomp.collecting import paused


@pytest.fixture(autouse=True)
def _as_before():
    enabled = gc.isenabled()
    yield
    (gc.enable if enabled else gc.disable)()


def test_it_runs_again_behind_the_outermost():
    gc.enable()
    with paused():
        with paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_runs_again_behind_an_error():
    gc.enable()
    with pytest.raises(ValueError), paused():
        raise ValueError
    assert gc.isenabled()


def test_whoever_has_disabled_it_keeps_it_disabled():
    gc.disable()
    with paused():
        pass
    assert not gc.isenabled()


def test_another_thread_keeps_it_paused():
    gc.enable()
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with paused():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with paused():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_not_the_threads_that_paused_it():
    gc.enable()
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with paused():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    pid = os.fork()
    if pid == 0:
        good = gc.isenabled()
        with paused():
            good = good and not gc.isenabled()
        os._exit(0 if good and gc.isenabled() else 1)
    leave.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0
