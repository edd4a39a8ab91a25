"""A call's arguments against a signature: in order, and the sizes that they imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, Protocol

from tcomp.diagnostics import BindingError, nearest
from tcomp.ir.dtypes import DType, boolean, from_numpy
from tcomp.ir.integer import Int, Size
from tcomp.runtime.arrays import Array, check_type


class Parameter(Protocol):
    """An input as a signature declares it; `shape` holds size symbols."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[Int, ...]: ...


def in_order(names: Sequence[str], args: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """Arguments by position and name as one list in the order of `names`.

    Raises BindingError: TC070 too many, TC071 missing, TC072 unknown name, TC073 given twice.
    """
    if len(args) > len(names):
        raise BindingError(
            f"{len(args)} arguments were given, expected {len(names)} ({', '.join(names)})",
            code="TC070",
        )
    values = dict(zip(names, args, strict=False))
    for name, value in named.items():
        if name not in names:
            raise BindingError(
                f"there is no argument '{name}'", code="TC072", hint=nearest(name, names)
            )
        if name in values:
            raise BindingError(f"argument '{name}' is given by position and by name", code="TC073")
        values[name] = value
    missing = [name for name in names if name not in values]
    if missing:
        quoted = ", ".join(f"'{name}'" for name in missing)
        raise BindingError(
            f"{'argument' if len(missing) == 1 else 'arguments'} {quoted} missing", code="TC071"
        )
    return [values[name] for name in names]


def bind_generics(
    types: Sequence[str], arrays: Sequence[Array], names: Sequence[str]
) -> dict[str, DType]:
    """The concrete types of 'float', 'int' and 'element' that the arrays give; each stands for one type in a call.

    `types` are the declared types by name. Raises BindingError (TC074, TC084).
    """
    found: dict[str, tuple[DType, str]] = {}
    for declared, array, name in zip(types, arrays, names, strict=True):
        if declared not in ("float", "int", "element"):
            continue
        element = _concrete(declared, array, name)
        known, first = found.setdefault(declared, (element, name))
        if known is not element:
            raise BindingError(
                f"argument '{name}' has type {element}, but '{first}' has {known}: "
                f"'{declared}' stands for one type",
                code="TC084",
            )
    return {declared: element for declared, (element, _) in found.items()}


def _concrete(declared: str, array: Array, name: str) -> DType:
    try:
        element = from_numpy(array.dtype.newbyteorder("="))
    except KeyError:
        element = boolean
    fits = {"float": element.is_float, "int": element.is_integer, "element": True}[declared]
    if not fits:
        kind = "a floating-point type" if declared == "float" else "an integer type"
        raise BindingError(
            f"argument '{name}' has dtype {array.dtype}, expected {kind}", code="TC074"
        )
    return element


def bind_sizes(
    parameters: Sequence[Parameter],
    types: Sequence[DType],
    arrays: Sequence[Array],
    known: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """The values of all size names, from the arrays' shapes and those already known.

    Raises BindingError: TC074 dtype, TC075 rank, TC076 where shapes contradict each other, TC083 for a known
    size that is no natural number.
    """
    for name, value in (known or {}).items():
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
            raise BindingError(
                f"the size '{name}' is {value!r}, expected an integer that is not negative",
                code="TC083",
            )
    for parameter, element, array in zip(parameters, types, arrays, strict=True):
        check_type(array, element, parameter.name)
        if array.ndim != len(parameter.shape):
            shape = ", ".join(str(axis) for axis in parameter.shape)
            raise BindingError(
                f"argument '{parameter.name}' has rank {array.ndim} (shape {array.shape}), "
                f"expected rank {len(parameter.shape)} ([{shape}])",
                code="TC075",
            )
    packed = [
        bool(element.is_packed and array.ndim and array.dtype != element.numpy)
        for element, array in zip(types, arrays, strict=True)
    ]
    sizes = _Sizes(known or {})
    for parameter, array, halved in zip(parameters, arrays, packed, strict=True):
        sizes.bind_bare(parameter, array.shape[: array.ndim - halved])
    for parameter, array, halved in zip(parameters, arrays, packed, strict=True):
        if halved:  # a last size known only from packed data is twice the bytes
            sizes.bind_axis(parameter, array.ndim - 1, 2 * array.shape[-1])
    for parameter, array, halved in zip(parameters, arrays, packed, strict=True):
        sizes.check(parameter, array.shape, halved)
    return sizes.values


class _Sizes:
    """Sizes as they become known, each with the place that it is known from."""

    def __init__(self, known: Mapping[str, int]) -> None:
        self.values = {name: index(value) for name, value in known.items()}
        self._sources = dict.fromkeys(known, "sizes=")

    def bind_bare(self, parameter: Parameter, shape: tuple[int, ...]) -> None:
        for axis, extent in enumerate(shape):
            self.bind_axis(parameter, axis, extent)

    def bind_axis(self, parameter: Parameter, axis: int, extent: int) -> None:
        name = _bare(parameter.shape[axis])
        if name is not None and name not in self.values:
            self.values[name] = extent
            self._sources[name] = f"axis {axis} of '{parameter.name}'"

    def check(self, parameter: Parameter, shape: tuple[int, ...], halved: bool) -> None:
        mapping = {Size(name): Int.of(value) for name, value in self.values.items()}
        for axis, (declared, extent) in enumerate(zip(parameter.shape, shape, strict=True)):
            expected = declared.sub(mapping)
            if not expected.is_constant:
                continue  # a size that no argument gives; the caller asks for it by name
            value = int(expected)
            stored = (value + 1) // 2 if halved and axis == len(shape) - 1 else value
            if stored != extent:
                self._contradiction(parameter, axis, extent, declared, stored)

    def _contradiction(
        self, parameter: Parameter, axis: int, extent: int, declared: Int, expected: int
    ) -> None:
        names = sorted(a.name for a in declared.leaves() if isinstance(a, Size))
        sources = ", ".join(f"{n} = {self.values[n]} from {self._sources[n]}" for n in names)
        formula = "" if _bare(declared) or declared.is_constant else f"{declared}, "
        label = f" ({formula}{sources})" if sources else ""
        raise BindingError(
            f"argument '{parameter.name}' has size {extent} along axis {axis}, expected {expected}{label}",
            code="TC076",
        )


def _bare(extent: Int) -> str | None:
    """The name of a size that stands alone as an extent."""
    if extent.constant or len(extent.terms) != 1:
        return None
    monomial, factor = extent.terms[0]
    if factor != 1 or len(monomial) != 1 or not isinstance(monomial[0], Size):
        return None
    return monomial[0].name
