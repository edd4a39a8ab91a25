"""Progress of a tuning run for people who watch: the best so far, and the time left."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tcomp.autotune.tuner import Progress


def line_watcher(enabled: bool = True) -> Callable[[Progress], None]:
    """A watcher that keeps one line of standard error up to date; silent where nobody looks."""
    if not enabled or not sys.stderr.isatty():
        return lambda progress: None
    best: dict[str, float] = {}

    def watch(progress: Progress) -> None:
        best[progress.name] = progress.best_seconds
        gain = progress.first_seconds / progress.best_seconds if progress.best_seconds else 1.0
        left = (
            ""
            if progress.seconds_left == float("inf")
            else f"  {progress.seconds_left:4.0f} s left"
        )
        text = (
            f"  {progress.trials:4d} candidates  {progress.name[:28]:28} "
            f"best {progress.best_seconds * 1e3:9.4g} ms ({gain:.2f}x){left}"
        )
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()

    return watch
