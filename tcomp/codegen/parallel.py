"""A parallel loop's body as a function of its own, run by the thread pool over chunks of iterations.

What the body uses of its surroundings travels in a closure on the caller's stack, which outlives the
call: the pool returns when every iteration is done.
"""

from __future__ import annotations

from tcomp.codegen.function import FunctionEmitter
from tcomp.codegen.ssa import Ssa
from tcomp.codegen.statements import emit_loop, runs, stored
from tcomp.codegen.types import size
from tcomp.ir.loop.nodes import For, LoopVar

_FIXED = ("context", "buffers", "workspace")  # the closure begins with these pointers
_WORKER = Ssa("%worker", "i64")


class TaskEmitter(FunctionEmitter):
    """Emits an outlined body; values of the surrounding function are captured when first used."""

    def __init__(self, name: str, outer: FunctionEmitter) -> None:
        super().__init__(
            name,
            outer.target,
            outer.layout,
            outer.builder.declarations,
            outer.accuracy,
            outer.written,
            _WORKER,
        )
        self._outer = outer
        self._bytes = 8 * len(_FIXED)
        self.captured: list[tuple[Ssa, int]] = []  # outer value, offset in the closure
        for number, field in enumerate(_FIXED):
            self._read(f"%{field}", "ptr", 8 * number)
        # Values that loops assign are declared in the task, so the surroundings are constants here.
        self._inherited = dict(outer.environment)

    def local(self, name: str) -> Ssa:
        if name not in self.environment:
            self.environment[name] = self.capture(self._inherited[name])
        return self.environment[name]

    def counter(self, var: LoopVar) -> Ssa:
        if var not in self.counters:
            self.counters[var] = self.capture(self._outer.counter(var))
        return self.counters[var]

    def capture(self, value: Ssa) -> Ssa:
        """The value inside the task."""
        if value.scope is None:
            return value
        for known, offset in self.captured:
            if known is value:
                return Ssa(f"%captured.{offset}", value.type, self.builder.root)
        width = size(value.type)
        offset = -(-self._bytes // width) * width
        self._bytes = offset + width
        self.captured.append((value, offset))
        self._read(f"%captured.{offset}", value.type, offset)
        return Ssa(f"%captured.{offset}", value.type, self.builder.root)

    @property
    def closure_bytes(self) -> int:
        return self._bytes

    def _read(self, name: str, type_: str, offset: int) -> None:
        self.builder.entry.append(f"  {name}.at = getelementptr i8, ptr %closure, i64 {offset}")
        self.builder.entry.append(f"  {name} = load {type_}, ptr {name}.at, align {size(type_)}")

    def text(self) -> str:
        head = f"define internal void @{self.builder.name}"
        parameters = "(ptr %closure, i64 %begin, i64 %end, i64 %worker)"
        return f"{head}{parameters} #0 {{\n{self.builder.body()}\n  ret void\n}}\n"


def emit_parallel(emitter: FunctionEmitter, loop: For) -> None:
    """Outlines the loop and calls the pool."""
    builder = emitter.builder
    lo, hi = emitter.integer(loop.lo), emitter.integer(loop.hi)
    span = builder.pure(f"sub nsw i64 {hi}, {lo}", "i64", [hi, lo])
    padded = builder.pure(f"add nsw i64 {span}, {loop.step - 1}", "i64", [span])
    count = builder.pure(f"sdiv i64 {padded}, {loop.step}", "i64", [padded])
    task = TaskEmitter(builder.fresh(f"{builder.name}.task"), emitter)
    _emit_task(task, loop, lo)
    emitter.finished.append(task.text())
    if runs(loop):
        _call(emitter, task, count, loop.grain)
    else:
        some = builder.pure(f"icmp sgt i64 {count}, 0", "i1", [count])
        builder.when(some, lambda: _call(emitter, task, count, loop.grain))
    builder.wrote(stored(loop.body))


def _emit_task(task: TaskEmitter, loop: For, lo: Ssa) -> None:
    builder, start = task.builder, task.capture(lo)
    bounds = []
    for point in ("%begin", "%end"):
        ahead = builder.pure(f"mul nsw i64 {point}, {loop.step}", "i64", [])
        bounds.append(builder.pure(f"add nsw i64 {start}, {ahead}", "i64", [start, ahead]))
    emit_loop(task, loop, bounds[0], bounds[1])


def _call(emitter: FunctionEmitter, task: TaskEmitter, count: Ssa, grain: int) -> None:
    builder = emitter.builder
    closure = f"%{builder.fresh('closure')}"
    builder.entry.append(f"  {closure} = alloca [{task.closure_bytes} x i8], align 64")
    fixed = [(Ssa(f"%{field}", "ptr"), 8 * number) for number, field in enumerate(_FIXED)]
    for value, offset in [*fixed, *task.captured]:
        slot = f"%{builder.fresh('slot')}"
        builder.line(f"{slot} = getelementptr i8, ptr {closure}, i64 {offset}")
        builder.line(f"store {value.typed}, ptr {slot}, align {size(value.type)}")
    pool = f"%{builder.fresh('parallel')}"
    builder.line(f"{pool} = load ptr, ptr %context")
    builder.line(
        f"call void {pool}(ptr %context, ptr @{task.builder.name}, ptr {closure}, "
        f"i64 {count}, i64 {max(1, grain)})"
    )
