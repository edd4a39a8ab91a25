"""Reads the symbol table of an ELF64 object: what it defines and what it wants from outside."""

import struct

_SYMBOLS = 2  # section type SHT_SYMTAB


def undefined_symbols(code):
    """Names that the object refers to and does not define."""
    return {name for name, section in _symbols(code) if section == 0 and name}


def _symbols(code):
    assert code[:5] == b"\x7fELF\x02"
    (start,) = struct.unpack_from("<Q", code, 40)
    width, count = struct.unpack_from("<HH", code, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, start + n * width) for n in range(count)]
    for section in sections:
        if section[1] != _SYMBOLS:
            continue
        names = sections[section[6]][4]
        for at in range(section[4], section[4] + section[5], 24):
            name, _, _, index = struct.unpack_from("<IBBH", code, at)
            end = code.index(b"\0", names + name)
            yield code[names + name : end].decode(), index
