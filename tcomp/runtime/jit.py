"""Object code into this process.

The relocatable objects that tcomp makes are self-contained but for `memcpy` and its kin, so on x86-64
Linux a small linker of our own maps them (`runtime.elf`): a cached kernel then starts without importing
LLVM (30-40 ms). Everything else goes through LLVM's LLJIT.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_serial = itertools.count()  # LLJIT never lets a library name be used again


@dataclass(frozen=True, slots=True)
class Library:
    """Loaded code. The addresses are valid as long as the library, or its `owner`, is referenced."""

    addresses: Mapping[str, int]
    owner: Any = field(repr=False)

    def address(self, symbol: str) -> int:
        return self.addresses[symbol]

    def keep_forever(self) -> None:
        """Never unload: other threads run this code until the process ends."""
        _immortal.append(self)
        if hasattr(self.owner, "detach"):
            self.owner.detach()  # else llvmlite unloads it while the interpreter shuts down


_immortal: list[Library] = []


def load_object(code: bytes, symbols: Sequence[str]) -> Library:
    """Maps object code and finds `symbols`. Raises RuntimeError for what it cannot link."""
    from tcomp.runtime import elf

    readable = elf.read(code)
    if readable is None:
        return load_with_llvm(code, symbols)
    mapping = elf.link(readable, symbols)
    return Library(mapping.addresses, mapping)


def load_with_llvm(code: bytes, symbols: Sequence[str]) -> Library:
    """The same by LLVM's LLJIT, for every object format that the host runs."""
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    for symbol in symbols:
        builder.export_symbol(symbol)
    tracker = builder.link(_lljit(), f"tcomp{next(_serial)}")
    return Library({symbol: tracker[symbol] for symbol in symbols}, tracker)


def compile_support(text: str) -> bytes:
    """Object code of the runtime's own LLVM IR (pool, call wrapper): SSA already, so no passes."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    module.verify()
    code: bytes = _machine().emit_object(module)
    return code


@cache
def _lljit() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.create_lljit_compiler()


def _machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # inline assembly: LLVM ends the process without it
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(opt=2, reloc="pic", codemodel="default")
