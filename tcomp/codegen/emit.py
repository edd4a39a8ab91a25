"""A loop module as LLVM IR text: one function for each kernel, and the entry that calls them in order."""

from __future__ import annotations

from dataclasses import dataclass

from tcomp.codegen.function import ZERO, FunctionEmitter
from tcomp.codegen.layout import layout
from tcomp.codegen.math.expand import Accuracy
from tcomp.codegen.ssa import Declarations
from tcomp.codegen.statements import STATUS, emit_block, stored
from tcomp.ir.loop.nodes import Function, Module
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
    names: list[str] = []
    for kernel in module.kernels:
        name = f"{_symbol(kernel.name)}.{len(names)}"
        names.append(name)
        writes = stored(kernel.body)
        emitter = FunctionEmitter(name, target, places, declarations, accuracy, writes)
        parts += _kernel(kernel, emitter)
    entry = f"tcomp_{_symbol(module.name)}"
    head = [
        f'source_filename = "{_symbol(module.name)}"',
        f'target triple = "{target.triple}"',
        "",
        f"{ZERO} = private unnamed_addr constant [8 x i8] zeroinitializer, align 8",
        "",
    ]
    tail = [*sorted(declarations.lines.values()), "", *_attributes(target)]
    text = "\n".join([*head, *parts, _entry(entry, names, bool(module.faults)), *tail, ""])
    return Emitted(text, entry, places.shared_bytes, places.private_bytes)


def _kernel(kernel: Function, emitter: FunctionEmitter) -> list[str]:
    name = emitter.builder.name
    emit_block(emitter, kernel.body)
    parameters = "(ptr %context, ptr %buffers, ptr %workspace)"
    head = f"define internal void @{name}{parameters} #0 {{"
    return [*emitter.finished, f"{head}\n{emitter.builder.body()}\n  ret void\n}}\n"]


def _entry(entry: str, kernels: list[str], can_fail: bool) -> str:
    lines = [
        f"define i32 @{entry}(ptr %context, ptr %buffers, ptr %sizes, ptr %workspace) #0 {{",
        "entry:",
        f"  %status = {STATUS}",
        "  store i32 0, ptr %status, align 4",
    ]
    for number, kernel in enumerate(kernels):
        lines.append(f"  call void @{kernel}(ptr %context, ptr %buffers, ptr %workspace)")
        if can_fail:
            lines += [
                f"  %status.{number} = load i32, ptr %status, align 4",
                f"  %good.{number} = icmp eq i32 %status.{number}, 0",
                f"  br i1 %good.{number}, label %next.{number}, label %failed",
                f"next.{number}:",
            ]
    lines.append("  ret i32 0")
    if can_fail and kernels:
        codes = ", ".join(f"[ %status.{n}, {_block(n)} ]" for n in range(len(kernels)))
        lines += ["failed:", f"  %code = phi i32 {codes}", "  ret i32 %code"]
    return "\n".join([*lines, "}\n"])


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
