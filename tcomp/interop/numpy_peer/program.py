"""A whole program as a NumPy function."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcomp.interop.numpy_peer import support
from tcomp.interop.numpy_peer.expressions import BodyTranslator, numpy_type
from tcomp.interop.numpy_peer.labelled import PeerUnavailable, Space, variable
from tcomp.ir.tensor.nodes import Definition, Program, Scan, Tensor

if TYPE_CHECKING:
    from tcomp.ir.integer import Iter

__all__ = ["Peer", "PeerUnavailable", "translate"]
RESERVED = {"np", "ml_dtypes", *(f.__name__ for f in support.FUNCTIONS)}


@dataclass(frozen=True, slots=True)
class Peer:
    """NumPy's version of a program. `source` is its text; `function` takes the inputs in signature
    order (4-bit ones as ml_dtypes arrays of logical shape) and gives the tuple of results."""

    source: str
    function: Callable[..., tuple[Any, ...]]


def translate(program: Program) -> Peer:
    """The NumPy function for a program of concrete sizes.

    Raises PeerUnavailable where NumPy has no reasonable form for it.
    """
    source = _Writer(program).source()
    scope: dict[str, Any] = {f.__name__: f for f in support.FUNCTIONS}
    exec(compile("import numpy as np\nimport ml_dtypes\n" + source, "<numpy>", "exec"), scope)
    return Peer(source, scope["peer"])


class _Writer:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._lines: list[str] = []
        self._indent = "    "
        self._names: dict[str, str] = {}

    def source(self) -> str:
        for statement in self._program.body:
            if isinstance(statement, Scan):
                self._scan(statement)
            else:
                self._emit(f"{self._name(statement.tensor)} = {self._whole(statement)}")
        inputs = ", ".join(self._name(t) for t in self._program.inputs)
        results = ", ".join(self._name(t) for t in self._program.results)
        head = f"def peer({inputs}):\n"
        return head + "\n".join(self._lines) + f"\n    return ({results},)\n"

    def _emit(self, line: str) -> None:
        self._lines.append(self._indent + line)

    def _name(self, tensor: Tensor) -> str:
        if tensor.name not in self._names:
            name = tensor.name
            while keyword.iskeyword(name) or name in RESERVED or name in self._names.values():
                name += "_"
            self._names[tensor.name] = name
        return self._names[tensor.name]

    def _body(
        self, definition: Definition, iters: tuple[Iter, ...], scalars: tuple[Iter, ...]
    ) -> tuple[str, tuple[Iter, ...]]:
        space = Space(iters, scalars)
        prefix = f"{self._name(definition.tensor)}_part"
        translator = BodyTranslator(space, self._name, self._emit, prefix)
        value = translator.translate(definition.body)
        return space.aligned(value, iters, bare=True), value.iters

    def _whole(self, definition: Definition) -> str:
        """A definition outside scans: an array of its full shape."""
        code, present = self._body(definition, definition.iters, ())
        shape = tuple(int(e) for e in definition.tensor.shape)
        dtype = numpy_type(definition.tensor.dtype)
        if not present:
            return f"np.full({shape}, {code}, {dtype})" if shape else f"np.asarray({code}, {dtype})"
        if present != definition.iters:
            return f"np.ascontiguousarray(np.broadcast_to({code}, {shape}))"
        return code

    def _scan(self, scan: Scan) -> None:
        for definition in scan.definitions:
            shape = tuple(int(e) for e in definition.tensor.shape)
            dtype = numpy_type(definition.tensor.dtype)
            self._emit(f"{self._name(definition.tensor)} = np.empty({shape}, {dtype})")
        counter = scan.iter
        self._emit(f"for {variable(counter)} in range({int(counter.lo)}, {int(counter.hi)}):")
        self._indent += "    "
        for definition in scan.definitions:
            others = tuple(i for i in definition.iters if i is not counter)
            code, _ = self._body(definition, others, (counter,))
            self._emit(
                f"{self._name(definition.tensor)}[{self._place(definition, counter)}] = {code}"
            )
        self._indent = self._indent[:-4]

    def _place(self, definition: Definition, counter: Iter) -> str:
        marks = []
        for it in definition.iters:
            shift = f" - {int(it.lo)}" if int(it.lo) else ""
            marks.append(f"{variable(counter)}{shift}" if it is counter else ":")
        while marks[-1] == ":":
            marks.pop()
        return ", ".join(marks)
