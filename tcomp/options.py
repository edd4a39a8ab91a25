"""What decides a kernel beside the program, its types and its sizes."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcomp.diagnostics import BindingError, nearest
from tcomp.lazy import lazy

if TYPE_CHECKING:
    from tcomp.target import Target

ACCURACIES = ("strict", "standard", "fast")
FLUSHING = ("avx512bf16", "bf16")  # features whose instructions take denormal numbers as zeros
TUNE_WORDS = ("off", "cached", "background")


@dataclass(frozen=True)
class Options:
    """Options of one `compile`, checked. `target_name` becomes a `Target` when code is made."""

    target_name: str
    threads: int
    accuracy: str
    tune: str | float
    database: Path | None

    @lazy
    def target(self) -> Target:
        """The processor that code is made for. "strict" does without the instructions that take denormal
        numbers as zeros, and without fixed point."""
        if self.target_name == "native":
            from tcomp.runtime.processor import native_target

            found = native_target()
        else:
            from tcomp.codegen.named import target_named

            found = target_named(self.target_name)
        if self.accuracy != "strict":
            return found
        return replace(found.without(*FLUSHING), fixed_point=False)


def options_from(
    *,
    target: str = "native",
    threads: int | None = None,
    accuracy: str = "standard",
    tune: str | float = "cached",
    memory: int | None = None,
    database: Any = None,
    lock: Any = None,
) -> Options:
    """Checked options. Raises BindingError naming the option, what it may be, and what came."""
    if accuracy not in ACCURACIES:
        raise _bad(
            "accuracy",
            accuracy,
            f"one of {', '.join(ACCURACIES)}",
            nearest(str(accuracy), ACCURACIES),
        )
    if isinstance(tune, str) and tune not in TUNE_WORDS:
        raise _bad(
            "tune", tune, f"seconds or one of {', '.join(TUNE_WORDS)}", nearest(tune, TUNE_WORDS)
        )
    if not isinstance(tune, str) and not 0 <= tune < float("inf"):
        raise _bad("tune", tune, "a number of seconds that is not negative", "")
    if memory is not None:
        raise _bad(
            "memory", memory, "left out: a memory limit is not supported by this version", ""
        )
    if lock is not None:
        raise _bad("lock", lock, "left out: lock files are not supported by this version", "")
    return Options(target, _threads(threads), accuracy, tune, _database_path(database))


def _threads(threads: int | None) -> int:
    from tcomp.runtime.threads import default_threads

    if threads is None:
        return default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 4096:
        raise _bad("threads", threads, "an integer from 1 to 4096", "")
    return threads


def _database_path(database: Any) -> Path | None:
    if database is None:
        return None
    if isinstance(database, str | os.PathLike):
        return Path(database)
    path = getattr(database, "path", None)
    if isinstance(path, Path):
        return path
    raise _bad("database", database, "a path or a tcomp.Database", "")


def _bad(name: str, value: Any, expected: str, hint: str) -> BindingError:
    return BindingError(f"{name}={value!r}: it must be {expected}", code="TC079", hint=hint)
