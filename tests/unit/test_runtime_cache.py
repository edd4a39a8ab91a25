"""Artifacts as files, and the cache of them: whatever happens to the folder, calls only get slower."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
import platform
import random
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
import runtime_kernels as kernels
from hypothesis import given, settings
from hypothesis import strategies as st

from tcomp.codegen.host import host_target
from tcomp.diagnostics import BindingError
from tcomp.runtime import cache as caching
from tcomp.runtime import processor
from tcomp.runtime.artifact import Argument, Artifact, DamagedArtifact
from tcomp.runtime.cache import Cache
from tcomp.runtime.kernel import load
from tcomp.runtime.versions import sources

KEY = "0123abcd" * 8
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")


def sample(size=100):
    return Artifact(
        random.Random(size).randbytes(size),
        "entry",
        (Argument("X", "bf16", (3, 0)), Argument("Ω", "u4", (2, 5), result=True)),
        shared_bytes=128,
        private_bytes=64,
        faults=("first", "second"),
        triple="riscv64-unknown-linux-gnu",
        features=("v", "zvfh"),
        facts={"seconds": 1.5, "nested": {"list": [1, None, "x"]}},
    )


# -- artifacts -----------------------------------------------------------------------------------------


def test_artifact_round_trip():
    assert Artifact.from_bytes(sample().to_bytes()) == sample()


def test_packed_arguments():
    w = Argument("W", "i4", (3, 5))
    assert (w.stored_shape, w.stored_dtype.name, w.nbytes) == ((3, 3), "u8", 9)
    assert Argument("s", "f64", ()).nbytes == 8
    assert sample().workspace_bytes(4) == 128 + 4 * 64


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_noticed(data):
    whole = sample().to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "grow"]))
    if kind == "flip":
        damaged = bytearray(whole)
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
        damaged = bytes(damaged)
    else:
        damaged = whole[:at] if kind == "cut" else whole + b"\0" * (at + 1)
    with pytest.raises(DamagedArtifact):
        Artifact.from_bytes(damaged)


# -- the store -----------------------------------------------------------------------------------------


def test_kept_and_found(tmp_path):
    cache = Cache(tmp_path / "deep" / "kernels")
    assert cache.get(KEY) is None
    assert cache.put(KEY, sample())
    assert cache.get(KEY) == sample()
    assert Cache(cache.folder).get(KEY) == sample()
    (entry,) = cache.entries()
    assert entry.key == KEY and entry.nbytes == len(sample().to_bytes())
    assert cache.stats().entries == 1
    assert cache.clear() == 1
    assert cache.get(KEY) is None and cache.entries() == []


@posix
def test_private_to_the_user(tmp_path):
    before = os.umask(0)
    try:
        cache = Cache(tmp_path / "kernels")
        cache.put(KEY, sample())
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.entries()[0].path.stat().st_mode) == 0o600


def test_damaged_entry_is_a_miss_and_goes(tmp_path):
    cache = Cache(tmp_path)
    os.chmod(tmp_path, 0o700)
    for damage in (b"", b"TCOMPOBJ", sample().to_bytes()[:-1], b"\0" * 4096):
        cache.put(KEY, sample())
        path = cache.entries()[0].path
        path.write_bytes(damage)
        assert cache.get(KEY) is None
        assert not path.exists()
    cache.put(KEY, sample())
    assert cache.get(KEY) == sample()


def test_entry_that_is_a_folder(tmp_path, caplog):
    cache = Cache(tmp_path / "kernels")
    cache.put("other", sample())
    (cache.folder / f"{KEY}.tco").mkdir()
    assert cache.get(KEY) is None
    assert cache.put(KEY, sample()) is False
    assert [p.name for p in cache.folder.iterdir() if "writing" in p.name] == []


def test_folder_that_cannot_be_made(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "kernels")
    with caplog.at_level(logging.INFO, "tcomp"):
        for _ in range(3):
            assert cache.get(KEY) is None
            assert cache.put(KEY, sample()) is False
    assert cache.entries() == [] and cache.clear() == 0
    messages = [r.message for r in caplog.records if "not used" in r.message]
    assert len(set(messages)) == len(messages) <= 2  # said once for reading, once for writing


@posix
def test_unwritable_folder(tmp_path, caplog):
    if os.getuid() == 0:
        pytest.skip("root can write everywhere")
    folder = tmp_path / "kernels"
    folder.mkdir(mode=0o500)
    with caplog.at_level(logging.INFO, "tcomp"):
        for _ in range(3):
            assert Cache(folder).put(KEY, sample()) is False


@posix
def test_folder_that_others_can_write_is_not_trusted(tmp_path, caplog):
    cache = Cache(tmp_path / "kernels")
    cache.put(KEY, sample())
    os.chmod(cache.folder, 0o770)
    assert cache.get(KEY) is None
    assert cache.put(KEY, sample()) is False
    os.chmod(cache.folder, 0o700)
    assert cache.get(KEY) == sample()


@posix
def test_foreign_things_are_not_trusted(tmp_path, monkeypatch):
    cache = Cache(tmp_path / "kernels")
    cache.put(KEY, sample())
    path = cache.entries()[0].path
    os.chmod(path, 0o666)
    assert cache.get(KEY) is None
    os.chmod(path, 0o600)
    elsewhere = tmp_path / "elsewhere.tco"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert cache.get(KEY) is None
    path.unlink()
    elsewhere.rename(path)
    assert cache.get(KEY) == sample()
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert cache.get(KEY) is None and cache.put(KEY, sample()) is False


def test_oldest_entries_go_first(tmp_path):
    size = len(sample().to_bytes())
    cache = Cache(tmp_path / "kernels", limit_bytes=4 * size)
    now = time.time()
    for n in range(8):
        cache.put(f"key{n}", sample())
        os.utime(cache.folder / f"key{n}.tco", (now - 8000 + n * 1000,) * 2)
    assert cache.get("key1") is not None  # used just now
    stale, recent = cache.folder / "a.writing", cache.folder / "b.writing"
    stale.write_bytes(b"x")
    recent.write_bytes(b"x")
    os.utime(stale, (now - 10_000,) * 2)
    cache.prune()
    assert {e.key for e in cache.entries()} == {"key1", "key5", "key6", "key7"}
    assert not stale.exists() and recent.exists()


def _hammer(folder, seed, rounds):
    cache = Cache(folder, limit_bytes=3000)
    random.seed(seed)
    wrong = 0
    for _ in range(rounds):
        n = random.randrange(12)
        found = cache.get(f"k{n}")
        wrong += found is not None and found != sample(10 * n)
        cache.put(f"k{n}", sample(10 * n))
        if random.random() < 0.05:
            cache.prune()
        if random.random() < 0.02:
            cache.clear()
    os._exit(wrong)


def test_many_processes_at_once(tmp_path):
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    workers = [
        context.Process(target=_hammer, args=(tmp_path / "kernels", seed, 150)) for seed in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4


def test_kernel_from_the_cache_runs(tmp_path):
    cache = Cache(tmp_path / "kernels")
    cache.put(KEY, kernels.add((5,)))
    artifact = cache.get(KEY)
    a = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(load(artifact, 1)(a, a), a + a)


def test_default_follows_the_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("TCOMP_CACHE_DIR", str(tmp_path / "mine"))
    caching.default().put(KEY, sample())
    assert (tmp_path / "mine" / "kernels" / f"{KEY}.tco").exists()


# -- keys ----------------------------------------------------------------------------------------------

FRONT = {
    "source": "def f(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i]\n",
    "entry": None,
    "params": {"pad": 1},
    "sizes": {"N": 4},
    "inputs": (("float32", (4,)),),
    "constants": {},
    "accuracy": "standard",
    "threads": 2,
    "target": "zen4",
    "schedule": "analytical",
}


def test_front_key_depends_on_everything(monkeypatch):
    base = caching.front_key(**FRONT)
    assert base == caching.front_key(**dict(FRONT, params={"pad": 1}, sizes={"N": 4}))
    changes = {
        "source": FRONT["source"] + " ",
        "entry": "f",
        "params": {"pad": 2},
        "sizes": {"N": 5},
        "inputs": (("float64", (4,)),),
        "constants": {"X": "00"},
        "accuracy": "strict",
        "threads": 1,
        "target": "zen3",
        "schedule": "cached",
    }
    keys = {caching.front_key(**dict(FRONT, **{name: value})) for name, value in changes.items()}
    keys |= {
        caching.front_key(**dict(FRONT, params={"pad": True})),
        caching.front_key(**dict(FRONT, params={"pad": 1.0})),
        caching.front_key(**dict(FRONT, inputs=(("float32", (4, 1)),))),
    }
    monkeypatch.setattr(caching, "toolchain", lambda: "another")
    keys.add(caching.front_key(**FRONT))
    assert base not in keys and len(keys) == len(changes) + 4


def test_sources_are_part_of_every_key(tmp_path):
    (tmp_path / "inner" / "cli").mkdir(parents=True)
    kept, apart = tmp_path / "inner" / "a.py", tmp_path / "inner" / "cli" / "b.py"
    assert sources(str(tmp_path)) == "" == sources(str(tmp_path / "nowhere"))
    kept.write_text("1")
    first = sources(str(tmp_path))
    apart.write_text("2")
    assert sources(str(tmp_path)) == first != ""
    kept.write_text("12")
    second = sources(str(tmp_path))
    os.utime(kept, (1, 1))
    assert len({first, second, sources(str(tmp_path))}) == 3


def test_digest_sees_values_not_layout():
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert caching.digest(a) == caching.digest(np.asfortranarray(a)) == caching.digest(a.copy())
    others = [a.T, a.reshape(4, 3), a.view(np.int32), a + 1, -a, np.zeros((0, 4), np.float32)]
    assert len({caching.digest(x) for x in [a, *others]}) == 7


# -- the host ------------------------------------------------------------------------------------------


def test_host_from_the_cache_is_the_host(tmp_path, monkeypatch):
    monkeypatch.setenv("TCOMP_CACHE_DIR", str(tmp_path / "mine"))
    for _ in range(2):
        processor.native_target.cache_clear()
        assert processor.native_target() == host_target()


def test_warm_start_needs_no_llvm(tmp_path):
    text = (
        "import sys, runtime_kernels\n"
        "from tcomp.runtime.processor import native_target\n"
        "from tcomp.runtime import cache\n"
        "from tcomp.runtime.kernel import load\n"
        "native_target()\n"
        "artifact = cache.default().get('k') or runtime_kernels.add((3,))\n"
        "cache.default().put('k', artifact)\n"
        "import numpy as np\n"
        "assert (load(artifact, 2)(*np.ones((2, 3), 'f4')) == 2).all()\n"
        "print('llvmlite.binding' in sys.modules)\n"
    )
    paths = [os.path.dirname(__file__), *sys.path]
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(paths), "TCOMP_CACHE_DIR": str(tmp_path / "c"),
    }  # fmt: skip
    runs = [
        subprocess.run(
            [sys.executable, "-c", text],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    linux = sys.platform.startswith("linux") and platform.machine() == "x86_64"
    assert runs == ["True", "False" if linux else "True"]


def test_code_for_another_machine_is_refused():
    host = host_target()
    own = dataclasses.replace(kernels.add((3,)), triple=host.triple)
    load(own, 1)
    load(
        dataclasses.replace(
            own, features=tuple(f[1:] for f in host.features.split(",") if f[0] == "+")
        ),
        1,
    )
    for change in (
        {"triple": "riscv64-unknown-linux-gnu"},
        {"triple": host.triple.split("-")[0] + "-pc-windows-msvc"},
        {"features": ("no-such-extension",)},
    ):
        with pytest.raises(BindingError) as caught:
            load(dataclasses.replace(own, **change), 1)
        assert caught.value.code == "TC098"


def test_another_abi_is_refused(monkeypatch):
    data = sample().to_bytes()
    monkeypatch.setattr("tcomp.runtime.artifact.ABI_VERSION", 99)
    with pytest.raises(DamagedArtifact, match="kernel ABI 1"):
        Artifact.from_bytes(data)
