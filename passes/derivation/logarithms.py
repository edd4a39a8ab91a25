"""Logarithms of products, quotients and exponentials of what is positive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.derivation.rule import replaced, with_statement

_INVERSE = {"log": "exp", "log2": "exp2"}


def split_logarithms(program: Program) -> Iterator[tuple[str, Program]]:
    """log(a * b) = log(a) + log(b), log(a / b) = log(a) - log(b) and log(exp(a)) = a, for a and b that are positive.

    What a tensor of the program is says whether its elements are positive, and what their logarithms are.
    """
    known: dict[Tensor, Definition] = {}
    for place, statement in enumerate(program.body):
        if not isinstance(statement, Definition):
            continue
        for node in postorder(statement.body):
            if isinstance(node, Apply) and node.op in _INVERSE:
                split = _logarithm(node, node.args[0], known)
                if split is not None:
                    body = replaced(statement.body, node, split)
                    made = Definition(statement.tensor, statement.iters, body)
                    yield statement.tensor.name, with_statement(program, place, (made,))
        known[statement.tensor] = statement


def _logarithm(node: Apply, value: Expr, known: Mapping[Tensor, Definition]) -> Expr | None:
    """The logarithm of a value without a logarithm of a product; None where there is none to take apart."""
    match value:
        case Apply("mul" | "div" as op, (left, right), _):
            if isinstance(left, Const) or isinstance(right, Const):
                return None  # whose logarithm would be a rounded number
            if not (_is_positive(left, known) and _is_positive(right, known)):
                return None
            parts = [
                _logarithm(node, part, known) or Apply(node.op, (part,), node.dtype)
                for part in (left, right)
            ]
            return Apply("add" if op == "mul" else "sub", (parts[0], parts[1]), node.dtype)
        case Apply(op, (argument,), _) if op == _INVERSE[node.op]:
            return argument
        case Read(tensor, index, None) if tensor in known:
            inner = known[tensor].body
            if isinstance(inner, Apply) and inner.op == _INVERSE[node.op]:
                places = dict(zip(known[tensor].iters, index, strict=True))
                return substitute(inner.args[0], places)
    return None


def _is_positive(value: Expr, known: Mapping[Tensor, Definition]) -> bool:
    """Whether a value is certainly positive, but for what rounding makes 0."""
    match value:
        case Const(number, _):
            return number > 0
        case Apply("exp" | "exp2", _, _):
            return True
        case Apply("add" | "mul" | "div" | "maximum" | "minimum", args, _):
            return all(_is_positive(a, known) for a in args)
        case Reduce("sum" | "max" | "min", iters, body):
            return all(it.extent.constant > 0 for it in iters) and _is_positive(body, known)
        case Read(tensor, _, None) if tensor in known:
            return _is_positive(known[tensor].body, known)
    return False
