"""Fresh names for loop variables, locals and buffers: readable, unique in a kernel, the same every run."""

from __future__ import annotations

from collections import Counter

from tcomp.ir.dtypes import DType
from tcomp.ir.loop.nodes import Local, LoopVar


class Names:
    """Hands out each name once: `j`, then `j_1`, `j_2`, ..."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def fresh(self, stem: str) -> str:
        """A name that was not handed out before."""
        while True:
            count = self._used[stem]
            self._used[stem] += 1
            name = f"{stem}_{count}" if count else stem
            if count == 0 or not self._used[name]:
                self._used[name] += 1 if count else 0
                return name

    def loop(self, stem: str, lo: int, last: int) -> LoopVar:
        """A new loop variable that takes values in lo .. last."""
        return LoopVar(self.fresh(stem), lo, last)

    def local(self, stem: str, dtype: DType, lanes: int = 1) -> Local:
        """A new local."""
        return Local(self.fresh(stem), dtype, lanes)
