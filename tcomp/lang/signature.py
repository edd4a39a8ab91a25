"""The signature of a def: what a caller must give, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tcomp.diagnostics import BindingError
from tcomp.ir.dtypes import DType, f32, i32
from tcomp.ir.integer import Int, Size
from tcomp.ir.tensor.expression_text import int_text
from tcomp.lang.declarations import (
    Number,
    declare_parameters,
    declared_sizes,
    default_value,
    element_type,
    extent,
    is_new_size,
)
from tcomp.lang.frame import Context, Frame
from tcomp.lang.library import Defs, entry_def
from tcomp.lang.syntax import Declaration, Def, Module


@dataclass(frozen=True, slots=True)
class Generic:
    """`float`, `int` or `element`: one concrete type a def, told by the arguments."""

    name: str

    def accepts(self, dtype: DType) -> bool:
        """True if the generic can stand for this type."""
        if self.name == "float":
            return dtype.is_float
        return self.name == "element" or dtype.is_integer

    @property
    def default(self) -> DType:
        """The type where no argument tells it."""
        return i32 if self.name == "int" else f32

    def __str__(self) -> str:
        return self.name


ElementType: TypeAlias = DType | Generic


@dataclass(frozen=True, slots=True)
class Argument:
    """An input or a result: its type, and its extents over the size symbols."""

    name: str
    dtype: ElementType
    shape: tuple[Int, ...]

    @property
    def axes(self) -> tuple[Int, ...]:
        return self.shape

    def __str__(self) -> str:
        shape = f"[{', '.join(map(int_text, self.shape))}]" if self.shape else ""
        return f"{self.name}: {self.dtype}{shape}"


@dataclass(frozen=True, slots=True)
class ParameterDefault:
    """A compile-time parameter with its default; the default's type is the parameter's."""

    name: str
    default: Number

    def __str__(self) -> str:
        return f"{self.name}={self.default!r}"


@dataclass(frozen=True, slots=True)
class Signature:
    """The first line of a def, with every size symbol bound by its first bare use."""

    name: str
    params: tuple[ParameterDefault, ...]
    sizes: tuple[Size, ...]
    inputs: tuple[Argument, ...]
    results: tuple[Argument, ...]

    def bind_generics(self, given: Mapping[str, DType]) -> dict[str, DType]:
        """The concrete type of each generic, for inputs of the given element types by name.

        Raises BindingError: a type that the generic cannot be (TC035), or two for one generic (TC035).
        """
        bound: dict[str, DType] = {}
        first: dict[str, str] = {}
        for each in self.inputs:
            if not isinstance(each.dtype, Generic) or each.name not in given:
                continue
            dtype, generic = given[each.name], each.dtype
            if not generic.accepts(dtype):
                raise BindingError(
                    f"'{each.name}' of '{self.name}' is declared {generic} and cannot be {dtype}",
                    code="TC035",
                )
            if bound.setdefault(generic.name, dtype) is not dtype:
                raise BindingError(
                    f"'{generic}' is one type in '{self.name}': '{first[generic.name]}' is "
                    f"{bound[generic.name]}, '{each.name}' is {dtype}",
                    code="TC035",
                    hint="convert one of them",
                )
            first.setdefault(generic.name, each.name)
        for each in (*self.inputs, *self.results):
            if isinstance(each.dtype, Generic):
                bound.setdefault(each.dtype.name, each.dtype.default)
        return bound

    def __str__(self) -> str:
        params = f"[{', '.join(map(str, self.params))}]" if self.params else ""
        inputs = ", ".join(map(str, self.inputs))
        results = ", ".join(map(str, self.results))
        given = results if len(self.results) == 1 else f"({results})"
        return f"def {self.name}{params}({inputs}) -> {given}"


def signature(
    module: Module, entry: str | None = None, params: Mapping[str, Number] | None = None
) -> Signature:
    """The signature of the entry, for parameters at their given or default values.

    Raises CompileError where there is no such def, or where its first line is wrong.
    """
    definition = entry_def(module, entry)
    frame = Frame(Context(Defs(module), set()), definition, {})
    return declare(frame, params or {})


def declare(frame: Frame, params: Mapping[str, Number]) -> Signature:
    """Declares the parameters and sizes of a def that is compiled by itself, with symbolic sizes."""
    definition: Def = frame.definition
    declare_parameters(frame, params)
    sizes: list[Size] = []
    names = {d.name for d in (*definition.inputs, *definition.results)}
    arguments: list[Argument] = []
    seen: set[str] = set()
    for each in (*definition.inputs, *definition.results):
        frame.check_new(each.name, each, "a tensor")
        if each.name in seen:
            frame.fail(f"'{each.name}' is declared twice", "TC011", each)
        seen.add(each.name)
        arguments.append(_argument(each, frame, sizes, names))
    count = len(definition.inputs)
    defaults = tuple(
        ParameterDefault(p.name, default_value(p, frame)) for p in definition.parameters
    )
    return Signature(
        definition.name, defaults, tuple(sizes), tuple(arguments[:count]), tuple(arguments[count:])
    )


def _argument(
    declaration: Declaration, frame: Frame, sizes: list[Size], names: set[str]
) -> Argument:
    kind = element_type(declaration, frame)
    shape: list[Int] = []
    for node in declared_sizes(declaration, frame):
        if is_new_size(node, frame):
            name = node.id  # type: ignore[union-attr]
            frame.check_new(name, node, "a size")
            if name in names:
                frame.fail(
                    f"'{name}' cannot be a size: it is a tensor of '{frame.definition.name}'",
                    "TC011",
                    node,
                    "sizes, parameters, tensors and iterators share one name space; case counts",
                )
            sizes.append(Size(name))
            frame.sizes[name] = Int.of(sizes[-1])
        shape.append(extent(node, frame))
    dtype: ElementType = Generic(kind) if isinstance(kind, str) else kind
    return Argument(declaration.name, dtype, tuple(shape))
