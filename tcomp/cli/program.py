"""A program named on the command line: read, its sizes settled, its inputs at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcomp.cli.header import Header, read_header
from tcomp.cli.options import ProgramOptions
from tcomp.diagnostics import BindingError, nearest

if TYPE_CHECKING:
    import numpy as np

    from tcomp.compiled import Compiled
    from tcomp.ir.dtypes import DType
    from tcomp.ir.tensor.nodes import Program, Tensor
    from tcomp.lang import Signature

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A program of concrete sizes. `inputs` are arrays by name, in signature order."""

    name: str
    sizes: dict[str, int]
    program: Program
    header: Header
    options: ProgramOptions

    def compile(self) -> Compiled:
        """The compiled function, specialised to the sizes."""
        import tcomp

        return tcomp.compile(
            self.options.file,
            entry=self.options.entry,
            sizes=self.sizes,
            params=self.options.params,
            target=self.options.target,
            threads=self.options.threads,
            accuracy=self.options.accuracy,
            database=self.options.database,
        )

    def draw(self, seed: int, given: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """The arrays of all inputs: those given, the others at random."""
        from tcomp.ir.tensor.sampling import draw_inputs

        arrays = draw_inputs(self.program, seed, self.header.positive, given or {})
        for name, factor in self.header.scale.items():
            if name in arrays and name not in (given or {}):
                arrays[name] = (arrays[name] * factor).astype(arrays[name].dtype)
        return arrays


def prepare(options: ProgramOptions, given: Mapping[str, Array] | None = None) -> Prepared:
    """Reads the program and settles its sizes: those of the given arrays and of --size, else the file's.

    Raises CompileError for a program that is wrong, BindingError for a size that nothing tells.
    """
    from tcomp.ir.tensor.binding import bind
    from tcomp.lang import lower
    from tcomp.source import read_source

    source = read_source(options.file, options.entry)
    header = read_header(source.text)
    generics = _generics(source.signature, given or {})
    program = lower(source.module, options.entry, generics=generics, params=options.params)
    sizes = _sizes(program, header, options, given or {})
    return Prepared(program.name, sizes, bind(program, sizes), header, options)


def known_inputs(program: Program, names: Iterable[str]) -> frozenset[str]:
    """`names` as a set. Raises BindingError for one that is no input."""
    inputs = [t.name for t in program.inputs]
    for name in names:
        if name not in inputs:
            raise BindingError(
                f"{program.name} has no input called {name}",
                code="TC070",
                hint=nearest(name, inputs) or f"its inputs are {', '.join(inputs)}",
            )
    return frozenset(names)


def load_arrays(files: Mapping[str, Path]) -> dict[str, Array]:
    """Arrays from .npy files. Raises BindingError naming the file that holds none."""
    import numpy as np

    arrays = {}
    for name, path in files.items():
        try:
            arrays[name] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as problem:
            raise BindingError(
                f"cannot read an array for {name} from {path}: {problem}",
                code="TC092",
                hint="numpy.save writes such a file",
            ) from None
        if not isinstance(arrays[name], np.ndarray):
            raise BindingError(f"{path} holds several arrays; {name} needs one", code="TC092")
    return arrays


def _generics(signature: Signature, given: Mapping[str, Array]) -> dict[str, DType]:
    """Concrete types for `float` and `int`: those of the given arrays, else f32 and i32."""
    from tcomp.ir.dtypes import from_numpy

    types = {}
    for name, array in given.items():
        try:
            types[name] = from_numpy(array.dtype)
        except KeyError:
            raise BindingError(
                f"{name}: tcomp has no element type for {array.dtype}", code="TC071"
            ) from None
    return signature.bind_generics(types)


def _sizes(
    program: Program, header: Header, options: ProgramOptions, given: Mapping[str, Array]
) -> dict[str, int]:
    names = [s.name for s in program.sizes]
    if unknown := sorted(options.sizes.keys() - set(names)):
        raise BindingError(
            f"{program.name} has no size called {unknown[0]}",
            code="TC073",
            hint=nearest(unknown[0], names) or f"its sizes are {', '.join(names) or 'all fixed'}",
        )
    if unknown := sorted(given.keys() - {t.name for t in program.inputs}):
        inputs = [t.name for t in program.inputs]
        raise BindingError(
            f"{program.name} has no input called {unknown[0]}",
            code="TC070",
            hint=nearest(unknown[0], inputs) or f"its inputs are {', '.join(inputs)}",
        )
    known = dict(options.sizes)
    for tensor in program.inputs:
        if tensor.name in given:
            _learn(tensor, given[tensor.name], known)
    sizes = {n: known.get(n, header.sizes.get(n)) for n in names}
    missing = [n for n, value in sizes.items() if value is None]
    if missing:
        raise BindingError(
            f"{program.name} does not know the size {missing[0]}",
            code="TC073",
            hint=f"give it with --size {missing[0]}=128, or put '# sizes: {missing[0]}=128' "
            "into the file's first lines",
        )
    return {n: value for n, value in sizes.items() if value is not None}


def _learn(tensor: Tensor, array: Array, known: dict[str, int]) -> None:
    """Binds the sizes that stand alone as an axis of the tensor."""
    if array.ndim != tensor.rank:
        raise BindingError(
            f"{tensor.name} has {tensor.rank} axes, the array given has {array.ndim}", code="TC072"
        )
    packed = tensor.dtype.is_packed and array.dtype.name == "uint8"
    for axis, (extent, length) in enumerate(zip(tensor.shape, array.shape, strict=True)):
        if extent.is_constant or len(extent.key.split("*")) != 1 or not extent.key.isidentifier():
            continue
        found = 2 * length if packed and axis == tensor.rank - 1 else length
        if known.setdefault(extent.key, found) != found:
            raise BindingError(
                f"the size {extent.key} is {known[extent.key]}, but axis {axis} of {tensor.name} "
                f"has length {found}",
                code="TC073",
            )
