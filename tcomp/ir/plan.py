"""A plan: a program of concrete sizes, divided into groups that each become one loop nest.

One mechanism serves row-wise fusion and scans: a group's *shared* iterators are loops around all of its
members, and at each of their points the members are made in order. Softmax is a group over rows; a
recurrence is a group over an ordered iterator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcomp.ir.integer import Iter
from tcomp.ir.tensor.nodes import Definition, Program, Read, Scan, Statement, Tensor


@dataclass(frozen=True, slots=True)
class Shared:
    """A loop around a group. An ordered one runs in ascending order, one point after the other."""

    iter: Iter
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Definitions made together.

    Every shared iterator is (the same object as) an iterator of each member. A tensor in `scratch` is
    read only inside the group, at the shared point where it was made: it needs storage only for its
    remaining axes. `constants` are tensors that members read and whose values are bound before any call.

    A group with `parts` is made block by block: its members are those of the parts, in order, and the
    parts, groups of their own, take turns at each block of the `blocked` iterators, which are iterators of
    the last member. A tensor in `scratch` is then only read inside the group, and what one block needs of
    it is all that must be kept.

    A part can be a scan in steps: its one blocked iterator is shared and ordered, and its own parts take
    turns at each step. Of its tensors in the scratch of the group around, what the last step made is kept.
    """

    members: tuple[Definition, ...]
    shared: tuple[Shared, ...] = ()
    scratch: frozenset[Tensor] = frozenset()
    constants: frozenset[Tensor] = frozenset()
    parts: tuple[Group, ...] = ()
    blocked: tuple[Iter, ...] = ()

    @property
    def step(self) -> Iter | None:
        """The iterator whose points are the steps of a scan that has parts."""
        return self.shared[0].iter if self.parts and self.shared else None

    def statements(self) -> tuple[Statement, ...]:
        """What the group makes, as statements of a program."""
        ordered = [s.iter for s in self.shared if s.ordered]
        if ordered:
            return (Scan(ordered[0], self.members),)
        if not self.parts:
            return self.members
        return tuple(statement for part in self.parts for statement in part.statements())


@dataclass(frozen=True, slots=True)
class Plan:
    """Groups in execution order. Tensors that are neither inputs, results nor scratch are workspace.

    `views` are definitions that only give the elements of another tensor other coordinates, in the same
    row-major order, in the order of the program: nothing computes them, because what they read is made
    where they lie. No tensor has two views. `constants` are inputs whose values are bound before any call.
    """

    program: Program
    groups: tuple[Group, ...]
    views: tuple[Definition, ...] = ()
    constants: frozenset[Tensor] = frozenset()

    def derived(self) -> Program:
        """The program that is computed in the end; its groups' definitions in order."""
        old = self.program
        body: list[Statement] = []
        for group in self.groups:
            body.extend(group.statements())
            body.extend(self._views_of({d.tensor for d in group.members}))
        return Program(old.name, old.sizes, old.inputs, old.results, tuple(body))

    def _views_of(self, tensors: set[Tensor]) -> Iterator[Definition]:
        """The views that begin at some tensors, and the views of those."""
        for view in self.views:
            if isinstance(view.body, Read) and view.body.tensor in tensors:
                yield view
                tensors.add(view.tensor)
