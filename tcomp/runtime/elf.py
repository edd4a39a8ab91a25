"""A linker for one kind of file: an x86-64 ELF relocatable object with position-independent code.

It maps the object's read-only and executable sections in one piece, applies the few relocations that
LLVM emits for such code (System V ABI for AMD64, section 4.4.1), and gives calls out of the object a
stub each, since libc may be further away than 2 GB. Objects with writable data are left to LLVM.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")

_SYMTAB, _RELA, _NOBITS = 2, 4, 8  # section types
_WRITE, _ALLOC = 1, 2  # section flags
_UNDEFINED, _ABSOLUTE, _COMMON = 0, 0xFFF1, 0xFFF2  # section numbers of symbols
_R_64, _R_PC32, _R_PLT32, _R_GOTPCREL, _R_PC64 = 1, 2, 4, 9, 24
_R_GOTPCRELX, _R_REX_GOTPCRELX = 41, 42
_GOT_KINDS = (_R_GOTPCREL, _R_GOTPCRELX, _R_REX_GOTPCRELX)
_KNOWN = (_R_64, _R_PC32, _R_PLT32, _R_PC64, *_GOT_KINDS)
_STUB = b"\xff\x25\x00\x00\x00\x00"  # jmp *0(%rip): the address follows and serves as GOT entry too


class _Section(NamedTuple):
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    name: str

    @property
    def is_mapped(self) -> bool:
        """Part of the running code. Unwind tables are not: nothing unwinds through a kernel."""
        return bool(self.flags & _ALLOC) and self.name != ".eh_frame" and self.size > 0

    @property
    def is_variable(self) -> bool:
        """Written while the code runs; `.data.rel.ro` only by the linker."""
        writable = self.flags & _WRITE and not self.name.startswith(".data.rel.ro")
        return bool(writable) or self.kind == _NOBITS


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


class _Relocation(NamedTuple):
    section: int
    offset: int
    kind: int
    symbol: _Symbol
    addend: int


class ElfObject(NamedTuple):
    """An object that `link` can load."""

    code: bytes
    sections: tuple[_Section, ...]
    symbols: tuple[_Symbol, ...]
    relocations: tuple[_Relocation, ...]


class CodeMapping:
    """Executable memory, unmapped when it is dropped before the interpreter shuts down."""

    def __init__(self, base: int, size: int) -> None:
        self.addresses: Mapping[str, int] = {}
        self._unmap = weakref.finalize(self, _libc().munmap, base, size)
        self._unmap.atexit = False  # threads may run in it until the process ends

    def detach(self) -> None:
        """Leaves the memory mapped for good."""
        self._unmap.detach()


def read(code: bytes) -> ElfObject | None:
    """The object in parts, or None where `link` could not load it into this process."""
    if not (sys.platform.startswith("linux") and platform.machine() == "x86_64"):
        return None
    try:
        parsed = _parse(code)
    except (struct.error, IndexError, ValueError, OverflowError):
        return None
    variable = any(s.is_mapped and s.is_variable for s in parsed.sections)
    return parsed if not variable and all(map(_is_known, parsed.relocations)) else None


def link(parsed: ElfObject, symbols: Sequence[str]) -> CodeMapping:
    """Maps the object and finds the addresses of `symbols`.

    Raises RuntimeError where a symbol is missing, here or in the process.
    """
    places, end = _layout(parsed.sections)
    stubs = _place_stubs(parsed, end)
    size = -(-max(end + 16 * len(stubs), 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    image = bytearray(size)
    for number, place in places.items():
        section = parsed.sections[number]
        image[place : place + section.size] = parsed.code[section.offset :][: section.size]
    for name, place in stubs.items():
        image[place : place + 14] = _STUB + struct.pack("<Q", _external(name))
    base = _map(size)
    mapping = CodeMapping(base, size)
    for relocation in parsed.relocations:
        _relocate(image, base, places, stubs, relocation)
    ctypes.memmove(base, bytes(image), size)
    if _libc().mprotect(base, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise RuntimeError("this system does not allow executable memory (mprotect failed)")
    mapping.addresses = _find(parsed, base, places, symbols)
    return mapping


# -- reading -------------------------------------------------------------------------------------------


def _parse(code: bytes) -> ElfObject:
    header = _ELF_HEADER.unpack_from(code)
    ident, kind, machine = header[:3]
    if ident[:6] != b"\x7fELF\x02\x01" or kind != 1 or machine != 62:
        raise ValueError("not a relocatable x86-64 ELF object")
    table, count, names = header[6], header[12], header[13]
    raw = [_SECTION.unpack_from(code, table + n * _SECTION.size) for n in range(count)]
    texts = raw[names][4]
    sections = tuple(
        _Section(k, flags, offset, size, link_, info, align, _text(code, texts + name))
        for name, k, flags, _, offset, size, link_, info, align, _ in raw
    )
    symbols = tuple(_symbols(code, sections))
    return ElfObject(code, sections, symbols, tuple(_relocations(code, sections, symbols)))


def _is_known(relocation: _Relocation) -> bool:
    if relocation.kind in _GOT_KINDS:
        return relocation.symbol.section == _UNDEFINED
    return relocation.kind in _KNOWN and relocation.symbol.section != _COMMON


def _text(code: bytes, offset: int) -> str:
    return code[offset : code.index(b"\0", offset)].decode()


def _symbols(code: bytes, sections: tuple[_Section, ...]) -> Iterator[_Symbol]:
    for table in sections:
        if table.kind == _SYMTAB:
            names = sections[table.link].offset
            for at in range(table.offset, table.offset + table.size, _SYMBOL.size):
                name, _, _, section, value, _ = _SYMBOL.unpack_from(code, at)
                yield _Symbol(_text(code, names + name), section, value)


def _relocations(
    code: bytes, sections: tuple[_Section, ...], symbols: tuple[_Symbol, ...]
) -> Iterator[_Relocation]:
    for table in sections:
        if table.kind == _RELA and sections[table.info].is_mapped:
            for at in range(table.offset, table.offset + table.size, _RELOCATION.size):
                offset, info, addend = _RELOCATION.unpack_from(code, at)
                symbol = symbols[info >> 32]
                yield _Relocation(table.info, offset, info & 0xFFFFFFFF, symbol, addend)


# -- placing -------------------------------------------------------------------------------------------


def _layout(sections: tuple[_Section, ...]) -> tuple[dict[int, int], int]:
    """Offsets of the mapped sections in the image, and the image's end so far."""
    places: dict[int, int] = {}
    end = 0
    for number, section in enumerate(sections):
        if section.is_mapped:
            align = max(1, section.align)
            places[number] = -(-end // align) * align
            end = places[number] + section.size
    return places, -(-end // 16) * 16


def _place_stubs(parsed: ElfObject, start: int) -> dict[str, int]:
    """A 16-byte stub for each symbol outside the object."""
    names = dict.fromkeys(
        r.symbol.name for r in parsed.relocations if r.symbol.section == _UNDEFINED
    )
    return {name: start + 16 * n for n, name in enumerate(names)}


def _relocate(
    image: bytearray, base: int, places: dict[int, int], stubs: dict[str, int], r: _Relocation
) -> None:
    place = places[r.section] + r.offset
    if r.symbol.section == _UNDEFINED:
        if r.kind == _R_64:
            target = _external(r.symbol.name)
        else:
            target = base + stubs[r.symbol.name] + (len(_STUB) if r.kind in _GOT_KINDS else 0)
    elif r.symbol.section == _ABSOLUTE:
        target = r.symbol.value
    else:
        target = base + places[r.symbol.section] + r.symbol.value
    value = target + r.addend
    if r.kind == _R_64:
        struct.pack_into("<Q", image, place, value & (2**64 - 1))
    elif r.kind == _R_PC64:
        struct.pack_into("<q", image, place, value - base - place)
    else:
        struct.pack_into("<i", image, place, value - base - place)


def _find(
    parsed: ElfObject, base: int, places: dict[int, int], symbols: Sequence[str]
) -> dict[str, int]:
    known = {
        s.name: base + places[s.section] + s.value for s in parsed.symbols if s.section in places
    }
    missing = [name for name in symbols if name not in known]
    if missing:
        raise RuntimeError(f"the object does not define {', '.join(missing)}")
    return {name: known[name] for name in symbols}


# -- the system ----------------------------------------------------------------------------------------


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    size, pointer, number = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
    libc.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_long]
    libc.mmap.restype = pointer
    libc.mprotect.argtypes = [pointer, size, number]
    libc.munmap.argtypes = [pointer, size]
    return libc


def _map(size: int) -> int:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    base = _libc().mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if base is None or base == ctypes.c_void_p(-1).value:
        raise RuntimeError("no memory for code (mmap failed)")
    return int(base)


def _external(name: str) -> int:
    try:
        address = ctypes.cast(getattr(_libc(), name), ctypes.c_void_p).value
    except AttributeError:
        address = None
    if not address:
        raise RuntimeError(f"the object needs '{name}', which this process does not have")
    return address
