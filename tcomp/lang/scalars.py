"""Scalar expressions: from syntax to typed expressions of the tensor program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from tcomp.diagnostics import nearest
from tcomp.ir.dtypes import DType, compute_type, dtype, f32, i32, i64, promote
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Expr, Reduce, truth
from tcomp.lang import arithmetic, ranges
from tcomp.lang.arithmetic import WrongType, convert, make
from tcomp.lang.frame import Frame, Handle
from tcomp.lang.indices import check_inside, index, inside
from tcomp.lang.scan_order import ScanOrder
from tcomp.lang.syntax import (
    Application,
    Binary,
    Expression,
    Guarded,
    Item,
    Keyword,
    Literal,
    Name,
    Node,
    Ranged,
    Reference,
    Unary,
)
from tcomp.lang.weak import (
    DoesNotFit,
    Operand,
    WeakFloat,
    WeakInt,
    literal,
    realise,
    representable,
    settle,
)
from tcomp.lang.words import CONSTANTS, FUNCTIONS, GENERICS, REDUCTION_NAMES, TYPES
from tcomp.ops import OPS


@dataclass(frozen=True, slots=True)
class Scalars:
    """Lowers expressions in which certain iterators are in scope."""

    frame: Frame
    iterators: dict[str, Iter]
    scan: ScanOrder | None = None

    def operand(self, node: Expression) -> Operand:
        """The value of an expression; literals, sizes and iterators are still weak."""
        match node:
            case Literal(_, _, value):
                if isinstance(value, bool):
                    return truth(value)
                return self._number(value, node)
            case Name():
                return self._name(node)
            case Reference():
                return self.read(node)
            case Guarded():
                return self._guarded(node)
            case Unary(_, _, op, operand):
                if op == "pos":
                    return arithmetic.positive(self.operand(operand))
                return self._apply(op, (self.operand(operand),), node)
            case Binary():
                return self._chain(node)
            case Application():
                return self._application(node)
        raise TypeError(type(node))

    def typed(self, node: Expression) -> Expr:
        """The value in its own type; a narrow one as arithmetic reads it, a bool as it is.

        A `cast` around all of it says the type: `T[i] = cast(f16, e)` makes a local of f16.
        """
        value = self.operand(node)
        try:
            made = settle(value)
        except DoesNotFit as error:
            self.frame.fail(str(error), "TC033", node)
        if made.dtype.is_bool or (isinstance(node, Application) and node.function == "cast"):
            return made
        return convert(made, compute_type(made.dtype))

    def _chain(self, node: Binary) -> Operand:
        """Left operands iteratively: sums of a thousand terms are no deep recursion."""
        chain: list[Binary] = []
        first: Expression = node
        while isinstance(first, Binary):
            chain.append(first)
            first = first.left
        value = self.operand(first)
        for each in reversed(chain):
            value = self._apply(each.op, (value, self.operand(each.right)), each)
        return value

    def _apply(
        self, op: str, args: tuple[Operand, ...], node: Node, expand: bool = True
    ) -> Operand:
        try:
            return arithmetic.apply(op, args, expand)
        except WrongType as error:
            hint = "compare with 0 to make a bool, as in e != 0"
            self.frame.fail(str(error), "TC032", node, hint)
        except DoesNotFit as error:
            self.frame.fail(str(error), "TC033", node, "a cast makes it another type")

    def _number(self, value: int | float, node: Node) -> Operand:
        try:
            return literal(value)
        except DoesNotFit as error:
            self.frame.fail(str(error), "TC033", node, "write it as a float")

    # -- names and reads ---------------------------------------------------------------------------

    def _name(self, node: Name) -> Operand:
        name, frame = node.id, self.frame
        if name in self.iterators:
            return WeakInt(Int.of(self.iterators[name]), i64)
        if name in frame.sizes:
            return WeakInt(frame.sizes[name], i64)
        if name in frame.parameters:
            return frame.parameters[name]
        if name in CONSTANTS:
            return WeakFloat(CONSTANTS[name])
        handle = self.tensor(node, name)
        if handle.rank:
            shown = ", ".join("ijklmnpq"[: handle.rank])
            frame.fail(
                f"'{name}' has {handle.rank} axes and is used here without indices",
                "TC025",
                node,
                f"write {name}[{shown}] with indices on both sides of '='",
            )
        self._check_scan(node, name, (), guarded=False)
        return frame.note(handle.read(()), node)

    def tensor(self, node: Node, name: str) -> Handle:
        """The tensor that an expression names. Raises CompileError (TC010, TC017, TC053)."""
        frame = self.frame
        if name in frame.tensors:
            return frame.tensors[name]
        if name in frame.results or name in frame.later:
            frame.fail(
                f"'{name}' is read before it is defined",
                "TC017",
                node,
                "a tensor is defined once, above its uses; a recurrence is a scan",
            )
        if name in self.iterators or name in frame.sizes or name in frame.parameters:
            frame.fail(f"'{name}' is no tensor and takes no indices", "TC053", node)
        if name in FUNCTIONS or name in REDUCTION_NAMES:
            frame.fail(f"'{name}' is a function: it needs its operands in ( )", "TC014", node)
        known = [*self.iterators, *frame.names(), *CONSTANTS]
        frame.fail(f"unknown name '{name}'", "TC010", node, nearest(name, known))

    def read(self, node: Reference, otherwise: Expr | None = None) -> Expr:
        """One element of a tensor, in its own type."""
        handle, position = self._position(node)
        self._check_scan(node, node.name, position, guarded=otherwise is not None)
        if otherwise is None:
            check_inside(handle, position, node, self)
        return self.frame.note(handle.read(position, otherwise), node)

    def _position(self, node: Reference) -> tuple[Handle, tuple[Int, ...]]:
        handle = self.tensor(node, node.name)
        if len(node.items) != handle.rank:
            given = len(node.items)
            self.frame.fail(
                f"'{node.name}' has {handle.rank} axes, not {given}",
                "TC053",
                node,
                "a tensor without axes is written without brackets" if not handle.rank else "",
            )
        return handle, tuple(index(item, self) for item in node.items)

    def _check_scan(self, node: Node, name: str, position: tuple[Int, ...], guarded: bool) -> None:
        if self.scan is not None:
            self.scan.check(name, position, guarded, node, self.frame)

    def _guarded(self, node: Guarded) -> Operand:
        otherwise = self.operand(node.otherwise)
        handle, _ = self._position(node.read)
        plain = self._guard_value(otherwise, handle.dtype)
        if plain is not None:
            return self.read(node.read, plain)
        # The value outside has no place in the tensor's own type: choose in the common one.
        zero = truth(False) if handle.dtype.is_bool else realise(literal(0), handle.dtype)
        element = self.read(node.read, zero)
        _, position = self._position(node.read)
        return self._apply("where", (inside(handle, position), element, otherwise), node)

    def _guard_value(self, otherwise: Operand, of: DType) -> Expr | None:
        """The value outside in the type `of` the tensor, where that changes nothing."""
        if isinstance(otherwise, Expr):
            if otherwise.dtype is of:
                return otherwise
            joined = promote(of, otherwise.dtype)
            return convert(otherwise, of) if joined is of else None
        if isinstance(otherwise, WeakInt) and otherwise.value.is_constant:
            fits = not of.is_bool and representable(otherwise.value.constant, of)
            return realise(otherwise, of) if fits else None
        if isinstance(otherwise, WeakFloat):
            wide = of.is_float and (of is compute_type(of) or representable(otherwise.value, of))
            return realise(otherwise, of) if wide else None
        fits = of is compute_type(of) and (of.is_float or not otherwise.floating)
        return realise(otherwise, of) if fits else None

    # -- functions ---------------------------------------------------------------------------------

    def _application(self, node: Application) -> Operand:
        name = node.function
        if name in REDUCTION_NAMES:
            return self._reduction(node)
        if name not in self.frame.context.functions:
            self._not_a_function(node)
        if node.items is not None:
            self.frame.fail(f"'{name}' takes no brackets", "TC020", node)
        wanted = 2 if name == "cast" else OPS[name].arity
        if len(node.arguments) != wanted:
            count = f"{wanted} operand{'s' * (wanted > 1)}"
            self.frame.fail(f"'{name}' takes {count}, not {len(node.arguments)}", "TC019", node)
        if name == "cast":
            return self._cast(node)
        return self._apply(name, tuple(map(self.operand, node.arguments)), node, expand=False)

    def _cast(self, node: Application) -> Operand:
        target, value = node.arguments
        made = self.type_named(target)
        return arithmetic.cast(made, self.operand(value))

    def type_named(self, node: Node) -> DType:
        """The concrete type that a name means. Raises CompileError (TC030)."""
        name = node.id if isinstance(node, Name) else ""
        if name in self.frame.types:
            return self.frame.types[name]
        if name in TYPES:
            return dtype(name)
        if name in GENERICS:
            return f32 if name != "int" else i32
        message = f"'{name}' is no type" if name else "the first operand of 'cast' is a type"
        self.frame.fail(message, "TC030", node, nearest(name, TYPES) or "as in cast(f32, e)")

    def _not_a_function(self, node: Application) -> NoReturn:
        name, frame = node.function, self.frame
        if name in frame.tensors or name in frame.results:
            hint = f"indices are in brackets: {name}[...]"
            frame.fail(f"'{name}' is a tensor, not a function", "TC014", node, hint)
        if frame.context.defs.find(name) is not None:
            frame.fail(
                f"the def '{name}' is called inside an expression",
                "TC025",
                node,
                f"call it on whole tensors in a line of its own: T = {name}(...)",
            )
        known = [*FUNCTIONS, *REDUCTION_NAMES, *frame.context.defs.names()]
        frame.fail(f"unknown function '{name}'", "TC014", node, nearest(name, known))

    # -- reductions --------------------------------------------------------------------------------

    def _reduction(self, node: Application) -> Operand:
        name, frame = node.function, self.frame
        if node.items is None:
            hint = f"write {name}[k](...), or {name}[k in 0:N](...)"
            if name in ("max", "min") and len(node.arguments) == 2:
                hint = f"of two values: {name}imum(a, b)"
            frame.fail(f"'{name}' needs the iterators that it runs over", "TC007", node, hint)
        if len(node.arguments) != 1:
            frame.fail(f"'{name}' takes one operand, not {len(node.arguments)}", "TC019", node)
        iters = self.bind(node.items, node.arguments)
        if name in ("argmax", "argmin") and len(iters) != 1:
            frame.fail(f"'{name}' takes one iterator and gives its value", "TC067", node)
        inner = Scalars(frame, {**self.iterators, **iters}, self.scan)
        body = inner.typed(node.arguments[0])
        over = tuple(iters.values())
        if name in ("any", "all"):
            if not body.dtype.is_bool:
                message = f"'{name}' takes bool, not {body.dtype}"
                frame.fail(message, "TC032", node.arguments[0], "compare, as in e != 0")
            return frame.note(Reduce(name, over, body), node)
        body = convert(body, compute_type(body.dtype))
        if name == "mean":
            return self._mean(over, body, node)
        return frame.note(Reduce(name, over, body), node)

    def _mean(self, over: tuple[Iter, ...], body: Expr, node: Application) -> Expr:
        extent = Int.of(1)
        for it in over:
            extent = extent * it.extent
            message = f"'mean' over an empty range of '{it.name}' has no value"
            self.frame.require_some(it.extent, message, "TC063", node)
        total = self.frame.note(Reduce("sum", over, body), node)
        kind = body.dtype if body.dtype.is_float else f32
        count = WeakInt(extent, i64)
        return make("div", convert(total, kind), convert(count, kind))

    def bind(self, items: tuple[Item, ...], scope: tuple[Node, ...]) -> dict[str, Iter]:
        """The iterators that brackets introduce, with their ranges, over an expression."""
        frame = self.frame
        names: list[str] = []
        for item in items:
            name = iterator_name(item, frame)
            if name in names:
                frame.fail(f"'{name}' stands twice in these brackets", "TC021", item)
            self.check_iterator(name, item)
            names.append(name)
        open_names = [n for n, item in zip(names, items, strict=True) if isinstance(item, Name)]
        uses = ranges.uses(open_names, scope, frame) if open_names else {}
        bound: dict[str, Iter] = {}
        for name, item in zip(names, items, strict=True):
            if isinstance(item, Ranged):
                axis = ranges.explicit(item, frame)
            else:
                axis = ranges.inferred(name, item, uses[name], frame)
            bound[name] = frame.iterator(name, *axis)
        return bound

    def check_iterator(self, name: str, node: Node) -> None:
        """Raises CompileError where an iterator's name already has a meaning here."""
        if name in self.iterators:
            self.frame.fail(
                f"'{name}' is already an iterator here",
                "TC012",
                node,
                "nested iterators have different names; sibling reductions may share one",
            )
        self.frame.check_new(name, node, "an iterator")


def iterator_name(item: Item, frame: Frame) -> str:
    """The name that an item of a left side or of a reduction's brackets introduces."""
    if isinstance(item, Name):
        return item.id
    if isinstance(item, Ranged):
        return item.name
    what = "'='" if isinstance(item, Keyword) else "an expression"
    frame.fail(
        f"iterators are distinct names, each with an optional range; {what} stands here",
        "TC021",
        item,
        "as in T[i, j in 0:N]; compute positions on the right side",
    )
