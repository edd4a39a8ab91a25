"""The compiled-kernel cache: one file for each key, in a folder that belongs to the user alone.

The cache is a convenience and never an obstacle: what is damaged, foreign or unreadable is a miss, and a folder
that cannot be used switches the cache off with one line in the log.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tcomp import config
from tcomp.runtime.artifact import Artifact, DamagedArtifact
from tcomp.runtime.versions import toolchain

LIMIT_BYTES = 256 << 20
_SUFFIX = ".tco"
_TEMPORARY = ".writing"
_STALE_SECONDS = 3600  # an unfinished write that old was killed
_TOUCH_SECONDS = 3600  # a hit refreshes an entry's time at most that often
_PRUNE_EVERY = 64  # writes of one process between looks at the folder's size
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_log = logging.getLogger("tcomp")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache. `used` is when it was last wanted, to about an hour, as seconds since 1970."""

    key: str
    path: Path
    nbytes: int
    used: float


@dataclass(frozen=True, slots=True)
class Stats:
    """How full the cache is."""

    folder: Path
    entries: int
    nbytes: int
    limit_bytes: int


class Cache:
    """Artifacts by key, safe between processes: files appear whole, by renaming, or not at all."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._writes = 0
        self._trouble = ""

    def get(self, key: str) -> Artifact | None:
        """The artifact of that key; None where there is none, or none that can be trusted."""
        path = self._path(key)
        data = self._read(path)
        if data is None:
            return None
        try:
            return Artifact.from_bytes(data)
        except DamagedArtifact as damage:
            _log.info("cache entry %s is damaged (%s): removed", path.name, damage)
            with suppress(OSError):
                path.unlink()
            return None

    def put(self, key: str, artifact: Artifact) -> bool:
        """Keeps an artifact. False where the folder cannot be written, which is no error."""
        try:
            self._own_folder(create=True)
            self._write(self._path(key), artifact.to_bytes())
        except OSError as cause:
            self._report(str(cause))
            return False
        if self._writes % _PRUNE_EVERY == 0:
            self.prune()
        self._writes += 1
        return True

    def entries(self) -> list[Entry]:
        """What is kept, the most recently used first."""
        found = [
            Entry(path.stem, path, info.st_size, info.st_mtime)
            for path, info in self._files(_SUFFIX)
        ]
        return sorted(found, key=lambda e: e.used, reverse=True)

    def stats(self) -> Stats:
        """How full the cache is."""
        entries = self.entries()
        return Stats(self.folder, len(entries), sum(e.nbytes for e in entries), self.limit_bytes)

    def clear(self) -> int:
        """Removes every entry; returns how many."""
        removed = 0
        for suffix in (_SUFFIX, _TEMPORARY):
            for path, _ in self._files(suffix):
                with suppress(OSError):
                    path.unlink()
                    removed += suffix == _SUFFIX
        return removed

    def prune(self) -> None:
        """Removes entries not used for longest until the rest fit, and remains of killed writers."""
        now = time.time()
        for path, info in self._files(_TEMPORARY):
            if now - info.st_mtime > _STALE_SECONDS:
                with suppress(OSError):
                    path.unlink()
        total = 0
        for entry in self.entries():
            total += entry.nbytes
            if total > self.limit_bytes:
                with suppress(OSError):
                    entry.path.unlink()

    # -- files -----------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _files(self, suffix: str) -> Iterator[tuple[Path, os.stat_result]]:
        try:
            names = os.listdir(self.folder)
        except OSError:
            return
        for name in names:
            if name.endswith(suffix):
                with suppress(OSError):  # another process may have removed it
                    yield self.folder / name, os.stat(self.folder / name, follow_symlinks=False)

    def _read(self, path: Path) -> bytes | None:
        try:
            self._own_folder(create=False)
            handle = os.open(path, _READ)
            try:
                info = os.fstat(handle)
                if not stat.S_ISREG(info.st_mode) or not _is_private(info):
                    raise PermissionError(f"{path} is not a file of this user's own")
                with open(handle, "rb", closefd=False) as file:
                    data = file.read()
            finally:
                os.close(handle)
            if time.time() - info.st_mtime > _TOUCH_SECONDS:
                with suppress(OSError):
                    os.utime(path)
            return data
        except FileNotFoundError:
            return None
        except OSError as cause:
            self._report(str(cause))
            return None

    def _write(self, path: Path, data: bytes) -> None:
        import tempfile  # 5 ms that only writers pay

        handle, name = tempfile.mkstemp(_TEMPORARY, "", self.folder)  # mode 0600
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    def _own_folder(self, create: bool) -> None:
        """Raises OSError unless the folder exists and only this user can write it."""
        if create:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = os.stat(self.folder)
        if not stat.S_ISDIR(info.st_mode):
            raise NotADirectoryError(f"{self.folder} is not a folder")
        if not _is_private(info):
            raise PermissionError(
                f"{self.folder} belongs to or can be written by another user: code in it is not trusted"
            )

    def _report(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.warning("the compiled-kernel cache is not used: %s", trouble)
            self._trouble = trouble


def default() -> Cache:
    """The cache in `$TCOMP_CACHE_DIR`, or else in the user's cache folder."""
    return _at(config.cache_dir.get())


@lru_cache(maxsize=8)
def _at(folder: Path) -> Cache:
    return Cache(folder / "kernels")


def _is_private(info: os.stat_result) -> bool:
    """Owned by this user and writable by nobody else. Windows has no such bits: its profile folders are
    private by their access lists."""
    if not hasattr(os, "getuid"):
        return True
    return info.st_uid == os.getuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


# -- keys ----------------------------------------------------------------------------------------------


def key(*parts: Any) -> str:
    """A hex digest of plain JSON values and of the versions that compiled code depends on."""
    text = json.dumps([toolchain(), *parts], sort_keys=True, separators=(",", ":"), default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def front_key(
    source: str,
    *,
    entry: str | None,
    params: Mapping[str, int | float | bool],
    sizes: Mapping[str, int],
    inputs: Sequence[tuple[str, tuple[int, ...]]],
    constants: Mapping[str, str],
    accuracy: str,
    threads: int,
    target: Any,
    schedule: str = "",
) -> str:
    """The key under which a call finds its kernel without the source being parsed.

    `inputs` are dtype names and shapes as they came; `constants` are `digest`s by argument name; `schedule` tells
    which schedule was asked for; `target` is any value with a faithful `repr`.
    """
    return key(
        "front", source, entry, dict(params), dict(sizes), [list(i) for i in inputs], dict(constants),
        accuracy, threads, repr(target), schedule,
    )  # fmt: skip


def digest(array: Any) -> str:
    """A hex digest of an array's dtype, shape and elements, whatever its strides."""
    import numpy as np

    state = hashlib.sha256(f"{array.dtype.name}{array.shape}".encode())
    state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return state.hexdigest()
