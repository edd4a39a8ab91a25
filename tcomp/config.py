"""Every setting of tcomp, declared once: name, default, what it does.

A setting is read from its environment variable when it is used, so changes take effect at once; arguments of
functions and options of commands win over it. `python -m tcomp.config` prints the table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tcomp.diagnostics import BindingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One setting. `parse` makes the value from the variable's text and raises ValueError for nonsense."""

    name: str
    default: Callable[[], T]
    parse: Callable[[str], T]
    expects: str
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that holds it."""
        return f"TCOMP_{self.name.upper()}"

    def get(self) -> T:
        """The value in force: an override, else the environment's, else the default.

        Raises BindingError (TC090) where the variable's text cannot be understood.
        """
        overrides = _overrides.get()
        if self.name in overrides:
            value: T = overrides[self.name]
            return value
        text = os.environ.get(self.variable, "").strip()
        if not text:
            return self.default()
        try:
            return self.parse(text)
        except ValueError:
            raise BindingError(
                f"the environment variable {self.variable} is '{text}'",
                code="TC090",
                hint=f"{self.variable} must be {self.expects}",
            ) from None


_overrides: ContextVar[dict[str, Any]] = ContextVar("tcomp_overrides", default={})  # noqa: B039


@contextmanager
def override(**values: Any) -> Iterator[None]:
    """Settings for the duration of a `with` block in this thread: `override(debug=2)`."""
    unknown = values.keys() - {s.name for s in SETTINGS}
    if unknown:
        raise KeyError(f"no setting is called {', '.join(sorted(unknown))}")
    token = _overrides.set({**_overrides.get(), **values})
    try:
        yield
    finally:
        _overrides.reset(token)


def _bounded(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _user_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("tcomp", appauthor=False))


def _user_database() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("tcomp", appauthor=False)) / "tuning.db"


num_threads: Setting[int | None] = Setting(
    "num_threads",
    lambda: None,
    _bounded(1, 4096),
    "an integer from 1 to 4096",
    "threads of a compiled function; by default the cores that affinity and the container's quota allow",
)
debug: Setting[int] = Setting(
    "debug",
    lambda: 0,
    _bounded(0, 5),
    "an integer from 0 to 5",
    "how much the logger 'tcomp' tells: 0 warnings, 1 decisions, 2 stages, 3 programs, 4 loops, 5 code",
)
dump: Setting[Path | None] = Setting(
    "dump",
    lambda: None,
    _path,
    "a folder",
    "folder into which every stage of a compilation is written",
)
cache_dir: Setting[Path] = Setting(
    "cache_dir", _user_cache, _path, "a folder", "folder of the compiled-kernel cache"
)
database: Setting[Path] = Setting(
    "database", _user_database, _path, "a file", "file of the tuning database"
)

SETTINGS: tuple[Setting[Any], ...] = (num_threads, debug, dump, cache_dir, database)


def table() -> str:
    """All settings as a Markdown table."""
    rows = ["| variable | value | meaning |", "|---|---|---|"]
    rows += [f"| `{s.variable}` | {s.expects} | {s.help} |" for s in SETTINGS]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
