"""Where each buffer lives: the caller's memory, the workspace, a worker's part of it, or the stack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from tcomp.ir.loop.nodes import Buffer, Module, Space

ALIGNMENT = 64
STACK_BYTES = 4096  # a larger private buffer goes to the workspace: threads have small stacks


class Place:
    """The kinds of places."""

    @dataclass(frozen=True, slots=True)
    class Argument:
        number: int

    @dataclass(frozen=True, slots=True)
    class Shared:
        offset: int

    @dataclass(frozen=True, slots=True)
    class Private:
        offset: int

    @dataclass(frozen=True, slots=True)
    class Stack:
        pass


AnyPlace: TypeAlias = Place.Argument | Place.Shared | Place.Private | Place.Stack


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of all buffers of a module, and the bytes that the workspace needs."""

    places: dict[Buffer, AnyPlace]
    shared_bytes: int
    private_bytes: int

    def place(self, buffer: Buffer) -> AnyPlace:
        return self.places[buffer]

    def with_arguments(self, table: tuple[Buffer, ...]) -> Layout:
        """The layout as a kernel sees it that has these buffers, in order, from its caller."""
        own: dict[Buffer, AnyPlace] = {b: Place.Argument(n) for n, b in enumerate(table)}
        return replace(self, places={**self.places, **own})


def layout(module: Module) -> Layout:
    """Lays out a module's buffers.

    Workspace buffers whose spans of kernels (from the first to the last that uses them) do not meet may
    share bytes. Private buffers live within one kernel, so each kernel's start again at 0.
    """
    places: dict[Buffer, AnyPlace] = {
        buffer: Place.Argument(number) for number, buffer in enumerate(module.arguments)
    }
    shared, shared_bytes = _shared(module)
    places.update(shared)
    private_bytes = 0
    for kernel in module.kernels:
        offset = stack = 0
        for buffer in kernel.buffers:
            if buffer.space is not Space.PRIVATE or buffer in places:
                continue
            if stack + _bytes(buffer) <= STACK_BYTES:
                places[buffer] = Place.Stack()
                stack += _bytes(buffer)
            else:
                places[buffer] = Place.Private(offset)
                offset += _bytes(buffer)
        private_bytes = max(private_bytes, offset)
    return Layout(places, shared_bytes, private_bytes)


def _bytes(buffer: Buffer) -> int:
    return -(-max(1, buffer.extent * buffer.dtype.bytes) // ALIGNMENT) * ALIGNMENT


def _shared(module: Module) -> tuple[dict[Buffer, AnyPlace], int]:
    """Largest first, each at the lowest offset that is free during its span (first fit)."""
    spans: dict[Buffer, tuple[int, int]] = {}
    for number, kernel in enumerate(module.kernels):
        for buffer in kernel.buffers:
            if buffer.space is Space.WORKSPACE:
                first, _ = spans.get(buffer, (number, number))
                spans[buffer] = (first, number)
    placed: dict[Buffer, int] = {}
    total = 0
    for buffer in sorted(spans, key=lambda b: (-_bytes(b), b.name)):
        offset = _free(buffer, spans, placed)
        placed[buffer] = offset
        total = max(total, offset + _bytes(buffer))
    return {buffer: Place.Shared(offset) for buffer, offset in placed.items()}, total


def _free(buffer: Buffer, spans: dict[Buffer, tuple[int, int]], placed: dict[Buffer, int]) -> int:
    first, last = spans[buffer]
    taken = sorted(
        (offset, offset + _bytes(other))
        for other, offset in placed.items()
        if spans[other][0] <= last and first <= spans[other][1]
    )
    place = 0
    for start, end in taken:
        if place + _bytes(buffer) <= start:
            break
        place = max(place, end)
    return place
