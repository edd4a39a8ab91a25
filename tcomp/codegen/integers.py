"""Index polynomials as i64 arithmetic and pointers.

A pointer is built term by term from the outermost loop level inwards, the constant last: what does not
change in a loop is then computed outside it, and the constant folds into the memory operand.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tcomp.codegen.ssa import Ssa
from tcomp.diagnostics import InternalError
from tcomp.ir.integer import FloorDiv, Int, Min, Mod, Monomial, Value
from tcomp.ir.loop.nodes import LoopVar

if TYPE_CHECKING:
    from tcomp.codegen.function import FunctionEmitter


def constant(value: int) -> Ssa:
    return Ssa(str(value), "i64")


def emit_integer(emitter: FunctionEmitter, index: Int) -> Ssa:
    """The value of a polynomial as an i64."""
    total: Ssa | None = None
    for _, part in _by_level(emitter, index):
        total = part if total is None else _add(emitter, total, part)
    if total is None:
        return constant(index.constant)
    return _add(emitter, total, constant(index.constant)) if index.constant else total


def emit_pointer(emitter: FunctionEmitter, base: Ssa, element: str, index: Int) -> Ssa:
    """The address of element `index` of an array of `element`s that starts at `base`."""
    pointer = _varying(emitter, base, element, index) if index.terms else base
    if index.constant:
        pointer = _step(emitter, pointer, element, constant(index.constant))
    return pointer


def _varying(emitter: FunctionEmitter, base: Ssa, element: str, index: Int) -> Ssa:
    """The address but for the constant: one for many elements, so it is looked up by its terms."""
    key = base.name, element, index.terms
    known = emitter.builder.known_pointer(key)
    if known is not None:
        return known
    pointer = base
    for _, part in _by_level(emitter, index):
        pointer = _step(emitter, pointer, element, part)
    if not any(isinstance(atom, Value) for atom in index.leaves()):  # whose locals may change
        emitter.builder.keep_pointer(key, pointer)
    return pointer


def _step(emitter: FunctionEmitter, pointer: Ssa, element: str, offset: Ssa) -> Ssa:
    text = f"getelementptr {element}, {pointer.typed}, {offset.typed}"
    return emitter.builder.pure(text, "ptr", [pointer, offset], "p")


def _by_level(emitter: FunctionEmitter, index: Int) -> list[tuple[int, Ssa]]:
    """The non-constant part as one sum for each loop level, outermost first."""
    levels: dict[int, list[Ssa]] = defaultdict(list)
    for monomial, factor in index.terms:
        term = _term(emitter, monomial, factor)
        levels[term.scope.depth if term.scope else 0].append(term)
    sums = []
    for depth in sorted(levels):
        total = levels[depth][0]
        for term in levels[depth][1:]:
            total = _add(emitter, total, term)
        sums.append((depth, total))
    return sums


def _term(emitter: FunctionEmitter, monomial: Monomial, factor: int) -> Ssa:
    if len(monomial) == 1 and isinstance(monomial[0], LoopVar) and factor != 1:
        multiple = emitter.multiple(monomial[0], factor)
        if multiple is not None:
            return multiple
    values = [emit_atom(emitter, atom) for atom in monomial]
    values.sort(key=lambda v: v.scope.depth if v.scope else 0)
    product = values[0]
    for value in values[1:]:
        product = _binary(emitter, "mul nsw", product, value)
    return scaled(emitter, product, factor)


def scaled(emitter: FunctionEmitter, value: Ssa, factor: int) -> Ssa:
    """factor * value."""
    if factor == 1:
        return value
    if value.scope is None:
        return constant(int(value.name) * factor)
    return _binary(emitter, "mul nsw", value, constant(factor))


def emit_atom(emitter: FunctionEmitter, atom: object) -> Ssa:
    """A loop variable, a quotient, a remainder, a minimum or a computed value, as an i64."""
    match atom:
        case LoopVar():
            return emitter.counter(atom)
        case FloorDiv(left, right):
            return _divide(emitter, left, right)[0]
        case Mod(left, right):
            return _divide(emitter, left, right)[1]
        case Min(left, right):
            pair = [emit_integer(emitter, left), emit_integer(emitter, right)]
            return emitter.builder.call("llvm.smin", "i64", pair)
        case Value(expr):
            return emitter.as_i64(expr)
    raise InternalError(f"address over {atom!r}", code="TC099")


def _divide(emitter: FunctionEmitter, left: Int, right: Int) -> tuple[Ssa, Ssa]:
    """Floor quotient and remainder."""
    a, b = emit_integer(emitter, left), emit_integer(emitter, right)
    low, _ = left.bounds()
    if not right.is_constant:  # it may be placed where it is not needed: never divide by zero
        zero = _binary(emitter, "icmp eq", b, constant(0), "i1")
        b = _select(emitter, zero, constant(1), b)
    if low is not None and low >= 0 and right.is_constant and right.constant > 0:
        return _binary(emitter, "udiv", a, b), _binary(emitter, "urem", a, b)
    quotient, rest = _binary(emitter, "sdiv", a, b), _binary(emitter, "srem", a, b)
    # Truncation is one too high where the remainder is not zero and has not the divisor's sign.
    unlike = _binary(emitter, "xor", rest, b)
    negative = _binary(emitter, "icmp slt", unlike, constant(0), "i1")
    inexact = _binary(emitter, "icmp ne", rest, constant(0), "i1")
    fix = _binary(emitter, "and", negative, inexact)
    down = _add(emitter, quotient, constant(-1))
    return _select(emitter, fix, down, quotient), _select(
        emitter, fix, _add(emitter, rest, b), rest
    )


def _add(emitter: FunctionEmitter, a: Ssa, b: Ssa) -> Ssa:
    return _binary(emitter, "add nsw", a, b)


def _binary(emitter: FunctionEmitter, op: str, a: Ssa, b: Ssa, type_: str = "") -> Ssa:
    return emitter.builder.pure(f"{op} {a.typed}, {b}", type_ or a.type, [a, b])


def _select(emitter: FunctionEmitter, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
    text = f"select {condition.typed}, {a.typed}, {b.typed}"
    return emitter.builder.pure(text, a.type, [condition, a, b])
