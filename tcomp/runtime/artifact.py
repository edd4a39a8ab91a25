"""A compiled program as data: object code, and what one must know to call it.

On disk: a fixed header, JSON metadata, the object's bytes. A SHA-256 digest over all of it makes damage
visible; nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from tcomp.ir.dtypes import DType, dtype

FORMAT_VERSION = 2
ABI_VERSION = 1  # of the entry `(context, buffers, sizes, workspace) -> status` and its structures
_MAGIC = b"TCOMPOBJ"
_HEADER = struct.Struct(
    "<8sIIQ32s"
)  # magic, format version, bytes of JSON, bytes of object, digest


class DamagedArtifact(ValueError):
    """The bytes are not a whole artifact of a format version that this tcomp reads."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One array of a call: `dtype` by its name in the language, `shape` in logical elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    result: bool = False

    @property
    def element(self) -> DType:
        return dtype(self.dtype)

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape of the array that is passed: 4-bit elements lie two to a byte along the last axis."""
        if self.element.is_packed and self.shape:
            return (*self.shape[:-1], (self.shape[-1] + 1) // 2)
        return self.shape

    @property
    def stored_dtype(self) -> DType:
        """The element type of the array that is passed: bytes for 4-bit elements."""
        return dtype("u8") if self.element.is_packed else self.element

    @property
    def nbytes(self) -> int:
        return prod(self.stored_shape) * self.stored_dtype.bytes


@dataclass(frozen=True, slots=True)
class Artifact:
    """Object code of one program for concrete types, sizes, target and threads.

    `arguments` are in the order of the entry's buffer table: inputs, then results. The call's workspace has
    `shared_bytes`, then `private_bytes` for each thread. A call that returns status n failed with
    `faults[n - 1]`. `triple` and `features` are what the code needs of a processor, in LLVM's words, without the
    plus signs; no triple means that nothing is known. `facts` is any plain JSON that the caller wants back: it
    is no part of the code.
    """

    object: bytes = field(repr=False)
    entry: str
    arguments: tuple[Argument, ...]
    shared_bytes: int = 0
    private_bytes: int = 0
    faults: tuple[str, ...] = ()
    triple: str = ""
    features: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def inputs(self) -> tuple[Argument, ...]:
        return tuple(a for a in self.arguments if not a.result)

    @property
    def results(self) -> tuple[Argument, ...]:
        return tuple(a for a in self.arguments if a.result)

    def workspace_bytes(self, threads: int) -> int:
        """What a call by `threads` threads needs."""
        return self.shared_bytes + threads * self.private_bytes

    def to_bytes(self) -> bytes:
        """The file form, read back by `from_bytes`."""
        metadata = json.dumps(_metadata(self), separators=(",", ":"), allow_nan=False).encode()
        sizes = (_MAGIC, FORMAT_VERSION, len(metadata), len(self.object))
        digest = _digest(sizes, metadata, self.object)
        return _HEADER.pack(*sizes, digest) + metadata + self.object

    @staticmethod
    def from_bytes(data: bytes) -> Artifact:
        """The artifact that `to_bytes` wrote. Raises DamagedArtifact for anything else."""
        if len(data) < _HEADER.size or not data.startswith(_MAGIC):
            raise DamagedArtifact("this is not a compiled tcomp program")
        magic, version, metadata_size, object_size, digest = _HEADER.unpack_from(data)
        if version != FORMAT_VERSION:
            raise DamagedArtifact(f"format version {version}; this tcomp reads {FORMAT_VERSION}")
        split = _HEADER.size + metadata_size
        metadata, code = data[_HEADER.size : split], data[split:]
        sizes = (magic, version, metadata_size, object_size)
        if len(code) != object_size or _digest(sizes, metadata, code) != digest:
            raise DamagedArtifact("the compiled program is incomplete or was changed")
        try:
            return _from_metadata(json.loads(metadata), code)
        except (KeyError, TypeError, ValueError) as cause:
            raise DamagedArtifact(f"its metadata do not fit: {cause}") from cause


def _digest(sizes: tuple[bytes, int, int, int], metadata: bytes, code: bytes) -> bytes:
    state = hashlib.sha256(repr(sizes).encode())
    state.update(metadata)
    state.update(code)
    return state.digest()


def _metadata(artifact: Artifact) -> dict[str, Any]:
    return {
        "entry": artifact.entry,
        "arguments": [[a.name, a.dtype, a.shape, a.result] for a in artifact.arguments],
        "shared_bytes": artifact.shared_bytes,
        "private_bytes": artifact.private_bytes,
        "faults": artifact.faults,
        "triple": artifact.triple,
        "features": artifact.features,
        "abi": ABI_VERSION,
        "facts": dict(artifact.facts),
    }


def _from_metadata(metadata: dict[str, Any], code: bytes) -> Artifact:
    if metadata["abi"] != ABI_VERSION:
        raise ValueError(f"kernel ABI {metadata['abi']}; this tcomp calls {ABI_VERSION}")
    return Artifact(
        object=code,
        entry=str(metadata["entry"]),
        arguments=tuple(_argument(*each) for each in metadata["arguments"]),
        shared_bytes=int(metadata["shared_bytes"]),
        private_bytes=int(metadata["private_bytes"]),
        faults=tuple(map(str, metadata["faults"])),
        triple=str(metadata["triple"]),
        features=tuple(map(str, metadata["features"])),
        facts=dict(metadata["facts"]),
    )


def _argument(name: str, type_name: str, shape: list[int], result: bool) -> Argument:
    return Argument(str(name), dtype(type_name).name, tuple(map(int, shape)), bool(result))
