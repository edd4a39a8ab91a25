"""Which positions of a scan's own tensors are known when an element is computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tcomp.ir.integer import Int, Iter

if TYPE_CHECKING:
    from tcomp.lang.frame import Frame
    from tcomp.lang.syntax import Node


@dataclass(slots=True)
class ScanOrder:
    """The iterator of a scan, the axis of each of its tensors that it runs along, and which tensors the
    text has defined so far."""

    iter: Iter
    axes: dict[str, int]
    done: set[str] = field(default_factory=set)

    def check(
        self, name: str, position: tuple[Int, ...], guarded: bool, node: Node, frame: Frame
    ) -> None:
        """Raises CompileError: a position that is later or unprovable (TC057), or earlier without
        `else` (TC058)."""
        if name not in self.axes:
            return
        t = self.iter.name
        offset = position[self.axes[name]] - self.iter
        if offset is Int.of(0):
            if name not in self.done:
                frame.fail(
                    f"'{name}' at '{t}' is read before it is defined there",
                    "TC057",
                    node,
                    f"read an earlier position, as in {name}[{t}-1] else 0, or define it above",
                )
            return
        latest = offset.bounds()[1]
        if latest is None or latest > 0 or (latest == 0 and name not in self.done):
            frame.fail(
                f"'{name}' is read at a position that cannot be shown to be earlier than '{t}'",
                "TC057",
                node,
                f"a scan goes up: the index along '{t}' is {t} minus something positive",
            )
        if not guarded:
            frame.fail(
                f"'{name}' is read at an earlier position, which the first steps do not have",
                "TC058",
                node,
                "say what it is before the first: (read else 0)",
            )
