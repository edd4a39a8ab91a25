"""One LLVM function being emitted: where its values live, and expressions as instructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tcomp.codegen.conversions import cast
from tcomp.codegen.expand import prepare
from tcomp.codegen.integers import emit_integer, emit_pointer
from tcomp.codegen.layout import Layout, Place
from tcomp.codegen.math.expand import Accuracy
from tcomp.codegen.memory import emit_gather, emit_load
from tcomp.codegen.operations import emit_operation
from tcomp.codegen.ssa import Declarations, FunctionBuilder, ScopeKind, Ssa
from tcomp.codegen.types import literal, literals, memory, register, vector
from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import f32, i32, i64
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import (
    Broadcast,
    Buffer,
    Const,
    Expr,
    Gather,
    IntValue,
    Load,
    Local,
    Lookup,
    LoopVar,
    Op,
    Shuffle,
)
from tcomp.ops.lookups import INTRINSIC
from tcomp.target import Target

ZERO = "@zero"  # eight zero bytes that masked-off scalar reads are pointed at
MULTIPLES = 4  # counters beside an innermost loop's own: each takes a register
# LLVM combines trees of shuffles in time that grows exponentially with their height, and finds nothing in
# networks that transpose: 64 ms with 4 layers, 32 ms where the values between two and two are fenced.
_LAYERS = 2
_FENCED = ("float", "double")  # types whose arithmetic can be fenced
FIRST_WORKER = Ssa("0", "i64")  # whose private memory code outside parallel loops uses


class FunctionEmitter:
    """State of one function's emission.

    `environment` holds the current value of each local, `counters` that of each loop variable. Every
    function has the operands %context, %buffers and %workspace.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        layout: Layout,
        declarations: Declarations,
        accuracy: Accuracy,
        written: frozenset[Buffer],
        worker: Ssa = FIRST_WORKER,
    ) -> None:
        self.builder = FunctionBuilder(name, declarations)
        self.target = target
        self.layout = layout
        self.accuracy = accuracy
        self.written = written  # by the kernel that this is a part of
        self.environment: dict[str, Ssa] = {}
        self.counters: dict[LoopVar, Ssa] = {}
        self._multiples: dict[LoopVar, dict[int, Ssa]] = {}
        self._layers: dict[str, int] = {}  # of shuffles whose operands are shuffles
        self._steady: dict[Expr, bool] = {}
        self.finished: list[str] = []  # texts of the functions outlined from this one
        self._worker = worker
        self._starts: dict[Buffer, Ssa] = {}

    # -- values ------------------------------------------------------------------------------------

    def value(self, expr: Expr) -> Ssa:
        """Emits an expression; composite operations are expanded first."""
        return self._emit(prepare(expr, self.target, self.accuracy))

    def integer(self, index: Int) -> Ssa:
        return emit_integer(self, index)

    def local(self, name: str) -> Ssa:
        return self.environment[name]

    def counter(self, var: LoopVar) -> Ssa:
        return self.counters[var]

    def enter_loop(self, var: LoopVar, counter: Ssa, *, innermost: bool) -> dict[int, Ssa]:
        """Makes a counter known; the result gathers the multiples of it that the body will use."""
        self.counters[var] = counter
        multiples: dict[int, Ssa] = {}
        if innermost:
            self._multiples[var] = multiples
        return multiples

    def leave_loop(self, var: LoopVar) -> None:
        del self.counters[var]
        self._multiples.pop(var, None)

    def multiple(self, var: LoopVar, factor: int) -> Ssa | None:
        """factor * var as a counter of its own, where an addition in each iteration saves a product."""
        known = self._multiples.get(var)
        if known is None or (factor not in known and len(known) == MULTIPLES):
            return None
        if factor not in known:
            counter = self.counters[var]
            known[factor] = Ssa(f"%{self.builder.fresh(var.name)}", "i64", counter.scope)
        return known[factor]

    def as_i64(self, expr: Expr) -> Ssa:
        """An integer expression inside an address."""
        value = self.value(expr)
        if value.type == "i64":
            return value
        name = "sext" if expr.dtype.is_signed else "zext"
        return self.builder.pure(f"{name} {value.typed} to i64", "i64", [value])

    def _emit(self, root: Expr, known: dict[Expr, Ssa] | None = None) -> Ssa:
        """`known` are the sub-expressions that have values already; it gains no others."""
        done = dict(known or {})
        for node in needed(root, done, self.builder.known_value):
            value = done[node] = self._node(node, done)
            if self._is_steady(node):
                self.builder.keep_value(node, value)
        return done[root]

    def _is_steady(self, node: Expr) -> bool:
        """Whether an expression whose parts have been emitted stays what it is throughout the kernel."""
        steady = self._steady.get(node)
        if steady is None:
            own = not isinstance(node, Local) and (
                not isinstance(node, Load | Gather) or node.buffer not in self.written
            )
            steady = own and all(self._steady.get(c, False) for c in node.children())
            self._steady[node] = steady
        return steady

    def _node(self, node: Expr, done: dict[Expr, Ssa]) -> Ssa:
        match node:
            case Op("rarely"):
                return self._rarely(node, done)
            case Op():
                return emit_operation(self.builder, self.target, node, [done[a] for a in node.args])
            case Const(value, dtype, lanes):
                return Ssa(literal(value, dtype, lanes), register(dtype, lanes))
            case Local(name):
                return self.local(name)
            case Load():
                return emit_load(self, node)
            case Gather():
                return emit_gather(self, node)
            case Broadcast(value, lanes):
                return self.splat(done[value], lanes)
            case IntValue():
                return self._int_value(node)
            case Lookup(values):
                table = Ssa(literals(values, f32), register(f32, len(values)))
                operands = [table, done[node.index]]
                return self.builder.call_exact(INTRINSIC, table.type, operands)
            case Shuffle(left, right, picks):
                return self.shuffle(done[left], done[right], picks)
        raise InternalError(f"no code for {type(node).__name__}", code="TC099")

    def _rarely(self, node: Op, done: dict[Expr, Ssa]) -> Ssa:
        """A `where` whose first choice is computed in a branch that is skipped if no lane needs it."""
        builder = self.builder
        condition, usual = done[node.args[0]], done[node.args[2]]
        held, rare = condition, builder.fresh("rare")
        if node.lanes > 1:
            reduction = f"llvm.vector.reduce.or.v{node.lanes}i1"
            held = builder.call_exact(reduction, "i1", [condition])
        skipped, join = builder.scope.block, builder.fresh("join")
        with builder.inside(ScopeKind.BRANCH, rare) as branch:
            chosen = self._emit(node.args[1], done)
            text = f"select {condition.typed}, {chosen.typed}, {usual.typed}"
            mixed = builder.pure(text, usual.type, [condition, chosen, usual])
            builder.line(f"br label %{join}")
        builder.line(f"br i1 {held}, label %{rare}, label %{join}, !prof !0")
        builder.scope.lines.append(f"{rare}:")
        builder.splice(branch)
        builder.start_block(join)
        result = Ssa(f"%{builder.fresh('v')}", usual.type, builder.scope)
        paths = f"[ {mixed}, %{branch.block} ], [ {usual}, %{skipped} ]"
        builder.line(f"{result} = phi {usual.type} {paths}")
        return result

    def _int_value(self, node: IntValue) -> Ssa:
        """base + stride * lane in the widest type that it needs: i32 where the bounds allow."""
        low, high = node.base.bounds()
        span = node.stride * (node.lanes - 1)
        fits = low is not None and high is not None and max(-low, high) + abs(span) < 1 << 31
        narrow = node.dtype.bits <= 32 or node.dtype.is_float
        kind = i32 if fits and narrow else i64
        base = self.integer(node.base)
        if kind is i32:
            base = self.builder.pure(f"trunc {base.typed} to i32", "i32", [base])
        total = self.splat(base, node.lanes)
        if span:
            steps = literals([node.stride * k for k in range(node.lanes)], kind)
            total = self.builder.pure(f"add {total.typed}, {steps}", total.type, [total])
        return cast(self.builder, total, kind, node.dtype, node.lanes, self.target)

    # -- vectors -----------------------------------------------------------------------------------

    def splat(self, value: Ssa, lanes: int) -> Ssa:
        """A scalar in every lane."""
        if lanes == 1:
            return value
        type_ = vector(value.type, lanes)
        if value.scope is None:
            return Ssa(f"splat ({value.typed})", type_)
        first = self.insert(Ssa("poison", type_), value, 0)
        mask = f"<{lanes} x i32> zeroinitializer"
        return self.builder.pure(
            f"shufflevector {first.typed}, {type_} poison, {mask}", type_, [first]
        )

    def insert(self, into: Ssa, element: Ssa, lane: int) -> Ssa:
        text = f"insertelement {into.typed}, {element.typed}, i64 {lane}"
        return self.builder.pure(text, into.type, [into, element])

    def extract(self, value: Ssa, lane: int) -> Ssa:
        scalar = value.type[1:-1].split(" ")[2]
        return self.builder.pure(f"extractelement {value.typed}, i64 {lane}", scalar, [value])

    def shuffle(self, left: Ssa, right: Ssa, picks: Sequence[int]) -> Ssa:
        """Lanes of the concatenation; a pick below zero leaves the lane undefined."""
        if not left.type.startswith("<"):
            return self._assemble((left, right), picks)
        count, _, scalar = left.type[1:-1].split(" ")
        if len(picks) == 1:
            side, lane = (
                (left, picks[0]) if picks[0] < int(count) else (right, picks[0] - int(count))
            )
            return self.extract(side, lane)
        if list(picks) == list(range(int(count))):
            return left
        names = ", ".join(f"i32 {p}" if p >= 0 else "i32 poison" for p in picks)
        text = f"shufflevector {left.typed}, {right.typed}, <{len(picks)} x i32> <{names}>"
        made = self.builder.pure(text, vector(scalar, len(picks)), [left, right])
        layer = 1 + min(self._layers.get(v.name, 0) for v in (left, right))
        if layer < _LAYERS or scalar not in _FENCED or left is right:
            self._layers[made.name] = layer
            return made
        return self.builder.call("llvm.arithmetic.fence", made.type, [made])

    def _assemble(self, scalars: tuple[Ssa, Ssa], picks: Sequence[int]) -> Ssa:
        if len(picks) == 1:
            return scalars[picks[0]]
        result = Ssa("poison", vector(scalars[0].type, len(picks)))
        for lane, pick in enumerate(picks):
            result = self.insert(result, scalars[pick], lane)
        return result

    # -- memory ------------------------------------------------------------------------------------

    def pointer(self, buffer: Buffer, index: Int) -> Ssa:
        """The address of an element."""
        if buffer not in self._starts:
            self._starts[buffer] = self._start(buffer)
        return emit_pointer(self, self._starts[buffer], memory(buffer.dtype), index)

    def zero(self) -> Ssa:
        return Ssa(ZERO, "ptr")

    def _start(self, buffer: Buffer) -> Ssa:
        match self.layout.place(buffer):
            case Place.Argument(number):
                return self._argument(buffer, number)
            case Place.Shared(offset):
                return self._at_entry(f"getelementptr i8, ptr %workspace, i64 {offset}", buffer)
            case Place.Stack():
                width = buffer.extent * buffer.dtype.bytes
                return self._at_entry(f"alloca [{max(1, width)} x i8], align 64", buffer)
            case Place.Private(offset):
                return self._private(buffer, offset)
        raise InternalError(f"buffer '{buffer.name}' has no place", code="TC099")

    def _argument(self, buffer: Buffer, number: int) -> Ssa:
        slot = self._at_entry(f"getelementptr ptr, ptr %buffers, i64 {number}", buffer)
        return self._at_entry(f"load ptr, {slot.typed}", buffer)

    def _private(self, buffer: Buffer, offset: int) -> Ssa:
        scaled = self._at_entry(
            f"mul i64 {self._worker}, {self.layout.private_bytes}", buffer, "i64"
        )
        mine = self._at_entry(f"getelementptr i8, ptr %workspace, i64 {scaled}", buffer)
        start = self.layout.shared_bytes + offset
        return self._at_entry(f"getelementptr i8, {mine.typed}, i64 {start}", buffer)

    def _at_entry(self, text: str, buffer: Buffer, type_: str = "ptr") -> Ssa:
        name = "%" + self.builder.fresh(buffer.name)
        self.builder.entry.append(f"  {name} = {text}")
        return Ssa(name, type_, self.builder.root)


def needed(root: Expr, done: dict[Expr, Ssa], kept: Callable[[Expr], Ssa | None]) -> list[Expr]:
    """Sub-expressions to emit, children first, but for those that only a rare path needs.

    What is `kept` of earlier expressions goes to `done`.
    """
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen and node not in done:
            value = kept(node)
            if value is not None:
                done[node] = value
                continue
            seen.add(node)
            children = node.children()
            if not children:
                order.append(node)
                continue
            stack.append((node, True))
            if isinstance(node, Op) and node.op == "rarely":
                children = (children[0], children[2])
            stack.extend([(child, False) for child in reversed(children)])
    return order
