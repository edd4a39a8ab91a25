"""LLVM IR text to object code, through llvmlite. No pass pipeline: the emitter has done that work.

LLVM *aborts the process* on instructions that it cannot select; code for untrusted schedules is
therefore compiled in a child process (room for that is the caller's).
"""

from __future__ import annotations

import re
import threading
from functools import cache
from typing import Any

from tcomp.diagnostics import InternalError
from tcomp.forks import CODEGEN, held_across_forks
from tcomp.target import Target

# Level 1 and 2 give equally fast kernels; below 1 the code is 2-3 times slower (research/codegen.md 5).
_CODEGEN_LEVEL = 2
_SPILL = re.compile(r"^\s+vmov\w+\s+%[xyz]mm\d+, -?\d*\(%r[sb]p\)", re.MULTILINE)
_lock = threading.Lock()  # a target machine is not for two threads at once
held_across_forks(_lock, CODEGEN)


def compile_object(text: str, target: Target) -> bytes:
    """Position-independent object code of a module in LLVM IR. Raises InternalError for bad IR."""
    with _lock:
        machine = _machine(target.triple, target.cpu, target.features)
        code: bytes = machine.emit_object(_parse(text, machine))
        return code


def assembly(text: str, target: Target) -> str:
    """The assembly of a module in LLVM IR. Raises InternalError for bad IR."""
    with _lock:
        machine = _machine(target.triple, target.cpu, target.features)
        code: str = machine.emit_assembly(_parse(text, machine))
        return code


def count_spills(text: str) -> int:
    """Vector registers that x86 assembly stores to the stack.

    >>> count_spills("  vmovups %ymm3, 32(%rsp)\\n  vmovups %ymm3, 32(%rdi)\\n")
    1
    """
    return len(_SPILL.findall(text))


@cache
def version() -> str:
    """Versions of llvmlite and of the LLVM inside it, for cache keys."""
    import llvmlite
    import llvmlite.binding as llvm

    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


def _parse(text: str, machine: Any) -> Any:
    import llvmlite.binding as llvm

    try:
        module = llvm.parse_assembly(text, context=llvm.create_context())
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise InternalError(f"LLVM rejects generated code: {error}", code="TC099") from error
    return module


@cache
def _machine(triple: str, cpu: str, features: str) -> Any:
    import llvmlite.binding as llvm

    _initialize()
    found = llvm.Target.from_triple(triple)
    return found.create_target_machine(
        cpu=cpu, features=features, opt=_CODEGEN_LEVEL, reloc="pic", codemodel="default"
    )


@cache
def _initialize() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
