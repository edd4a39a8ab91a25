"""Arrays with named axes, as text: how operands of different iterators are lined up for broadcasting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcomp.ir.integer import Iter

LARGEST = 1 << 28  # elements; more than this is no array that anybody would make on the way


class PeerUnavailable(Exception):
    """NumPy has no reasonable form for the program; the message says why."""


def variable(it: Iter) -> str:
    """The Python variable of a loop over an iterator; no tensor's array has such a name."""
    return f"{it.name}_"


def transposition(code: str, iters: tuple[Iter, ...], order: tuple[Iter, ...]) -> str:
    """An array with axes `iters` as a view with the same axes in another order."""
    if order == iters:
        return code
    if len(iters) == 2:
        return f"{code}.T"
    return f"{code}.transpose({', '.join(str(iters.index(i)) for i in order)})"


@dataclass(frozen=True, slots=True)
class Labelled:
    """NumPy code whose value has one axis for each of `iters`, in the space's order.

    `simple` code needs no parentheses when something is appended to it. `origin` is the code and order of
    axes before a transposition, for those who want another order still.
    """

    code: str
    iters: tuple[Iter, ...] = ()
    simple: bool = True
    origin: tuple[str, tuple[Iter, ...]] | None = None

    @property
    def operand(self) -> str:
        """The code, fit to be indexed or to stand in an infix expression."""
        return self.code if self.simple else f"({self.code})"


class Space:
    """The order of axes while one definition is translated: outer iterators come first."""

    def __init__(self, iters: Iterable[Iter], scalars: Iterable[Iter] = ()) -> None:
        self._rank: dict[Iter, int] = {}
        self.scalars = frozenset(scalars)  # iterators of enclosing Python loops
        for it in iters:
            self.add(it)

    def add(self, it: Iter) -> None:
        self._rank.setdefault(it, len(self._rank))

    def sorted(self, iters: Iterable[Iter]) -> tuple[Iter, ...]:
        return tuple(sorted(set(iters), key=self._rank.__getitem__))

    def union(self, operands: Iterable[Labelled]) -> tuple[Iter, ...]:
        """The axes of a broadcast result. Raises PeerUnavailable where it would be too large."""
        union = self.sorted(i for o in operands for i in o.iters)
        if math.prod(int(i.extent) for i in union) > LARGEST:
            names = " x ".join(i.name for i in union)
            raise PeerUnavailable(f"NumPy would need a temporary array over {names}")
        return union

    def aligned(self, operand: Labelled, union: tuple[Iter, ...], *, bare: bool = False) -> str:
        """Code that broadcasts over `union`: None for each missing axis behind the first present.

        `bare` code stands between commas or alone and needs no parentheses.
        """
        behind = union[union.index(operand.iters[0]) :] if operand.iters else ()
        if behind == operand.iters:
            return operand.code if bare else operand.operand
        marks = ", ".join(":" if i in operand.iters else "None" for i in behind)
        return f"{operand.operand}[{marks}]"

    def transposed(self, code: str, iters: tuple[Iter, ...]) -> Labelled:
        """Puts axes that stand in another order into the space's."""
        order = self.sorted(iters)
        if order == iters:
            return Labelled(code, iters)
        return Labelled(transposition(code, iters, order), order, origin=(code, iters))
