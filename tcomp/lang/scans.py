"""Scans: definitions made jointly, position by position."""

from __future__ import annotations

from tcomp.diagnostics import CompileError
from tcomp.ir.dtypes import COMPUTE, DType, boolean, i32, promote
from tcomp.ir.integer import Iter
from tcomp.ir.tensor.nodes import Axis, Definition, Scan
from tcomp.lang import ranges
from tcomp.lang.definitions import (
    is_batched,
    left_iterators,
    lower_right,
    new_handle,
    require_whole,
    target_name,
    written_names,
)
from tcomp.lang.frame import Frame, Handle
from tcomp.lang.scalars import Scalars, iterator_name
from tcomp.lang.scan_order import ScanOrder
from tcomp.lang.syntax import Assignment, Name, Ranged, Reference, ScanBlock

_TYPE_ROUNDS = 16  # more than there are types to go up


def lower_scan(block: ScanBlock, frame: Frame) -> None:
    """Adds a scan to the program. Raises CompileError (TC027, TC057, TC058, and those of definitions)."""
    t = iterator_name(block.iterator, frame)
    Scalars(frame, {}).check_iterator(t, block.iterator)
    axes = {target_name(a.targets[0]): _scan_axis(a, t, frame) for a in block.assignments}
    for assignment in block.assignments:
        frame.check_new(target_name(assignment.targets[0]), assignment.targets[0], "a tensor")
    if len(axes) != len(block.assignments):
        frame.fail("a scan defines each tensor once", "TC011", block.assignments[-1].targets[0])
    lo, hi = _scan_range(block, t, axes, frame)
    order = ScanOrder(frame.iterator(t, lo, hi), axes)
    maker = _Maker(block, t, order, frame)
    frame.emit(Scan(order.iter, maker.definitions()))


def _scan_axis(assignment: Assignment, t: str, frame: Frame) -> int:
    (target, *others) = assignment.targets
    if others or not isinstance(target, Reference):
        frame.fail(
            f"a scan defines tensors with indices, among them '{t}'",
            "TC027",
            assignment,
            "calls on whole tensors stand outside of scans",
        )
    at = [n for n, item in enumerate(target.items) if isinstance(item, Name) and item.id == t]
    if len(at) != 1:
        frame.fail(f"the scan's iterator '{t}' is no index of '{target.name}'", "TC027", target)
    return at[0]


def _scan_range(block: ScanBlock, t: str, axes: dict[str, int], frame: Frame) -> Axis:
    results = [(n, axis) for n, axis in axes.items() if n in frame.results]
    for name, axis in results:
        if frame.results[name].rank <= axis:
            frame.fail(f"the result '{name}' has fewer axes", "TC053", block)
    if isinstance(block.iterator, Ranged):
        lo, hi = ranges.explicit(block.iterator, frame)
    elif results:
        name, axis = results[0]
        lo, hi = frame.results[name].axes[axis]
    else:
        values = tuple(a.value for a in block.assignments)
        found = ranges.uses([t], values, frame, skip=tuple(axes))
        lo, hi = ranges.inferred(t, block.iterator, found[t], frame)
    for name, axis in results:
        require_whole(name, axis, lo, hi, frame.results[name], block.iterator, frame)
    if results and (lo, hi) != frame.results[results[0][0]].axes[results[0][1]]:
        lo, hi = frame.results[results[0][0]].axes[results[0][1]]
    return lo, hi


class _Maker:
    """Makes the definitions of a scan. Locals that read themselves get the type that fits: the lowest
    from which their right sides give no other."""

    def __init__(self, block: ScanBlock, t: str, order: ScanOrder, frame: Frame) -> None:
        self.block, self.t, self.order, self.frame = block, t, order, frame
        self.batched = is_batched(block, frame)
        self.names = [target_name(a.targets[0]) for a in block.assignments]
        self.program_names = {n: frame.tensor_name(n) for n in self.names if n not in frame.results}
        self.iters = self.all_iterators()

    def all_iterators(self) -> dict[str, tuple[Iter, ...]]:
        """Ranges first, in textual order: bodies may read what is defined below, at earlier positions."""
        made: dict[str, tuple[Iter, ...]] = {}
        for name, assignment in zip(self.names, self.block.assignments, strict=True):
            target = assignment.targets[0]
            scope = (assignment.value,)
            made[name] = left_iterators(target, scope, self.frame, self.order, self.t)
            self.frame.tensors[name] = self.handle(name, made[name], i32)
        return made

    def handle(self, name: str, iters: tuple[Iter, ...], dtype: DType) -> Handle:
        if name in self.frame.results:
            return new_handle(name, dtype, iters, self.batched, self.frame)
        if self.batched:
            self.frame.batched.add(name)
        return self.frame.handle(self.program_names[name], dtype, iters, self.batched)

    def definitions(self) -> tuple[Definition, ...]:
        failure: CompileError | None = None
        for start in (i32, boolean):
            try:
                return self.fitting(start)
            except CompileError as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def fitting(self, start: DType) -> tuple[Definition, ...]:
        """Definitions whose locals have the types of their right sides; types only go up."""
        types = dict.fromkeys(self.program_names, start)
        for _ in range(_TYPE_ROUNDS):
            made = self.attempt(types)
            found = {d: b.body.dtype for d, b in zip(self.names, made, strict=True) if d in types}
            if found == types:
                return made
            types = {n: _raised(types[n], found[n]) for n in types}
        self.frame.fail("the type of this recurrence does not settle", "TC038", self.block,
                        "declare it as a result, or cast its right side")  # fmt: skip

    def attempt(self, types: dict[str, DType]) -> tuple[Definition, ...]:
        for name, dtype in types.items():
            self.frame.tensors[name] = self.handle(name, self.iters[name], dtype)
        self.order.done.clear()
        made: list[Definition] = []
        for name, assignment in zip(self.names, self.block.assignments, strict=True):
            written = written_names(assignment.targets[0], self.frame)
            scope = dict(zip(written, self.iters[name], strict=True))
            body = lower_right(name, assignment.value, Scalars(self.frame, scope, self.order))
            made.append(self.frame.definition_of(self.frame.tensors[name], self.iters[name], body))
            self.order.done.add(name)
        return tuple(made)


def _raised(old: DType, found: DType) -> DType:
    """The next guess: types only go up, but for bool and for what an explicit `cast` says."""
    if old.is_bool or found not in COMPUTE:
        return found
    return promote(old, found)
