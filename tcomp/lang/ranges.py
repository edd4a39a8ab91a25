"""Ranges of iterators that no text gives: those of the axes at which they stand alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcomp.ir.tensor.nodes import Axis
from tcomp.lang.constants import constant
from tcomp.lang.syntax import Name, Node, Ranged, Reference, walk

if TYPE_CHECKING:
    from tcomp.lang.frame import Frame


@dataclass(frozen=True, slots=True)
class Use:
    """An axis of a known tensor whose whole index is the iterator."""

    tensor: str
    axis: int
    range: Axis
    node: Node


def uses(
    names: Collection[str], scope: tuple[Node, ...], frame: Frame, skip: Collection[str] = ()
) -> Mapping[str, list[Use]]:
    """For each iterator, the axes of known tensors at which it alone is the index, in textual order."""
    found: dict[str, list[Use]] = {name: [] for name in names}
    for node in walk(*scope):
        if not isinstance(node, Reference) or node.name in skip:
            continue
        handle = frame.tensors.get(node.name) or frame.results.get(node.name)
        if handle is None or len(node.items) != handle.rank:
            continue
        for axis, item in enumerate(node.items):
            if isinstance(item, Name) and item.id in found:
                found[item.id].append(Use(node.name, axis, handle.axes[axis], item))
    return found


def inferred(name: str, where: Node, candidates: list[Use], frame: Frame) -> Axis:
    """The range that all uses agree on. Raises CompileError: none (TC050), unequal ones (TC051)."""
    if not candidates:
        frame.fail(
            f"the range of '{name}' is not known: no tensor has '{name}' alone as an index",
            "TC050",
            where,
            f"give it, as in {name} in 0:N",
        )
    first, *others = candidates
    for other in others:
        message = (
            f"the ranges of '{name}' contradict: axis {first.axis} of '{first.tensor}' "
            f"and axis {other.axis} of '{other.tensor}'"
        )
        for left, right in zip(first.range, other.range, strict=True):
            frame.require_equal(left, right, message, "TC051", other.node)
    return first.range


def explicit(item: Ranged, frame: Frame) -> Axis:
    """The range `lo:hi` that the text gives."""
    lo = constant(item.lo, frame, f"the range of '{item.name}'")
    hi = constant(item.hi, frame, f"the range of '{item.name}'")
    if (hi - lo).is_constant and int(hi - lo) < 0:
        frame.fail(
            f"the range {lo}:{hi} of '{item.name}' ends before it begins",
            "TC061",
            item,
            "a range lo:hi has the positions lo to hi - 1",
        )
    return lo, hi
