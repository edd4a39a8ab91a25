"""One definition's body as NumPy code."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tcomp.interop.numpy_peer.labelled import (
    Labelled,
    PeerUnavailable,
    Space,
    transposition,
)
from tcomp.interop.numpy_peer.reads import index_array, read
from tcomp.interop.numpy_peer.sums import exact_float, factors, narrow_read, product_sum, scatter
from tcomp.ir.dtypes import f32, i64
from tcomp.ir.tensor.nodes import Apply, Const, Expr, IndexValue, Read, Reduce, Tensor, postorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcomp.ir.dtypes import DType
    from tcomp.ir.integer import Iter

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|",
}  # fmt: skip
CALLS = {
    "where": "np.where", "minimum": "np.minimum", "maximum": "np.maximum", "clip": "np.clip",
    "abs": "np.abs", "sign": "np.sign", "floor": "np.floor", "ceil": "np.ceil", "round": "np.rint",
    "trunc": "np.trunc", "sqrt": "np.sqrt", "exp": "np.exp", "exp2": "np.exp2", "expm1": "np.expm1",
    "log": "np.log", "log2": "np.log2", "log1p": "np.log1p", "sin": "np.sin", "cos": "np.cos",
    "tan": "np.tan", "asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan",
    "atan2": "np.arctan2", "sinh": "np.sinh", "cosh": "np.cosh", "tanh": "np.tanh",
    "isnan": "np.isnan", "isinf": "np.isinf", "not": "np.logical_not", "erf": "erf", "erfc": "erfc",
    "sigmoid": "sigmoid", "gelu": "gelu", "gelu_tanh": "gelu_tanh", "silu": "silu",
    "softplus": "softplus",
}  # fmt: skip
REDUCTIONS = {"prod": "prod", "max": "max", "min": "min", "any": "any", "all": "all"}


class BodyTranslator:
    """Translates the expressions of one definition; `emit` takes a line of code that must come before."""

    def __init__(
        self, space: Space, name: Callable[[Tensor], str], emit: Callable[[str], None], prefix: str
    ) -> None:
        self.space = space
        self.name = name
        self._emit = emit
        self._prefix = prefix
        self._done: dict[Expr, Labelled] = {}
        self._uses: Counter[Expr] = Counter()
        self._temporaries = 0

    def translate(self, body: Expr) -> Labelled:
        """The value of a whole body."""
        for node in postorder(body):
            self._uses.update(node.children())
        for node in reversed(postorder(body)):  # outer reductions get their place first
            if isinstance(node, Reduce):
                for it in node.iters:
                    self.space.add(it)
        return self.value(body)

    def temporary(self, code: str) -> str:
        """A fresh variable that holds the value of `code`."""
        self._temporaries += 1
        name = f"{self._prefix}{self._temporaries}"
        self._emit(f"{name} = {code}")
        return name

    def value(self, expr: Expr) -> Labelled:
        """An expression's value; sub-expressions with several uses are computed once."""
        if expr not in self._done:
            value = self._translate(expr)
            shared = self._uses[expr] > 1 and isinstance(expr, Apply | Reduce) and value.iters
            if shared and not value.code.isidentifier():
                value = Labelled(self.temporary(value.code), value.iters)
            self._done[expr] = value
        return self._done[expr]

    def _translate(self, expr: Expr) -> Labelled:
        match expr:
            case Const(value, dtype):
                return _constant(value, dtype)
            case IndexValue(index, dtype):
                return _converted(index_array(self, index), dtype)
            case Read():
                return read(self, expr)
            case Apply(op, args, dtype):
                return self._apply(op, args, dtype)
            case Reduce():
                return self._reduce(expr)
        raise TypeError(type(expr))

    def _apply(self, op: str, args: tuple[Expr, ...], dtype: DType) -> Labelled:
        operands = [self.value(a) for a in args]
        union = self.space.union(operands)
        codes = [self.space.aligned(o, union) for o in operands]
        if op == "cast":
            if not union:
                return Labelled(f"{numpy_type(dtype)}({operands[0].code})")
            return Labelled(f"{codes[0]}.astype({numpy_type(dtype)})", union)
        if op in INFIX:
            return Labelled(f"{codes[0]} {INFIX[op]} {codes[1]}", union, simple=False)
        if op == "neg":
            return Labelled(f"-{codes[0]}", union, simple=False)
        if op == "rsqrt":
            return Labelled(f"1 / np.sqrt({codes[0]})", union, simple=False)
        if op == "relu":
            return Labelled(f"np.maximum({codes[0]}, 0)", union)
        if op not in CALLS:
            raise PeerUnavailable(f"NumPy has no counterpart of '{op}'")
        arguments = ", ".join(self.space.aligned(o, union, bare=True) for o in operands)
        return Labelled(f"{CALLS[op]}({arguments})", union)

    def _reduce(self, node: Reduce) -> Labelled:
        if (scattered := scatter(self, node)) is not None:
            return scattered
        if node.op == "sum":
            return self._sum(node)
        body = self.value(node.body)
        axes = self._axes(body, node.iters)
        if node.op in ("argmax", "argmin"):
            lo = int(node.iters[0].lo)
            rest = tuple(i for i in body.iters if i not in node.iters)
            if not axes:
                return Labelled(str(lo))
            code = f"{body.operand}.{node.op}(axis={axes[0]})"
            return Labelled(f"{code} + {lo}", rest, False) if lo else Labelled(code, rest)
        if not axes and node.op != "prod":
            return body
        if not axes:
            count = math.prod(int(i.extent) for i in node.iters)
            return Labelled(f"{body.operand} ** {count}", body.iters, simple=False)
        return self._reduced(body, node, axes, REDUCTIONS[node.op])

    def _axes(self, body: Labelled, iters: tuple[Iter, ...]) -> list[int]:
        return [n for n, i in enumerate(body.iters) if i in iters]

    def _reduced(self, body: Labelled, node: Reduce, axes: list[int], method: str) -> Labelled:
        rest = tuple(i for i in body.iters if i not in node.iters)
        arguments = [] if not rest else [f"axis={axes[0] if len(axes) == 1 else tuple(axes)}"]
        if node.dtype.is_integer and method in ("sum", "prod"):
            arguments.append(f"dtype={numpy_type(node.dtype)}")
        return Labelled(f"{body.operand}.{method}({', '.join(arguments)})", rest)

    def _sum(self, node: Reduce) -> Labelled:
        reduced = node.iters
        parts = [self.value(f) for f in factors(node.body)]
        inner = [p for p in parts if any(i in reduced for i in p.iters)]
        outer = [p for p in parts if p not in inner]
        absent = [i for i in reduced if not any(i in p.iters for p in inner)]
        if count := math.prod(int(i.extent) for i in absent) if absent else 0:
            outer.append(_constant(count, node.dtype))
        elif absent:
            outer.append(_constant(0, node.dtype))
        present = tuple(i for i in reduced if i not in absent)
        if len(inner) > 1:
            total = self._product(node, inner, present)
        elif inner:
            total = self._reduced(inner[0], node, self._axes(inner[0], reduced), "sum")
        else:
            total, outer = outer[0], outer[1:]
        for factor in outer:
            union = self.space.union((total, factor))
            code = f"{self.space.aligned(total, union)} * {self.space.aligned(factor, union)}"
            total = Labelled(code, union, simple=False)
        return total

    def _product(self, node: Reduce, inner: list[Labelled], present: tuple[Iter, ...]) -> Labelled:
        exact = exact_float(node.body, present)
        if exact is None:
            return product_sum(self.space, inner, present)
        sources = [narrow_read(f) for f in factors(node.body)]
        wide = [_astype(self.value(s), exact) for s in sources if s is not None]
        total = product_sum(self.space, wide, present)
        return Labelled(f"{total.operand}.astype({numpy_type(node.dtype)})", total.iters)


def _converted(index: Labelled, dtype: DType) -> Labelled:
    """An index as a number; `arange` already gives i64."""
    if not index.iters:
        return Labelled(f"{numpy_type(dtype)}({index.code})")
    return index if dtype is i64 else _astype(index, numpy_type(dtype))


def _astype(operand: Labelled, kind: str) -> Labelled:
    if operand.origin is None:
        return Labelled(f"{operand.operand}.astype({kind})", operand.iters)
    code, iters = operand.origin
    code = f"{code}.astype({kind})"
    return Labelled(transposition(code, iters, operand.iters), operand.iters, origin=(code, iters))


def _constant(value: float | int | bool, dtype: DType) -> Labelled:
    if dtype.is_bool:
        return Labelled(repr(bool(value)))
    if dtype.is_float and (math.isinf(value) or math.isnan(value)):
        text = {"inf": "np.inf", "-inf": "-np.inf"}.get(repr(float(value)), "np.nan")
        return Labelled(text, simple=not text.startswith("-"))
    number: float = int(value)
    if dtype.is_float:  # the shortest text that reads back as the same f32
        number = float(str(np.float32(value))) if dtype is f32 else float(value)
    return Labelled(repr(number), simple=number >= 0)


def numpy_type(dtype: DType) -> str:
    name = dtype.numpy.name
    builtin = dtype.name in ("f64", "f32", "f16") or not dtype.is_float
    if dtype.is_bool:
        return "np.bool_"
    return f"np.{name}" if builtin and not dtype.is_packed else f"ml_dtypes.{name}"
