"""What is known while a def is lowered: its names, and the program that all inlined defs add to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from tcomp.diagnostics import CompileError, Span
from tcomp.ir.dtypes import DType
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Axis,
    Constraint,
    Definition,
    Expr,
    Read,
    Statement,
    Tensor,
)
from tcomp.lang.syntax import Def, Node
from tcomp.lang.weak import Operand
from tcomp.lang.words import FUNCTIONS, RESERVED, kind_of_word

if TYPE_CHECKING:
    from tcomp.lang.library import Defs

Types: TypeAlias = Mapping[str, DType]  # of 'float', 'int' and 'element'


@dataclass(frozen=True, slots=True)
class Handle:
    """A tensor as a def sees it.

    `axes` are the def's own ones; the tensor may have more in front, at which every read has the
    positions `prefix` (iterators of the batch). Position p of axis n is at p + shift[n] in the tensor.
    """

    tensor: Tensor
    axes: tuple[Axis, ...]
    prefix: tuple[Int, ...] = ()
    shift: tuple[Int, ...] = ()

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def dtype(self) -> DType:
        return self.tensor.dtype

    @property
    def extents(self) -> tuple[Int, ...]:
        return tuple(hi - lo for lo, hi in self.axes)

    def read(self, index: Iterable[Int], otherwise: Expr | None = None) -> Read:
        """One element at the def's own positions."""
        own = list(index)
        if self.shift:
            own = [i + s for i, s in zip(own, self.shift, strict=True)]
        return Read(self.tensor, (*self.prefix, *own), otherwise)


@dataclass(slots=True)
class Context:
    """The program being made, and what all of its defs share."""

    defs: Defs
    taken: set[str]  # names that no made-up tensor may have
    functions: frozenset[str] = FUNCTIONS  # scalar functions that may be called
    statements: list[Statement] = field(default_factory=list)
    constraints: dict[tuple[Int, str, Int], Constraint] = field(default_factory=dict)
    spans: dict[Expr, Span] = field(default_factory=dict)
    active: list[str] = field(default_factory=list)  # defs being inlined, outermost first
    calls: dict[str, int] = field(default_factory=dict)

    def fresh(self, name: str) -> str:
        """A name that no tensor or size of the program has yet, like `name`."""
        candidate, count = name, 1
        while candidate in self.taken:
            count += 1
            candidate = f"{name}_{count}"
        self.taken.add(candidate)
        return candidate

    def call_name(self, function: str) -> str:
        """`softmax_1` for the first call of softmax."""
        self.calls[function] = self.calls.get(function, 0) + 1
        return f"{function}_{self.calls[function]}"


@dataclass(slots=True)
class Frame:
    """One def being lowered, for one set of arguments."""

    context: Context
    definition: Def
    types: Types
    sizes: dict[str, Int] = field(default_factory=dict)
    parameters: dict[str, Operand] = field(default_factory=dict)
    tensors: dict[str, Handle] = field(default_factory=dict)
    results: dict[str, Handle] = field(default_factory=dict)
    batch: tuple[Iter, ...] = ()
    batched: set[str] = field(default_factory=set)  # tensors that have the batch's axes
    prefix: str = ""  # of the names of its tensors
    later: frozenset[str] = frozenset()  # tensors that its text defines
    call: Span | None = None  # where a library def was called

    # -- places ------------------------------------------------------------------------------------

    def span(self, node: Node) -> Span:
        """Where a node stands; for the library, where the user called it."""
        if self.call is not None and self.definition.source.library:
            return self.call
        return self.definition.source.span(node.start, node.end)

    def fail(self, message: str, code: str, node: Node, hint: str = "") -> NoReturn:
        raise CompileError(message, code=code, span=self.span(node), hint=hint)

    def note(self, expr: Expr, node: Node) -> Expr:
        """Remembers where a read or a reduction stands."""
        self.context.spans.setdefault(expr, self.span(node))
        return expr

    # -- names -------------------------------------------------------------------------------------

    def check_new(self, name: str, node: Node, what: str) -> None:
        """Raises CompileError where `name` is reserved (TC013) or already has a meaning (TC011)."""
        if name in RESERVED:
            self.fail(
                f"'{name}' is {kind_of_word(name)} and cannot name {what}",
                "TC013",
                node,
                "choose another name",
            )
        if what == "a tensor" and name in self.results and name not in self.tensors:
            return  # its one definition
        for kind, known in self.name_spaces():
            if name in known:
                self.fail(
                    f"'{name}' cannot name {what}: it is already {kind} of '{self.definition.name}'",
                    "TC011",
                    node,
                    "sizes, parameters, tensors and iterators share one name space; case counts",
                )

    def name_spaces(self) -> Iterator[tuple[str, Iterable[str]]]:
        yield "a size", self.sizes
        yield "a parameter", self.parameters
        yield "a result", self.results
        yield "a tensor", self.tensors

    def names(self) -> list[str]:
        """Every name that an expression could mean, for hints."""
        return [n for _, known in self.name_spaces() for n in known]

    def tensor_name(self, name: str) -> str:
        """The name in the program of a tensor that this def calls `name`."""
        return self.context.fresh(self.prefix + name) if self.prefix else name

    def iterator(self, name: str, lo: Int, hi: Int) -> Iter:
        """An iterator; renamed where the batch has one of that name."""
        taken = {i.name for i in self.batch}
        candidate, count = name, 1
        while candidate in taken:
            count += 1
            candidate = f"{name}_{count}"
        return Iter(candidate, lo, hi)

    # -- the program -------------------------------------------------------------------------------

    def require_equal(self, left: Int, right: Int, message: str, code: str, node: Node) -> None:
        """Both are equal, or an error now where they cannot be, or a constraint for binding."""
        difference = left - right
        if difference is Int.of(0):
            return
        low, high = difference.bounds()
        if (low is not None and low > 0) or (high is not None and high < 0):
            self.fail(f"{message}: {left} and {right} differ", code, node)
        made = Constraint(left, "==", right, message, code, self.span(node))
        self.context.constraints.setdefault((left, "==", right), made)

    def require_some(self, extent: Int, message: str, code: str, node: Node) -> None:
        """The extent is at least 1."""
        low, high = extent.bounds()
        if low is not None and low >= 1:
            return
        if high is not None and high < 1:
            self.fail(message, code, node)
        made = Constraint(extent, ">=", Int.of(1), message, code, self.span(node))
        self.context.constraints.setdefault((extent, ">=", Int.of(1)), made)

    def handle(self, name: str, dtype: DType, iters: tuple[Iter, ...], batched: bool) -> Handle:
        """A new tensor of this def with the ranges of `iters`, behind the batch's axes."""
        outer = self.batch if batched else ()
        axes = tuple((i.lo, i.hi) for i in (*outer, *iters))
        own = tuple((i.lo, i.hi) for i in iters)
        return Handle(Tensor(name, dtype, axes), own, tuple(Int.of(i) for i in outer))

    def depends_on_batch(self, body: Expr) -> bool:
        """True if a right side reads something that has the batch's axes."""
        return not body.free_atoms().isdisjoint(self.batch)

    def definition_of(self, handle: Handle, iters: tuple[Iter, ...], body: Expr) -> Definition:
        outer = self.batch if handle.prefix else ()
        return Definition(handle.tensor, (*outer, *iters), body)

    def emit(self, statement: Statement) -> None:
        self.context.statements.append(statement)
