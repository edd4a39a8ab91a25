"""Reads and writes of buffers: contiguous, strided, gathered, masked."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from tcomp.codegen.pieces import known_lanes, pieces, stores_masked
from tcomp.codegen.ssa import Ssa
from tcomp.codegen.types import literal, literals, mangled, memory, register, vector
from tcomp.ir.dtypes import DType, boolean, i64
from tcomp.ir.integer import Int
from tcomp.ir.loop.nodes import Buffer, Const, Expr, Gather, Load, Prefetch, Space, Store

if TYPE_CHECKING:
    from tcomp.codegen.function import FunctionEmitter

VECTOR_ALIGNMENT = 64  # of workspace and private buffers
_SHUFFLED_STRIDE = 4  # up to here a few whole vectors and shuffles beat single elements


def emit_load(emitter: FunctionEmitter, node: Load) -> Ssa:
    """The elements in register form (bool as i1)."""
    mask = _needed(node.mask)
    if _never(node.mask):
        return Ssa(literal(0, node.dtype, node.lanes), register(node.dtype, node.lanes))
    if node.lanes == 1:
        raw = _scalar(emitter, node, mask)
    elif node.stride == 0:
        raw = _repeated(emitter, node, mask)
    elif node.stride == node.group:
        raw = _contiguous(emitter, node, mask)
    elif mask is None:
        raw = _strided(emitter, node)
    elif node.word is None and _has_cheap_masks(emitter, node.dtype, node.stride, node.lanes):
        raw = _picked(emitter, node, mask)
    else:
        lane_offsets = Ssa(literals([node.stride * k for k in range(node.lanes)], i64), _i64s(node))
        raw = _gathered(emitter, node.buffer, node.index, lane_offsets, node.lanes, mask, node.word)
    return _from_memory(emitter, raw, node.dtype, node.lanes)


def emit_gather(emitter: FunctionEmitter, node: Gather) -> Ssa:
    mask = _needed(node.mask)
    if _never(node.mask):
        return Ssa(literal(0, node.dtype, node.lanes), register(node.dtype, node.lanes))
    index = emitter.value(node.index)
    if node.lanes == 1:
        if index.type != "i64":
            index = emitter.builder.pure(f"sext {index.typed} to i64", "i64", [index])
        start = emitter.pointer(node.buffer, node.base)
        element = memory(node.dtype)
        text = f"getelementptr {element}, {start.typed}, {index.typed}"
        pointer = emitter.builder.pure(text, "ptr", [start, index], "p")
        raw = _one(emitter, node.buffer, pointer, mask)
    else:
        raw = _gathered(emitter, node.buffer, node.base, index, node.lanes, mask)
    return _from_memory(emitter, raw, node.dtype, node.lanes)


def emit_store(emitter: FunctionEmitter, stmt: Store) -> None:
    """Writes the elements; the buffer's earlier reads become stale."""
    mask = _needed(stmt.mask)
    if _never(stmt.mask):
        return
    lanes = stmt.value.lanes
    value = _to_memory(emitter, emitter.value(stmt.value), stmt.buffer.dtype, lanes)
    if lanes == 1:
        _store_scalar(emitter, stmt, value, mask)
    elif stmt.stride == 1:
        _store_contiguous(emitter, stmt, value, mask)
    elif _has_cheap_masks(emitter, stmt.buffer.dtype, stmt.stride, lanes):
        _spread(emitter, stmt, value, mask)
    elif mask is None:
        _store_lanes(emitter, stmt, value)
    else:
        _scatter(emitter, stmt, value, mask)
    emitter.builder.wrote([stmt.buffer])


def emit_prefetch(emitter: FunctionEmitter, stmt: Prefetch) -> None:
    """Locality 3 is LLVM's word for every cache level, 2 for all but the first."""
    pointer = emitter.pointer(stmt.buffer, stmt.index)
    name = emitter.builder.declarations.intrinsic(
        "llvm.prefetch.p0", "void", ["ptr", "i32", "i32", "i32"]
    )
    emitter.builder.line(
        f"call void @{name}({pointer.typed}, i32 {int(stmt.write)}, i32 {4 - stmt.level}, i32 1)"
    )


# -- loads ---------------------------------------------------------------------------------------------


def _contiguous(emitter: FunctionEmitter, node: Load, mask: Expr | None) -> Ssa:
    pointer = emitter.pointer(node.buffer, node.index)
    type_ = memory(node.dtype, node.lanes)
    align = alignment(node.buffer, node.index)
    if mask is None:
        text = f"load {type_}, {pointer.typed}, align {align}"
        return emitter.builder.load(text, type_, [pointer], node.buffer)
    bits = emitter.value(mask)
    name = f"llvm.masked.load.{mangled(type_)}.p0"
    emitter.builder.declarations.intrinsic(name, type_, ["ptr", bits.type, type_])
    text = (
        f"call {type_} @{name}(ptr align {align} {pointer}, {bits.typed}, {type_} zeroinitializer)"
    )
    return emitter.builder.load(text, type_, [pointer, bits], node.buffer)


def _scalar(emitter: FunctionEmitter, node: Load, mask: Expr | None) -> Ssa:
    place = emitter.pointer(node.buffer, node.index)
    return _one(emitter, node.buffer, place, mask, node.word)


def _one(
    emitter: FunctionEmitter,
    buffer: Buffer,
    pointer: Ssa,
    mask: Expr | None,
    word: DType | None = None,
) -> Ssa:
    """One element; where the mask is false a constant zero is read instead, without a branch."""
    type_ = memory(word or buffer.dtype)
    if mask is not None:
        bit = emitter.value(mask)
        zero = emitter.zero()
        text = f"select {bit.typed}, {pointer.typed}, {zero.typed}"
        pointer = emitter.builder.pure(text, "ptr", [bit, pointer], "p")
    text = f"load {type_}, {pointer.typed}, align {buffer.dtype.bytes}"
    return emitter.builder.load(text, type_, [pointer], buffer)


def _repeated(emitter: FunctionEmitter, node: Load, mask: Expr | None) -> Ssa:
    """One element in every lane; masked off lanes are zero."""
    if mask is None:
        return emitter.splat(_scalar(emitter, node, None), node.lanes)
    offsets = Ssa("zeroinitializer", _i64s(node))
    return _gathered(emitter, node.buffer, node.index, offsets, node.lanes, mask, node.word)


def _strided(emitter: FunctionEmitter, node: Load) -> Ssa:
    if node.stride == -1 and node.word is None:
        first = node.index - (node.lanes - 1)
        forward = _contiguous(emitter, Load(node.buffer, first, node.lanes), None)
        return emitter.shuffle(forward, forward, list(range(node.lanes))[::-1])
    if 1 < node.stride <= _SHUFFLED_STRIDE and node.lanes >= 4 and node.word is None:
        return _interleaved(emitter, node)
    picked = Ssa("poison", memory(node.dtype, node.lanes))
    for lane in range(node.lanes):
        place = node.index + lane * node.stride
        element = _scalar(emitter, Load(node.buffer, place, word=node.word), None)
        picked = emitter.insert(picked, element, lane)
    return picked


def _interleaved(emitter: FunctionEmitter, node: Load) -> Ssa:
    """Every stride-th element out of `stride` whole vectors.

    Vector c begins at element c * lanes, but the last one ends exactly at the last wanted element, so
    nothing outside the wanted range is touched.
    """
    lanes, stride = node.lanes, node.stride
    wanted = [lane * stride for lane in range(lanes)]
    last = wanted[-1] - lanes + 1
    starts = [*(c * lanes for c in range(stride - 1)), last]
    result: Ssa | None = None
    for number, start in enumerate(starts):
        part = _contiguous(emitter, Load(node.buffer, node.index + start, lanes), None)
        if result is None:
            picks = [w if w < lanes else -1 for w in wanted]
            result = emitter.shuffle(part, part, picks)
            continue
        here = [number * lanes <= w < (number + 1) * lanes for w in wanted]
        picks = [lanes + w - start if here[k] else k for k, w in enumerate(wanted)]
        result = emitter.shuffle(result, part, picks)
    assert result is not None
    return result


def _picked(emitter: FunctionEmitter, node: Load, mask: Expr) -> Ssa:
    """Every stride-th element out of `stride` vectors, of which nothing else is read."""
    lanes, bits = node.lanes, emitter.value(mask)
    type_ = memory(node.dtype, lanes)
    name = f"llvm.masked.load.{mangled(type_)}.p0"
    emitter.builder.declarations.intrinsic(name, type_, ["ptr", bits.type, type_])
    result = Ssa("zeroinitializer", type_)
    for number in range(node.stride):
        place = node.index + number * lanes
        pointer = emitter.pointer(node.buffer, place)
        kept = _spread_mask(emitter, bits, node.stride, number)
        text = (
            f"call {type_} @{name}(ptr align {alignment(node.buffer, place)} {pointer}, "
            f"{kept.typed}, {type_} zeroinitializer)"
        )
        part = emitter.builder.load(text, type_, [pointer, kept], node.buffer)
        first = number * lanes
        here = [first <= k * node.stride < first + lanes for k in range(lanes)]
        picks = [lanes + k * node.stride - first if here[k] else k for k in range(lanes)]
        result = emitter.shuffle(result, part, picks)
    return result


def _has_cheap_masks(emitter: FunctionEmitter, dtype: DType, stride: int, lanes: int) -> bool:
    """Whether masked vectors are cheap, and few of them hold all elements of a strided one."""
    short = 1 < stride <= _SHUFFLED_STRIDE and lanes >= 4
    return short and dtype.bytes >= 4 and emitter.target.has("avx512f")


def _spread_mask(emitter: FunctionEmitter, bits: Ssa, stride: int, number: int) -> Ssa:
    """Of the mask of a strided vector, what falls on its whole vector of that number."""
    lanes = int(bits.type[1:].split(" ")[0])
    nowhere = Ssa(literal(False, boolean, lanes), bits.type)
    places = range(number * lanes, (number + 1) * lanes)
    picks = [lanes if place % stride else place // stride for place in places]
    return emitter.shuffle(bits, nowhere, picks)


def _gathered(
    emitter: FunctionEmitter,
    buffer: Buffer,
    base: Int,
    offsets: Ssa,
    lanes: int,
    mask: Expr | None,
    word: DType | None = None,
) -> Ssa:
    """Elements base + offset of each lane, zero where masked off."""
    start = emitter.pointer(buffer, base)
    element, type_ = memory(buffer.dtype), memory(word or buffer.dtype, lanes)
    pointers = vector("ptr", lanes)
    text = f"getelementptr {element}, {start.typed}, {offsets.typed}"
    places = emitter.builder.pure(text, pointers, [start, offsets], "p")
    bits = _bits(emitter, mask, lanes)
    name = f"llvm.masked.gather.{mangled(type_)}.{mangled(pointers)}"
    emitter.builder.declarations.intrinsic(name, type_, [pointers, bits.type, type_])
    call = (
        f"call {type_} @{name}({pointers} align {buffer.dtype.bytes} {places}, {bits.typed}, "
        f"{type_} zeroinitializer)"
    )
    return emitter.builder.load(call, type_, [places, bits], buffer)


# -- stores --------------------------------------------------------------------------------------------


def _store_contiguous(emitter: FunctionEmitter, stmt: Store, value: Ssa, mask: Expr | None) -> None:
    pointer = emitter.pointer(stmt.buffer, stmt.index)
    align = alignment(stmt.buffer, stmt.index)
    if mask is None:
        emitter.builder.line(f"store {value.typed}, {pointer.typed}, align {align}")
        return
    known = None if stores_masked(emitter.target) else known_lanes(mask)
    if known is not None:
        _store_pieces(emitter, stmt, value, known)
        return
    bits = emitter.value(mask)
    name = f"llvm.masked.store.{mangled(value.type)}.p0"
    emitter.builder.declarations.intrinsic(name, "void", [value.type, "ptr", bits.type])
    emitter.builder.line(
        f"call void @{name}({value.typed}, ptr align {align} {pointer}, {bits.typed})"
    )


def _store_pieces(emitter: FunctionEmitter, stmt: Store, value: Ssa, lanes: list[bool]) -> None:
    for first, size in pieces(lanes):
        place = stmt.index + first
        pointer, align = emitter.pointer(stmt.buffer, place), alignment(stmt.buffer, place)
        part = emitter.shuffle(value, value, range(first, first + size))
        emitter.builder.line(f"store {part.typed}, {pointer.typed}, align {align}")


def _store_scalar(emitter: FunctionEmitter, stmt: Store, value: Ssa, mask: Expr | None) -> None:
    pointer = emitter.pointer(stmt.buffer, stmt.index)
    text = f"store {value.typed}, {pointer.typed}, align {stmt.buffer.dtype.bytes}"
    if mask is None:
        emitter.builder.line(text)
    else:
        emitter.builder.when(emitter.value(mask), lambda: emitter.builder.line(text))


def _store_lanes(emitter: FunctionEmitter, stmt: Store, value: Ssa) -> None:
    for lane in range(stmt.value.lanes):
        pointer = emitter.pointer(stmt.buffer, stmt.index + lane * stmt.stride)
        element = emitter.extract(value, lane)
        emitter.builder.line(
            f"store {element.typed}, {pointer.typed}, align {stmt.buffer.dtype.bytes}"
        )


def _spread(emitter: FunctionEmitter, stmt: Store, value: Ssa, mask: Expr | None) -> None:
    """The elements as every stride-th of `stride` vectors, whose other lanes are masked off."""
    lanes = stmt.value.lanes
    bits = _bits(emitter, mask, lanes)
    name = f"llvm.masked.store.{mangled(value.type)}.p0"
    emitter.builder.declarations.intrinsic(name, "void", [value.type, "ptr", bits.type])
    for number in range(stmt.stride):
        place = stmt.index + number * lanes
        lane = range(number * lanes, (number + 1) * lanes)
        picks = [-1 if k % stmt.stride else k // stmt.stride for k in lane]
        part = emitter.shuffle(value, value, picks)
        kept = _spread_mask(emitter, bits, stmt.stride, number)
        pointer = emitter.pointer(stmt.buffer, place)
        emitter.builder.line(
            f"call void @{name}({part.typed}, ptr align {alignment(stmt.buffer, place)} {pointer}, "
            f"{kept.typed})"
        )


def _scatter(emitter: FunctionEmitter, stmt: Store, value: Ssa, mask: Expr) -> None:
    lanes = stmt.value.lanes
    offsets = literals([stmt.stride * lane for lane in range(lanes)], i64)
    start = emitter.pointer(stmt.buffer, stmt.index)
    pointers = vector("ptr", lanes)
    text = f"getelementptr {memory(stmt.buffer.dtype)}, {start.typed}, {vector('i64', lanes)} {offsets}"
    places = emitter.builder.pure(text, pointers, [start], "p")
    bits = emitter.value(mask)
    name = f"llvm.masked.scatter.{mangled(value.type)}.{mangled(pointers)}"
    emitter.builder.declarations.intrinsic(name, "void", [value.type, pointers, bits.type])
    align = stmt.buffer.dtype.bytes
    emitter.builder.line(
        f"call void @{name}({value.typed}, {pointers} align {align} {places}, {bits.typed})"
    )


# -- parts ---------------------------------------------------------------------------------------------


def alignment(buffer: Buffer, index: Int) -> int:
    """Bytes to which an element's address is known to be aligned.

    >>> from tcomp.ir.dtypes import f32
    >>> from tcomp.ir.loop.nodes import LoopVar
    >>> work = Buffer("w", f32, 64, Space.WORKSPACE)
    >>> alignment(work, Int.of(LoopVar("i", 0, 1)) * 24 + 4)
    16
    """
    width = buffer.dtype.bytes
    if buffer.space is Space.ARGUMENT:
        return width
    steps = [factor for _, factor in index.terms]
    return gcd(VECTOR_ALIGNMENT, *(width * step for step in [*steps, index.constant]))


def _never(mask: Expr | None) -> bool:
    return isinstance(mask, Const) and not mask.value


def _needed(mask: Expr | None) -> Expr | None:
    """None for a mask that holds everywhere."""
    return None if isinstance(mask, Const) and mask.value else mask


def _bits(emitter: FunctionEmitter, mask: Expr | None, lanes: int) -> Ssa:
    if mask is None:
        return Ssa(literal(True, boolean, lanes), register(boolean, lanes))
    return emitter.value(mask)


def _from_memory(emitter: FunctionEmitter, raw: Ssa, dtype: DType, lanes: int) -> Ssa:
    if not dtype.is_bool:
        return raw
    type_ = register(dtype, lanes)
    zero = "0" if lanes == 1 else "zeroinitializer"
    return emitter.builder.pure(f"icmp ne {raw.typed}, {zero}", type_, [raw])


def _to_memory(emitter: FunctionEmitter, value: Ssa, dtype: DType, lanes: int) -> Ssa:
    if not dtype.is_bool:
        return value
    type_ = memory(dtype, lanes)
    return emitter.builder.pure(f"zext {value.typed} to {type_}", type_, [value])


def _i64s(node: Load) -> str:
    return vector("i64", node.lanes)
