"""Any program of the language, with the inputs that are weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tcomp.benchmarks.operations.tensor import Array, Operation, Sizes, TensorSpec
from tcomp.lazy import lazy

if TYPE_CHECKING:
    from tcomp.ir.tensor.nodes import Program, Tensor


@dataclass(frozen=True)
class ProgramText:
    """Program text with names for its sizes, and the sizes to time it with.

    `small` are sizes at which the reference interpreter is quick.
    """

    label: str
    text: str
    sizes: Sizes = ()
    small: Sizes = ()
    constants: tuple[str, ...] = ()

    @lazy
    def program(self) -> Program:
        """Of concrete sizes."""
        return bound(self)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return tuple(_spec(t, t.name in self.constants) for t in self.program.inputs)

    @property
    def results(self) -> tuple[TensorSpec, ...]:
        return tuple(_spec(t, False) for t in self.program.results)

    @property
    def multiply_adds(self) -> float:
        """Half the operations of the definitions as they are written."""
        from tcomp.passes.derivation.cost import operations

        return sum(map(operations, self.program.definitions())) / 2

    def reference(self, arrays: Mapping[str, Array]) -> tuple[Array, ...]:
        """By the kernel of the program as written, in the strict accuracy class.

        Tests compare that with the interpreter, which would take minutes at these sizes.
        """
        from tcomp.options import options_from
        from tcomp.pipeline import build_as_written
        from tcomp.specialise import kernel_from

        options = options_from(tune="off", accuracy="strict")
        kernel = kernel_from(build_as_written(self.program, options), options)
        results = kernel(*(arrays[t.name] for t in self.inputs))
        return results if isinstance(results, tuple) else (results,)

    def shrunk(self) -> ProgramText:
        return replace(self, sizes=self.small)


def bound(operation: Operation) -> Program:
    """The program of an operation, of concrete sizes."""
    from tcomp.ir.tensor.binding import bind
    from tcomp.lang import lower
    from tcomp.source import read_source

    source = read_source(operation.text)
    program = lower(source.module, None, generics=source.signature.bind_generics({}), params={})
    return bind(program, dict(operation.sizes))


def _spec(tensor: Tensor, constant: bool) -> TensorSpec:
    shape = tuple(int(extent) for extent in tensor.shape)
    return TensorSpec(tensor.name, tensor.dtype.name, shape, constant)
