"""Building one LLVM function in SSA form: scopes, value numbering, and where instructions are placed.

No LLVM pass runs over the text (research: half the compile time, the same speed), so what passes would
do is done here while printing. Equal pure instructions are emitted once, and each is placed outside
every loop that it does not depend on: the text of a loop is spliced into its parent only when the loop
is complete, so appending to the parent while inside the loop is appending to its preheader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import NamedTuple

from tcomp.codegen.types import mangled
from tcomp.ir.loop.nodes import Buffer, Expr

# Keeps instructions of one round of a register tile from being scheduled into another: LLVM would load
# operands of several rounds ahead and spill accumulators. It is no instruction.
_FENCE = 'fence syncscope("singlethread") acq_rel'


class ScopeKind(Enum):
    FUNCTION = "function"
    LOOP = "loop"
    BRANCH = "branch"  # may not be reached; a loop's guard is one too


@dataclass(slots=True, eq=False)
class Scope:
    """A stretch of text that is entered at its top: a function, a loop's body, a branch.

    `known` numbers the values computed here; `block` is the label of the basic block that the text ends
    in; `stored` are the buffers that a loop's body writes.
    """

    kind: ScopeKind
    parent: Scope | None
    block: str
    stored: frozenset[Buffer] = frozenset()
    lines: list[str] = field(default_factory=list)
    known: dict[str, Ssa] = field(default_factory=dict)
    pointers: dict[object, Ssa] = field(default_factory=dict)
    values: dict[Expr, Ssa] = field(default_factory=dict)  # of expressions that stay what they are
    depth: int = 0

    def __post_init__(self) -> None:
        self.depth = 0 if self.parent is None else self.parent.depth + 1


class Ssa(NamedTuple):
    """An operand: its name or literal text, its LLVM type, the scope in which it is defined.

    Literals have no scope.
    """

    name: str
    type: str
    scope: Scope | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def typed(self) -> str:
        return f"{self.type} {self.name}"


@dataclass(slots=True)
class Declarations:
    """External functions (intrinsics) that a module uses."""

    lines: dict[str, str] = field(default_factory=dict)

    def intrinsic(self, name: str, result: str, parameters: Sequence[str]) -> str:
        """The name to call; declared once."""
        self.lines.setdefault(name, f"declare {result} @{name}({', '.join(parameters)})")
        return name


class FunctionBuilder:
    """Text of one function. Statements go to the current scope; pure values wherever they are due."""

    def __init__(self, name: str, declarations: Declarations) -> None:
        self.name = name
        self.declarations = declarations
        self.root = Scope(ScopeKind.FUNCTION, None, "entry")
        self.scope = self.root
        self.entry: list[str] = []  # stack slots and captured values, before all else
        self._count = 0
        self._versions: dict[Buffer, int] = {}
        self._fences = 0

    # -- names and text ----------------------------------------------------------------------------

    def fresh(self, hint: str = "v") -> str:
        """A new name; a dot and digits end it, so names from elsewhere cannot clash."""
        self._count += 1
        return f"{_plain(hint)}.{self._count}"

    def line(self, text: str) -> None:
        """An instruction with an effect, here and now."""
        self.scope.lines.append(f"  {text}")

    def body(self) -> str:
        """The finished text between the braces."""
        return "\n".join(["entry:", *self.entry, *self.root.lines])

    # -- values ------------------------------------------------------------------------------------

    def pure(self, text: str, type_: str, operands: Iterable[Ssa], hint: str = "v") -> Ssa:
        """A value that only depends on its operands, computed at most once where it is known."""
        return self._number(text, text, type_, self._outermost(_home(operands, self.root)), hint)

    def load(self, text: str, type_: str, operands: Iterable[Ssa], buffer: Buffer) -> Ssa:
        """A read of memory: not moved past a store to its buffer, nor out of an untaken path."""
        place = self._steady(_home(operands, self.root), buffer)
        age = f"{self._versions.get(buffer, 0)};{self._fences if place is self.scope else 0}"
        return self._number(f"{text};{age}", text, type_, place, "v")

    def fence(self) -> None:
        """Keeps instructions before from being mixed with those behind. Reads of the same block are
        made again: kept values would fill the registers (taps of a filter share most pixels)."""
        self.line(_FENCE)
        self._fences += 1
        self.scope.values.clear()

    def known_value(self, expr: Expr) -> Ssa | None:
        """The value of an expression that was kept in this scope or one around it."""
        scope: Scope | None = self.scope
        while scope is not None:
            if expr in scope.values:
                return scope.values[expr]
            scope = scope.parent
        return None

    def keep_value(self, expr: Expr, value: Ssa) -> None:
        """For expressions that read nothing that the function writes, no local either."""
        if value.scope is not None:
            value.scope.values[expr] = value

    def known_pointer(self, key: object) -> Ssa | None:
        """An address that was kept in this scope or one around it."""
        scope: Scope | None = self.scope
        while scope is not None:
            if key in scope.pointers:
                return scope.pointers[key]
            scope = scope.parent
        return None

    def keep_pointer(self, key: object, pointer: Ssa) -> None:
        (pointer.scope or self.root).pointers[key] = pointer

    def call(self, name: str, type_: str, operands: Sequence[Ssa]) -> Ssa:
        """A pure intrinsic whose name ends in its result's mangled type, `llvm.sqrt` for example."""
        full = f"{name}.{mangled(type_)}"
        return self.call_exact(full, type_, operands)

    def call_exact(self, name: str, type_: str, operands: Sequence[Ssa]) -> Ssa:
        """A pure intrinsic given by its whole name."""
        self.declarations.intrinsic(name, type_, [o.type for o in operands])
        arguments = ", ".join(o.typed for o in operands)
        return self.pure(f"call {type_} @{name}({arguments})", type_, operands)

    def wrote(self, buffers: Iterable[Buffer]) -> None:
        """Earlier reads of these buffers are stale from here on."""
        for buffer in buffers:
            self._versions[buffer] = self._versions.get(buffer, 0) + 1

    def _number(self, key: str, text: str, type_: str, place: Scope, hint: str) -> Ssa:
        scope: Scope | None = place
        while scope is not None:
            if key in scope.known:
                return scope.known[key]
            scope = scope.parent
        value = Ssa(f"%{self.fresh(hint)}", type_, place)
        place.lines.append(f"  {value} = {text}")
        place.known[key] = value
        return value

    def _outermost(self, home: Scope) -> Scope:
        """The scope for a pure value whose operands are all known in `home`: outside every loop
        between, but inside branches that no such loop surrounds."""
        place = scope = self.scope
        while scope is not home:
            assert scope.parent is not None, "operand from another function"
            if scope.kind is ScopeKind.LOOP:
                place = scope.parent
            scope = scope.parent
        return place

    def _steady(self, home: Scope, buffer: Buffer) -> Scope:
        scope = self.scope
        while scope is not home and scope.kind is ScopeKind.LOOP and buffer not in scope.stored:
            assert scope.parent is not None, "operand from another function"
            scope = scope.parent
        return scope

    # -- scopes ------------------------------------------------------------------------------------

    def inside(
        self, kind: ScopeKind, label: str, stored: frozenset[Buffer] = frozenset()
    ) -> _Inside:
        """`with` block that builds a child scope starting at `label`; the caller splices its lines."""
        return _Inside(self, Scope(kind, self.scope, label, stored))

    def start_block(self, label: str) -> None:
        self.scope.lines.append(f"{label}:")
        self.scope.block = label

    def splice(self, child: Scope) -> None:
        self.scope.lines.extend(child.lines)

    def when(self, condition: Ssa, then: Callable[[], None], *, likely: bool = True) -> None:
        """Runs `then` where the i1 holds; it must define nothing that is used later."""
        taken, join = self.fresh("then"), self.fresh("join")
        with self.inside(ScopeKind.BRANCH, taken) as branch:
            then()
            self.line(f"br label %{join}")
        weights = "" if likely else ", !prof !0"
        self.line(f"br i1 {condition}, label %{taken}, label %{join}{weights}")
        self.scope.lines.append(f"{taken}:")
        self.splice(branch)
        self.start_block(join)


class _Inside:
    def __init__(self, builder: FunctionBuilder, scope: Scope) -> None:
        self._builder, self._scope = builder, scope

    def __enter__(self) -> Scope:
        self._builder.scope = self._scope
        return self._scope

    def __exit__(self, *_: object) -> None:
        assert self._scope.parent is not None
        self._builder.scope = self._scope.parent


@cache
def _plain(hint: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in hint)


def _home(operands: Iterable[Ssa], root: Scope) -> Scope:
    """The innermost scope that defines an operand."""
    home = root
    for operand in operands:
        if operand.scope is not None and operand.scope.depth > home.depth:
            home = operand.scope
    return home
