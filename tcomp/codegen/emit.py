"""A loop module as LLVM IR text: one function for each kernel, and the entry that calls them in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcomp.codegen.function import ZERO, FunctionEmitter
from tcomp.codegen.layout import Layout, Place, layout
from tcomp.codegen.math.expand import Accuracy
from tcomp.codegen.ssa import Declarations
from tcomp.codegen.statements import STATUS, emit_block, stored
from tcomp.diagnostics import InternalError
from tcomp.ir.loop.nodes import Buffer, Function, Module, Repeat, Space
from tcomp.target import Target


@dataclass(frozen=True, slots=True)
class Emitted:
    """LLVM IR of a module.

    `entry` is the symbol `i32 entry(ptr context, ptr buffers, ptr sizes, ptr workspace)`; the workspace
    is 64-byte aligned and holds `shared_bytes`, then `private_bytes` for each thread.
    """

    text: str
    entry: str
    shared_bytes: int
    private_bytes: int


def emit(module: Module, target: Target, accuracy: Accuracy = "standard") -> Emitted:
    """Prints a module; `accuracy` is that of its elementary functions.

    Raises InternalError for operations that are neither primitive nor expanded.
    """
    places = layout(module)
    declarations = Declarations()
    parts: list[str] = []
    calls: list[_Call] = []
    repeated = {kernel.of.name for kernel in module.kernels if isinstance(kernel, Repeat)}
    symbols: dict[str, str] = {}
    for kernel in module.kernels:
        if isinstance(kernel, Repeat):
            table = _table(kernel.of, kernel.buffers)
            calls.append(_Call(symbols[kernel.of.name], table))
            continue
        name = symbols[kernel.name] = f"{_symbol(kernel.name)}.{len(calls)}"
        table = _table(kernel, kernel.buffers) if kernel.name in repeated else ()
        own = places.with_arguments(table) if table else places
        writes = stored(kernel.body)
        emitter = FunctionEmitter(name, target, own, declarations, accuracy, writes)
        parts += _kernel(kernel, emitter)
        calls.append(_Call(name, table))
    entry = f"tcomp_{_symbol(module.name)}"
    head = [
        f'source_filename = "{_symbol(module.name)}"',
        f'target triple = "{target.triple}"',
        "",
        f"{ZERO} = private unnamed_addr constant [8 x i8] zeroinitializer, align 8",
        "",
    ]
    tail = [*sorted(declarations.lines.values()), "", *_attributes(target)]
    text = "\n".join([*head, *parts, _entry(entry, calls, places, bool(module.faults)), *tail, ""])
    return Emitted(text, entry, places.shared_bytes, places.private_bytes)


def _kernel(kernel: Function, emitter: FunctionEmitter) -> list[str]:
    name = emitter.builder.name
    emit_block(emitter, kernel.body)
    parameters = "(ptr %context, ptr %buffers, ptr %workspace)"
    head = f"define internal void @{name}{parameters} #0 {{"
    return [*emitter.finished, f"{head}\n{emitter.builder.body()}\n  ret void\n}}\n"]


@dataclass(frozen=True, slots=True)
class _Call:
    """A kernel's call. With a `table` the kernel has its buffers from there and not from the module's."""

    symbol: str
    table: tuple[Buffer, ...]


def _table(kernel: Function, buffers: tuple[Buffer, ...]) -> tuple[Buffer, ...]:
    """What stands for the buffers of a kernel, but for those that live in it."""
    pairs = zip(kernel.buffers, buffers, strict=True)
    return tuple(b for own, b in pairs if own.space is not Space.PRIVATE)


def _entry(entry: str, calls: list[_Call], places: Layout, can_fail: bool) -> str:
    lines = [
        f"define i32 @{entry}(ptr %context, ptr %buffers, ptr %sizes, ptr %workspace) #0 {{",
        "entry:",
        f"  %status = {STATUS}",
        "  store i32 0, ptr %status, align 4",
    ]
    longest = max((len(call.table) for call in calls), default=0)
    if longest:
        lines.append(f"  %table = alloca [{longest} x ptr], align 8")
    for number, call in enumerate(calls):
        lines += _filled(number, call.table, places)
        table = "%table" if call.table else "%buffers"
        lines.append(f"  call void @{call.symbol}(ptr %context, ptr {table}, ptr %workspace)")
        if can_fail:
            lines += [
                f"  %status.{number} = load i32, ptr %status, align 4",
                f"  %good.{number} = icmp eq i32 %status.{number}, 0",
                f"  br i1 %good.{number}, label %next.{number}, label %failed",
                f"next.{number}:",
            ]
    lines.append("  ret i32 0")
    if can_fail and calls:
        codes = ", ".join(f"[ %status.{n}, {_block(n)} ]" for n in range(len(calls)))
        lines += ["failed:", f"  %code = phi i32 {codes}", "  ret i32 %code"]
    return "\n".join([*lines, "}\n"])


def _filled(call: int, table: tuple[Buffer, ...], places: Layout) -> Iterator[str]:
    """Writes the addresses of a call's buffers to the table."""
    for slot, buffer in enumerate(table):
        name = f"%place.{call}.{slot}"
        match places.place(buffer):
            case Place.Argument(number):
                yield f"  {name}.at = getelementptr ptr, ptr %buffers, i64 {number}"
                yield f"  {name} = load ptr, ptr {name}.at"
            case Place.Shared(offset):
                yield f"  {name} = getelementptr i8, ptr %workspace, i64 {offset}"
            case _:
                raise InternalError(f"buffer '{buffer.name}' is no kernel's to share", code="TC099")
        yield f"  {name}.slot = getelementptr ptr, ptr %table, i64 {slot}"
        yield f"  store ptr {name}, ptr {name}.slot"


def _block(kernel: int) -> str:
    return "%entry" if kernel == 0 else f"%next.{kernel - 1}"


def _attributes(target: Target) -> list[str]:
    width = f'"prefer-vector-width"="{target.vector_bits}"'
    return [f"attributes #0 = {{ nounwind {width} }}", '!0 = !{!"branch_weights", i32 1, i32 2000}']


def _symbol(name: str) -> str:
    """A name as part of a symbol that C accepts."""
    return (
        "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name) or "kernel"
    )
