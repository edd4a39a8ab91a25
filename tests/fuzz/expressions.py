"""Random scalar expressions over the tensors and iterators in scope, with facts about their values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from tcomp.ir.dtypes import (
    COMPUTE,
    DType,
    boolean,
    compute_type,
    f32,
    f64,
    i32,
    i64,
    u32,
    u64,
)
from tcomp.ir.integer import Int, Iter, Value
from tcomp.ir.tensor.conversions import convert
from tcomp.ir.tensor.nodes import Apply, Const, Expr, IndexValue, Read, Reduce, Tensor
from tests.fuzz.choices import Choices
from tests.fuzz.facts import Facts, added, chosen, multiplied, narrowed, smooth, summed, unit

MOST_POINTS = 3000  # of an iteration grid, reductions included
EXTENTS = (3, 2, 5, 4, 1, 7, 8, 9, 13, 16, 17)
_INT = Facts(2.0**64)
_TRUTH = Facts(1.0)


@dataclass(slots=True)
class Maker:
    """Draws expressions. `tensors` are those that may be read, with the facts of their elements."""

    choices: Choices
    tensors: dict[Tensor, Facts] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def chance(self, percent: int) -> bool:
        return self.choices.integer(1, 100) > 100 - percent

    # -- values of a type --------------------------------------------------------------------------

    def value(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        """An expression of a compute type or bool that is more than a literal."""
        if dtype.is_bool:
            return self.truth(scope, depth)
        if depth <= 0:
            return self.element(dtype, scope)
        if dtype.is_float:
            forms = (
                self.element, self.arithmetic, self.reduction, self.function, self.selection,
                self.stepped, self.converted, self.quotient,
            )  # fmt: skip
        else:
            forms = (
                self.element, self.arithmetic, self.reduction, self.selection, self.integer_function,
                self.converted, self.position,
            )  # fmt: skip
        form = self.choices.pick(forms)
        return form(dtype, scope, depth - 1)

    def operand(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        """Also a literal or an index value."""
        kind = self.choices.integer(0, 9)
        if kind == 8:
            return self.literal(dtype)
        if kind == 9 and scope:
            return self.index_value(dtype, scope)
        return self.value(dtype, scope, depth)

    def literal(self, dtype: DType) -> tuple[Expr, Facts]:
        number = self.choices.integer(-6, 6)
        if dtype.is_float:
            return Const(number / 4, dtype), Facts(abs(number) / 4, 2)
        number = abs(number) if not dtype.is_signed else number
        return Const(number, dtype), Facts(abs(number))

    def index_value(self, dtype: DType, scope: tuple[Iter, ...]) -> tuple[Expr, Facts]:
        index = self.affine(scope)
        low, high = index.bounds()
        if index.is_constant or low is None or high is None:
            return self.literal(dtype)
        if dtype is u32:  # the front end makes no index value of this type
            return Apply("cast", (IndexValue(index, i64),), dtype), _INT
        wraps = low < 0 and not dtype.is_signed and not dtype.is_float
        return IndexValue(index, dtype), _INT if wraps else Facts(max(abs(low), abs(high)))

    def element(self, dtype: DType, scope: tuple[Iter, ...], depth: int = 0) -> tuple[Expr, Facts]:
        """An element of some tensor, converted to `dtype`."""
        fitting = [
            t for t in self.tensors if compute_type(t.dtype) is dtype and not t.dtype.is_bool
        ]
        others = [t for t in self.tensors if not (t.dtype.is_float and not dtype.is_float)]
        options = fitting if fitting and (not others or self.chance(80)) else others
        if not options:
            return self.index_value(dtype, scope) if scope else self.literal(dtype)
        tensor = self.choices.pick(options)
        expr, facts = self.read(tensor, scope)
        return self.cast(expr, facts, dtype)

    def cast(self, expr: Expr, facts: Facts, dtype: DType) -> tuple[Expr, Facts]:
        """A conversion that cannot overflow or meet a discontinuity."""
        if expr.dtype is dtype:
            return expr, facts
        if dtype.is_float and expr.dtype.is_integer and facts.bound > 1e4:
            wide, _ = self.cast(expr, facts, compute_type(expr.dtype))
            expr, facts = Apply("mod", (wide, Const(17, wide.dtype)), wide.dtype), Facts(16)
        result: Expr = Apply("cast", (expr,), dtype)
        if isinstance(expr, Const):  # folded, as by the front end
            value = convert(np.asarray(expr.value), expr.dtype, dtype).item()
            result = Const(value, dtype)
        if isinstance(expr, IndexValue) and dtype in (i32, i64, u64, f32, f64):
            result = IndexValue(expr.index, dtype)  # as the front end makes it
        if not dtype.is_float:
            return result, facts if facts.bound < 2**31 and dtype.is_signed else _INT
        after = narrowed(facts, dtype)
        assert after is not None
        return result, after

    # -- reads -------------------------------------------------------------------------------------

    def read(self, tensor: Tensor, scope: tuple[Iter, ...]) -> tuple[Read, Facts]:
        facts = self.tensors[tensor]
        index, inside = [], True
        for lo, hi in tensor.axes:
            each, safe = self.index(int(lo), int(hi), scope)
            index.append(each)
            inside = inside and safe
        if inside and not (tensor.rank and self.chance(10)):
            return Read(tensor, tuple(index)), facts
        otherwise, other = self.fallback(tensor, scope)
        return Read(tensor, tuple(index), otherwise), chosen(facts, other)

    def fallback(self, tensor: Tensor, scope: tuple[Iter, ...]) -> tuple[Expr, Facts]:
        same = [t for t in self.tensors if t.dtype is tensor.dtype and t.rank == 0]
        if same and self.chance(20):
            chosen_tensor = self.choices.pick(same)
            return Read(chosen_tensor, ()), self.tensors[chosen_tensor]
        if tensor.dtype.is_bool:
            return Const(self.chance(50), boolean), _TRUTH
        if tensor.dtype.is_float:
            number = self.choices.integer(0, 2)
            return Const(float(number), tensor.dtype), Facts(number)
        return Const(self.choices.integer(0, 3), tensor.dtype), Facts(3)

    def index(self, lo: int, hi: int, scope: tuple[Iter, ...]) -> tuple[Int, bool]:
        """An index for an axis of positions lo:hi, and whether it always is one of them."""
        plain = [i for i in scope if lo <= int(i.lo) and int(i.hi) <= hi]
        if plain and self.chance(60):
            return Int.of(self.choices.pick(plain)), True
        form = self.choices.integer(0, 5)
        if form == 1 and plain:
            it = self.choices.pick(plain)
            return lo + hi - 1 - Int.of(it), True  # reversed
        if form == 2 and hi > lo and scope:
            return self.affine(scope) % (hi - lo) + lo, True
        if form == 3 and (gathered := self.gathered(lo, hi, scope)) is not None:
            return gathered
        index = self.affine(scope)
        if form == 4:
            index = index // self.choices.pick((2, 3))
        low, high = index.bounds()
        inside = low is not None and high is not None and lo <= low and high < hi
        if not inside and hi > lo and not scope:
            return Int.of(self.choices.integer(lo, hi - 1)), True
        return index, inside

    def gathered(self, lo: int, hi: int, scope: tuple[Iter, ...]) -> tuple[Int, bool] | None:
        integers = [t for t in self.tensors if t.dtype.is_integer]
        if not integers:
            return None
        tensor = self.choices.pick(integers)
        index = tuple(self.index_without_gather(int(a), int(b), scope) for a, b in tensor.axes)
        safe = all(inside for _, inside in index)
        guard = None if safe else Const(0, tensor.dtype)
        value = Int.of(Value(Read(tensor, tuple(i for i, _ in index), guard)))
        if hi > lo and tensor.dtype.bits < 64 and self.chance(50):
            return value % (hi - lo) + lo, True
        return value, False

    def index_without_gather(self, lo: int, hi: int, scope: tuple[Iter, ...]) -> tuple[Int, bool]:
        plain = [i for i in scope if lo <= int(i.lo) and int(i.hi) <= hi]
        if plain:
            return Int.of(self.choices.pick(plain)), True
        return (Int.of(lo), True) if hi > lo else (Int.of(lo), False)

    def affine(self, scope: tuple[Iter, ...]) -> Int:
        index = Int.of(self.choices.integer(-2, 3))
        for _ in range(self.choices.integer(1, 2) if scope else 0):
            index = index + Int.of(self.choices.pick(scope)) * self.choices.pick((1, 1, 2, -1, 3))
        return index

    # -- operations --------------------------------------------------------------------------------

    def arithmetic(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        op = self.choices.pick(("add", "mul", "sub", "minimum", "maximum"))
        (a, fa), (b, fb) = self.value(dtype, scope, depth), self.operand(dtype, scope, depth)
        if self.chance(30):
            a, b, fa, fb = b, a, fb, fa
        if op in ("minimum", "maximum"):
            facts = chosen(fa, fb)
        elif op == "mul":
            facts = multiplied(fa, fb, dtype)
        else:
            facts = added(fa, fb, dtype)
        if dtype.is_float and facts.bound > 1e6:
            op, facts = "minimum", chosen(fa, fb)
        return Apply(op, (a, b), dtype), facts if dtype.is_float else _INT

    def function(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        """An elementary function on a part of its domain where it is not steep."""
        a, f = self.value(dtype, scope, depth)
        op = self.choices.pick(
            (
                "neg", "abs", "tanh", "exp", "sigmoid", "relu", "sqrt", "log", "rsqrt", "sin", "cos",
                "erf", "atan", "gelu", "gelu_tanh", "silu", "softplus", "exp2", "expm1", "log1p",
                "log2", "erfc", "asin", "acos", "sinh", "cosh", "tan", "atan2", "pow",
            )
        )  # fmt: skip
        if op in ("neg", "abs", "relu"):
            return Apply(op, (a,), dtype), f
        if op in ("exp", "exp2", "expm1", "sinh", "cosh"):
            a = Apply("clip", (a, Const(-3.0, dtype), Const(2.5, dtype)), dtype)
            return Apply(op, (a,), dtype), smooth(f, 13.0, 13.0, dtype)
        if op in ("sqrt", "log", "rsqrt", "log2", "log1p", "pow"):
            a = Apply("add", (Apply("abs", (a,), dtype), Const(0.5, dtype)), dtype)
            f = added(f, Facts(0.5, 1), dtype)
            if op == "pow":
                a = Apply("minimum", (a, Const(4.0, dtype)), dtype)
                return Apply(op, (a, Const(1.25, dtype)), dtype), smooth(f, 2.0, 6.0, dtype)
            return Apply(op, (a,), dtype), smooth(f, 3.0, max(f.bound, 2.0), dtype)
        if op in ("asin", "acos", "tan"):
            a = Apply("clip", (a, Const(-0.75, dtype), Const(0.75, dtype)), dtype)
            return Apply(op, (a,), dtype), smooth(f, 2.0, 3.0, dtype)
        if op == "atan2":
            b = Apply("add", (Apply("abs", (a,), dtype), Const(1.0, dtype)), dtype)
            return Apply(op, (a, b), dtype), smooth(f, 2.0, 1.0, dtype)
        bound = f.bound + 1 if op in ("gelu", "gelu_tanh", "silu", "softplus") else 2.0
        slope = 1.2 + (f.bound * unit(dtype) if op in ("sin", "cos") else 0.0)
        return Apply(op, (a,), dtype), smooth(f, slope, bound, dtype)

    def quotient(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        (a, fa), (b, fb) = self.value(dtype, scope, depth), self.value(dtype, scope, depth - 1)
        if fa.exact and self.chance(30):
            divisor = self.choices.pick((0.75, -1.5, 2.0))
            op = self.choices.pick(("floordiv", "mod"))
            facts = Facts(2 * fa.bound + 2, max(fa.grain or 0, 2)).settled(dtype)
            return Apply(op, (a, Const(divisor, dtype)), dtype), facts
        below = Apply("add", (Apply("abs", (b,), dtype), Const(0.5, dtype)), dtype)
        error = 2 * fa.error + 4 * fa.bound * fb.error + 2 * fa.bound * unit(dtype) * 2
        return Apply("div", (a, below), dtype), Facts(2 * fa.bound, None, error)

    def stepped(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        """A discontinuous function, of exact values only."""
        a, f = self.value(dtype, scope, depth)
        if not f.exact:
            return a, f
        op = self.choices.pick(("floor", "ceil", "round", "trunc", "sign"))
        return Apply(op, (a,), dtype), Facts(f.bound + 1, f.grain).settled(dtype)

    def integer_function(
        self, dtype: DType, scope: tuple[Iter, ...], depth: int
    ) -> tuple[Expr, Facts]:
        op = self.choices.pick(("floordiv", "mod", "abs", "neg", "sign", "relu", "clip", "pow"))
        a, _ = self.value(dtype, scope, depth)
        if op in ("floordiv", "mod"):
            b, _ = self.operand(dtype, scope, depth)
            return Apply(op, (a, b), dtype), _INT
        if op == "pow":
            b = Const(self.choices.pick((17, 20, 31)), dtype)  # smaller ones are products
            return Apply(op, (a, b), dtype), _INT
        if op == "clip":
            return Apply(op, (a, Const(1, dtype), Const(9, dtype)), dtype), Facts(9)
        return Apply(op, (a,), dtype), _INT

    def selection(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        condition, _ = self.truth(scope, depth)
        (a, fa), (b, fb) = self.value(dtype, scope, depth), self.operand(dtype, scope, depth)
        return Apply("where", (condition, a, b), dtype), chosen(fa, fb)

    def converted(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        """A value of another type, converted explicitly."""
        sources = [t for t in (f32, i32, i64, f64, u32, boolean, u64) if t is not dtype]
        a, facts = self.value(self.choices.pick(sources), scope, depth)
        if a.dtype.is_float and not dtype.is_float:
            if not facts.exact:
                return self.element(dtype, scope)
            return Apply("cast", (a,), dtype), Facts(min(facts.bound, 2.0**63))
        return self.cast(a, facts, dtype)

    def truth(self, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        form = self.choices.integer(0, 4)
        if form == 1 and depth > 0:
            (a, _), (b, _) = self.truth(scope, depth - 1), self.truth(scope, depth - 1)
            return Apply(self.choices.pick(("and", "or")), (a, b), boolean), _TRUTH
        if form == 2 and depth > 0:
            return Apply("not", (self.truth(scope, depth - 1)[0],), boolean), _TRUTH
        if form == 3 and depth > 0 and (its := self.iterators(scope, empty=True)):
            body, _ = self.truth((*scope, *its), depth - 1)
            return Reduce(self.choices.pick(("any", "all")), its, body), _TRUTH
        dtype = self.choices.pick(COMPUTE)
        (a, fa), (b, fb) = (
            self.value(dtype, scope, depth - 1),
            self.operand(dtype, scope, depth - 1),
        )
        if not (fa.exact and fb.exact):
            dtype = i32
            (a, _), (b, _) = self.element(dtype, scope), self.element(dtype, scope)
            if isinstance(a, Const | IndexValue) and isinstance(b, Const | IndexValue):
                a = Apply("abs", (a,), dtype) if isinstance(a, IndexValue) else a
        op = self.choices.pick(("lt", "le", "gt", "ge", "eq", "ne"))
        return Apply(op, (a, b), boolean), _TRUTH

    # -- reductions --------------------------------------------------------------------------------

    def iterators(self, scope: tuple[Iter, ...], empty: bool) -> tuple[Iter, ...]:
        """One or two new iterators, as far as the grid stays small."""
        room = MOST_POINTS // max(1, math.prod(int(i.extent) for i in scope))
        found: list[Iter] = []
        for _ in range(self.choices.integer(1, 2)):
            options = [n for n in EXTENTS if n <= room]
            if not options:
                break
            extent = 0 if empty and self.chance(3) else self.choices.pick(options)
            low = self.choices.pick((0, 0, 0, 1, -1))
            found.append(Iter(f"k{next(self.numbers)}", Int.of(low), Int.of(low + extent)))
            room //= max(extent, 1)
        return tuple(found)

    def reduction(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        op = self.choices.pick(("sum", "max", "min", "prod", "sum"))
        its = self.iterators(scope, empty=op in ("sum", "prod"))
        if not its:
            return self.element(dtype, scope)
        terms = math.prod(int(i.extent) for i in its)
        body, facts = self.value(dtype, (*scope, *its), depth)
        if op == "sum" and self.chance(60):
            other, of = self.element(dtype, (*scope, *its))
            body, facts = Apply("mul", (body, other), dtype), multiplied(facts, of, dtype)
        if not dtype.is_float:
            return Reduce(op, its, body), _INT if op in ("sum", "prod") else facts
        if op == "prod" and (terms > 4 or facts.bound**4 > 1e4):
            op = "max"
        if op == "sum":
            if facts.bound * terms > 1e6:
                op = "min"
            else:
                return Reduce(op, its, body), summed(facts, terms, dtype)
        if op == "prod":
            total = Facts(1.0)
            for _ in range(terms):
                total = multiplied(total, facts, dtype)
            return Reduce(op, its, body), replace(total, bound=max(total.bound, 1.0))
        if terms == 0:
            op = "sum"
        return Reduce(op, its, body), facts

    def position(self, dtype: DType, scope: tuple[Iter, ...], depth: int) -> tuple[Expr, Facts]:
        """argmax or argmin of exact values, so that ties are ties on both sides."""
        its = self.iterators(scope, empty=False)[:1]
        if not its:
            return self.element(dtype, scope)
        source = self.choices.pick((f32, i32, f64, u32, i64))
        body, facts = self.value(source, (*scope, *its), min(depth, 1))
        if not facts.exact:
            body, facts = self.element(i32, (*scope, *its))
        found = Reduce(self.choices.pick(("argmax", "argmin")), its, body)
        low, high = int(its[0].lo), int(its[0].hi)
        return self.cast(found, Facts(max(abs(low), abs(high))), dtype)
