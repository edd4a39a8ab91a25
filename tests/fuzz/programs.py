"""Random programs: several definitions, locals, results, scans, and the arrays to run them on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tcomp.ir.dtypes import (
    ALL,
    COMPUTE,
    DType,
    boolean,
    compute_type,
    f16,
    f32,
    i8,
    i32,
    i64,
    u8,
)
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.conversions import integer_range
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    Program,
    Read,
    Scan,
    Statement,
    Tensor,
)
from tests.fuzz.choices import Choices
from tests.fuzz.contractions import contraction
from tests.fuzz.expressions import EXTENTS, MOST_POINTS, Maker
from tests.fuzz.facts import Facts, added, chosen, multiplied, narrowed, unit

_INPUT_TYPES = (f32, f32, f32, i32, f16, i8, boolean, i64, u8, *ALL)
_RESULT_TYPES = (f32, f32, i32, *ALL)


@dataclass(frozen=True, slots=True)
class Case:
    """A program, its inputs, and how far each float result of a compiled kernel may be from float64."""

    program: Program
    inputs: dict[str, np.ndarray[Any, Any]]
    tolerances: tuple[float, ...]  # absolute; 0 for results that must be equal


def make_case(choices: Choices) -> Case:
    """Draws a case. Inputs have their type's NumPy dtype (ml_dtypes for narrow ones), logical shapes."""
    maker = Maker(choices)
    extents = [choices.pick(EXTENTS) for _ in range(3)]
    inputs: dict[str, np.ndarray[Any, Any]] = {}
    for position in range(choices.integer(1, 4)):
        tensor, facts, array = _input(maker, f"a{position}", extents)
        maker.tensors[tensor] = facts
        inputs[tensor.name] = array
    sources = list(maker.tensors)
    body: list[Statement] = []
    made: list[Tensor] = []
    for number in range(choices.integer(1, 4)):
        kind = choices.integer(0, 9)
        if kind in (7, 8):
            statement = _scan(maker, number, extents)
            body.append(statement)
            made += [d.tensor for d in statement.definitions]
            continue
        if kind == 9:
            names = f"x{number}", f"w{number}"
            definition, factors = contraction(maker, f"t{number}", *names)
            sources += factors
            inputs.update((t.name, _small_values(maker, t)) for t in factors)
        else:
            definition = _definition(maker, f"t{number}", extents)
        body.append(definition)
        made.append(definition.tensor)
    results = [t for t in made[:-1] if _from_zero(t) and maker.chance(40)]
    last = made[-1]
    if not _from_zero(last):
        copied = _shifted_copy(maker, last)
        body.append(copied)
        last = copied.tensor
    results.append(last)
    tolerances = tuple(_tolerance(maker.tensors[t], t.dtype) for t in results)
    return Case(
        Program("drawn", (), tuple(sources), tuple(results), tuple(body)), inputs, tolerances
    )


def _tolerance(facts: Facts, dtype: DType) -> float:
    if not dtype.is_float or facts.exact:
        return 0.0
    return 2 * facts.error + facts.bound * unit(dtype)


def _from_zero(tensor: Tensor) -> bool:
    return all(int(lo) == 0 for lo, _ in tensor.axes)


def _shape(maker: Maker, extents: list[int], most: int = 5) -> list[int]:
    rank = maker.choices.pick([r for r in (2, 1, 3, 0, 4, 5) if r <= most])
    shape: list[int] = []
    for _ in range(rank):
        room = MOST_POINTS // 4 // math.prod(shape)
        extent = 0 if maker.chance(2) else maker.choices.pick(extents)
        shape.append(extent if extent <= room else min(2, max(room, 1)))
        if extent == 0:
            extents = [1, 2]
        if not shape[-1]:
            shape[-1] = 0
            break
    return shape


def _input(
    maker: Maker, name: str, extents: list[int]
) -> tuple[Tensor, Facts, np.ndarray[Any, Any]]:
    dtype = maker.choices.pick(_INPUT_TYPES)
    shape = _shape(maker, extents)
    tensor = Tensor(name, dtype, tuple((Int.of(0), Int.of(n)) for n in shape))
    if not dtype.is_integer or not maker.chance(15):
        bound = 1.75 if dtype.is_float else 16.0
        return tensor, Facts(bound, 2 if dtype.is_float else 0), _small_values(maker, tensor)
    low, high = integer_range(dtype)
    drawn = _generator(maker).integers(low, high, shape, _wide(high), endpoint=True)
    return tensor, Facts(max(-low, high)), np.asarray(drawn).astype(dtype.numpy)


def _small_values(maker: Maker, tensor: Tensor) -> np.ndarray[Any, Any]:
    """Multiples of 1/4 up to 1.75, integers up to 16 that the type holds, or truth values."""
    dtype, rng = tensor.dtype, _generator(maker)
    shape = [int(n) for n in tensor.shape]
    if dtype.is_float:
        return np.asarray(rng.integers(-7, 8, shape) / 4).astype(dtype.numpy)
    if dtype.is_bool:
        return np.asarray(rng.integers(0, 2, shape) > 0)
    low, high = integer_range(dtype)
    drawn = rng.integers(max(low, -8), min(high, 16), shape, endpoint=True)
    return np.asarray(drawn).astype(dtype.numpy)


def _generator(maker: Maker) -> np.random.Generator:
    return np.random.default_rng(maker.choices.integer(0, 1 << 16))


def _wide(high: int) -> type[Any]:
    return np.uint64 if high >= 2**63 else np.int64


def _iters(maker: Maker, extents: list[int], local: bool) -> tuple[Iter, ...]:
    shape = _shape(maker, extents)
    lows = [maker.choices.pick((0, 0, 0, -1, 2)) if local else 0 for _ in shape]
    return tuple(
        Iter(f"p{next(maker.numbers)}", Int.of(lo), Int.of(lo + n))
        for lo, n in zip(lows, shape, strict=True)
    )


def _definition(maker: Maker, name: str, extents: list[int]) -> Definition:
    iters = _iters(maker, extents, local=maker.chance(30))
    dtype = maker.choices.pick(_RESULT_TYPES)
    depth = maker.choices.integer(1, 4)
    body, facts = maker.value(dtype if dtype.is_bool else compute_type(dtype), iters, depth)
    body, facts = _stored(maker, body, facts, dtype)
    tensor = Tensor(name, body.dtype, tuple((i.lo, i.hi) for i in iters))
    maker.tensors[tensor] = facts
    return Definition(tensor, iters, body)


def _stored(maker: Maker, body: Expr, facts: Facts, dtype: DType) -> tuple[Expr, Facts]:
    """The body converted to its tensor's type, unless it could overflow."""
    if body.dtype is dtype:
        return body, facts
    if not dtype.is_float:
        return maker.cast(body, facts, dtype)[0], Facts(2.0**dtype.bits)
    after = narrowed(facts, dtype)
    return (body, facts) if after is None else maker.cast(body, facts, dtype)


def _shifted_copy(maker: Maker, source: Tensor) -> Definition:
    iters = tuple(Iter(f"p{next(maker.numbers)}", Int.of(0), hi - lo) for lo, hi in source.axes)
    index = tuple(Int.of(i) + lo for i, (lo, _) in zip(iters, source.axes, strict=True))
    tensor = Tensor("last", source.dtype, tuple((i.lo, i.hi) for i in iters))
    maker.tensors[tensor] = maker.tensors[source]
    return Definition(tensor, iters, Read(source, index))


# -- scans ---------------------------------------------------------------------------------------------


def _scan(maker: Maker, number: int, extents: list[int]) -> Scan:
    """A recurrence whose growth is known: a decay, a running extremum, or wrapping integers."""
    others = _iters(maker, extents, local=False)[:3]
    ordered = Iter(f"t{next(maker.numbers)}s", Int.of(0), Int.of(maker.choices.pick(EXTENTS)))
    place = maker.choices.integer(0, len(others))
    iters = (*others[:place], ordered, *others[place:])
    back = maker.choices.pick((1, 1, 2))
    if maker.chance(30):
        return _scan_block(maker, number, iters, ordered, back)
    dtype = maker.choices.pick((f32, f32, *COMPUTE))
    step, fs = maker.value(dtype, iters, maker.choices.integer(0, 2))
    tensor = Tensor(f"t{number}", dtype, tuple((i.lo, i.hi) for i in iters))
    start, f0 = maker.fallback(tensor, ())
    previous = _earlier(tensor, iters, ordered, back, start)
    if not dtype.is_float:
        op = maker.choices.pick(("add", "mul", "minimum", "maximum"))
        body: Expr = Apply(op, (previous, step), dtype)
        facts = Facts(2.0**64)
    elif maker.chance(50):
        body = Apply(maker.choices.pick(("maximum", "minimum")), (previous, step), dtype)
        facts = chosen(fs, f0)
    else:
        half = Apply("mul", (previous, Const(0.5, dtype)), dtype)
        body = Apply("add", (half, step), dtype)
        once = added(multiplied(Facts(2 * fs.bound + f0.bound), Facts(0.5, 1), dtype), fs, dtype)
        facts = Facts(once.bound, None, 4 * (fs.error + 2 * once.bound * unit(dtype)))
    maker.tensors[tensor] = facts
    return Scan(ordered, (Definition(tensor, iters, body),))


def _scan_block(
    maker: Maker, number: int, iters: tuple[Iter, ...], ordered: Iter, back: int
) -> Scan:
    """g reads the earlier h, h is tanh of g: bounded whatever the steps are."""
    axes = tuple((i.lo, i.hi) for i in iters)
    g, h = Tensor(f"g{number}", f32, axes), Tensor(f"h{number}", f32, axes)
    step, fs = maker.value(f32, iters, 1)
    previous = _earlier(h, iters, ordered, back, Const(0.5, f32))
    first = Apply("add", (Apply("mul", (previous, Const(0.5, f32)), f32), step), f32)
    second = Apply("tanh", (Read(g, tuple(Int.of(i) for i in iters)),), f32)
    error = 4 * (fs.error + 4 * (fs.bound + 1) * unit(f32))
    maker.tensors[g] = Facts(fs.bound + 1, None, error)
    maker.tensors[h] = replace(maker.tensors[g], bound=1.0)
    return Scan(ordered, (Definition(g, iters, first), Definition(h, iters, second)))


def _earlier(
    tensor: Tensor, iters: tuple[Iter, ...], ordered: Iter, back: int, start: Expr
) -> Read:
    index = tuple(Int.of(i) - back if i is ordered else Int.of(i) for i in iters)
    return Read(tensor, index, start)
