"""`tcomp.einsum`: NumPy's call, compiled and cached.

A subscript string becomes a tensor program, one definition; everything after that is what any other
program goes through. What sums nothing and computes nothing is a view, as in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tcomp.diagnostics import BindingError
from tcomp.subscripts_options import check_casting_name, check_out, checked_order, in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcomp.ir.tensor.nodes import Program

Labels: TypeAlias = tuple[str, ...]
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Equation:
    """One label for each axis of each operand and of the result; ellipsis axes have labels `...n`."""

    inputs: tuple[Labels, ...]
    output: Labels


def einsum(
    *operands: Any,
    out: np.ndarray[Any, Any] | None = None,
    optimize: Any = False,
    dtype: Any = None,
    casting: str = "safe",
    order: str = "K",
) -> Any:
    """Evaluates Einstein's summation convention on the operands: `numpy.einsum`'s call and result.

    `operands` are a subscript string and arrays, or arrays alternating with lists of axis numbers and
    optionally the result's list. `optimize` is accepted for NumPy's sake: tcomp chooses the order of
    contraction itself, and an explicit path only has to be well formed.

    Raises BindingError (a ValueError and TypeError) for malformed subscripts or shapes that do not agree.
    """
    order = checked_order(order)
    check_casting_name(casting)
    check_out(out)
    subscripts, arrays = _split_operands(operands)
    arrays = [np.asanyarray(a) for a in arrays]
    equation = parse_equation(subscripts, tuple(a.ndim for a in arrays))
    if out is None and dtype is None and order in ("K", "A"):
        view = _as_view(equation, arrays)
        if view is not None:
            return view
    _check_casting(arrays, dtype, casting, out)
    kind = np.dtype(dtype) if dtype is not None else np.result_type(*arrays)
    arrays = [a.astype(kind, copy=False) for a in arrays]
    given = equation, arrays
    equation, arrays = _without_broadcast_axes(equation, arrays)
    _output_extents(equation, arrays)  # the error for disagreeing sizes
    result = _run(equation, arrays, kind)
    if out is None:
        return in_order(result, order, *given)
    # With a contraction order NumPy assigns to `out`, without one it casts by the rule.
    return _deliver(result, out, "unsafe" if optimize else casting)


# -- the equation --------------------------------------------------------------------------------------


def parse_equation(subscripts: str | tuple[Any, ...], ranks: tuple[int, ...]) -> Equation:
    """Labels for every axis. Raises BindingError for what NumPy refuses."""
    if isinstance(subscripts, str):
        return _parse_text(subscripts, ranks)
    lists, output = subscripts[0], subscripts[1]
    inputs = tuple(_from_list(labels, rank) for labels, rank in zip(lists, ranks, strict=True))
    if output is None:
        return Equation(inputs, _implicit_output(inputs))
    return _checked(Equation(inputs, _expand_output(_names(output), inputs)))


@lru_cache(maxsize=4096)
def _parse_text(subscripts: str, ranks: tuple[int, ...]) -> Equation:
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    if not arrow and ("-" in text or ">" in text):
        raise _malformed(subscripts, "'->' is misspelt")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise _malformed(subscripts, f"it names {len(terms)} operands, but {len(ranks)} were given")
    inputs = tuple(
        _place_ellipsis(_tokens(term, subscripts), rank, subscripts)
        for term, rank in zip(terms, ranks, strict=True)
    )
    if not arrow:
        return Equation(inputs, _implicit_output(inputs))
    return _checked(Equation(inputs, _expand_output(_tokens(right, subscripts), inputs)))


def _tokens(term: str, subscripts: str) -> Labels:
    labels: list[str] = []
    rest = term
    while rest:
        if rest.startswith("..."):
            labels.append("...")
            rest = rest[3:]
        elif rest[0] in _LETTERS:
            labels.append(rest[0])
            rest = rest[1:]
        else:
            raise _malformed(subscripts, f"'{rest[0]}' is not a letter")
    if labels.count("...") > 1:
        raise _malformed(subscripts, "an operand has two ellipses")
    return tuple(labels)


def _place_ellipsis(labels: Labels, rank: int, subscripts: str) -> Labels:
    """Ellipsis axes are numbered from the right, so that operands broadcast there."""
    named = len(labels) - ("..." in labels)
    if named > rank or ("..." not in labels and named != rank):
        raise _malformed(subscripts, f"'{''.join(labels)}' does not fit an operand of {rank} axes")
    if "..." not in labels:
        return labels
    at, extra = labels.index("..."), rank - named
    return (*labels[:at], *(f"...{n}" for n in reversed(range(extra))), *labels[at + 1 :])


def _from_list(labels: Sequence[Any], rank: int) -> Labels:
    names = _names(labels)
    return _place_ellipsis(names, rank, str(list(labels)))


def _names(labels: Sequence[Any]) -> Labels:
    names: list[str] = []
    for label in labels:
        if label is Ellipsis:
            names.append("...")
            continue
        try:
            number = int(label.__index__())
        except AttributeError:
            raise BindingError(
                f"einsum: axis labels must be integers or Ellipsis, not {label!r}", code="TC085"
            ) from None
        if not 0 <= number < len(_LETTERS):
            raise BindingError(
                f"einsum: axis label {number} is outside 0:{len(_LETTERS)}", code="TC085"
            )
        names.append(_LETTERS[number])
    if names.count("...") > 1:
        raise _malformed(str(list(labels)), "an operand has two ellipses")
    return tuple(names)


def _implicit_output(inputs: tuple[Labels, ...]) -> Labels:
    """NumPy's rule: ellipsis axes, then the labels that occur once, in alphabetical order."""
    every = [label for labels in inputs for label in labels]
    once = sorted(x for x in set(every) if not x.startswith("...") and every.count(x) == 1)
    return (*_ellipsis_axes(inputs), *once)


def _ellipsis_axes(inputs: tuple[Labels, ...]) -> Labels:
    found = {label for labels in inputs for label in labels if label.startswith("...")}
    return tuple(sorted(found, key=lambda label: -int(label[3:])))


def _expand_output(labels: Labels, inputs: tuple[Labels, ...]) -> Labels:
    axes = _ellipsis_axes(inputs)
    if "..." in labels:
        at = labels.index("...")
        return (*labels[:at], *axes, *labels[at + 1 :])
    if axes:
        raise BindingError(
            "einsum: the result's subscripts lack the ellipsis of the operands",
            code="TC085",
            hint="write '...' in the result, or sum those axes by naming them",
        )
    return labels


def _checked(equation: Equation) -> Equation:
    known = {label for labels in equation.inputs for label in labels}
    for label in equation.output:
        if label not in known:
            raise BindingError(
                f"einsum: the result's subscript '{label}' occurs in no operand", code="TC085"
            )
        if equation.output.count(label) > 1:
            raise BindingError(
                f"einsum: the result's subscript '{label}' is written twice", code="TC085"
            )
    return equation


def _malformed(subscripts: str, cause: str) -> BindingError:
    return BindingError(
        f"einsum: subscripts '{subscripts}' are malformed: {cause}",
        code="TC085",
        hint="write them as in 'ij,jk->ik'",
    )


# -- operands ------------------------------------------------------------------------------------------


def _split_operands(operands: tuple[Any, ...]) -> tuple[str | tuple[Any, ...], list[Any]]:
    if not operands:
        raise BindingError("einsum: no operands were given", code="TC085")
    if isinstance(operands[0], bytes):
        operands = (operands[0].decode("ascii", "replace"), *operands[1:])
    if isinstance(operands[0], str):
        if len(operands) < 2:
            raise BindingError("einsum: subscripts without operands", code="TC085")
        return operands[0], list(operands[1:])
    if len(operands) < 2:
        raise BindingError("einsum: the first operand must be a subscript string", code="TC085")
    pairs = len(operands) // 2
    lists: list[Sequence[Any]] = []
    for position in range(pairs):
        labels = operands[2 * position + 1]
        if not _is_label_list(labels):
            raise BindingError(
                "einsum: an array must be followed by its list of axis labels", code="TC085"
            )
        lists.append(labels)
    output = operands[-1] if len(operands) % 2 else None
    if output is not None and not _is_label_list(output):
        raise BindingError("einsum: the last operand must be a list of axis labels", code="TC085")
    return (tuple(lists), output), [operands[2 * p] for p in range(pairs)]


def _is_label_list(labels: Any) -> bool:
    return isinstance(labels, list | tuple | range) or (
        isinstance(labels, np.ndarray) and labels.ndim == 1
    )


def _check_casting(arrays: list[Any], dtype: Any, casting: str, out: Any) -> None:
    if dtype is None:
        return
    for array in arrays:
        if not np.can_cast(array.dtype, np.dtype(dtype), casting):  # type: ignore[arg-type]
            raise BindingError(
                f"einsum: cannot cast an operand from {array.dtype} to {np.dtype(dtype)} "
                f"by the rule '{casting}'",
                code="TC085",
                hint="pass casting='unsafe' or convert the operand",
            )


def _extents(equation: Equation, arrays: Sequence[Any]) -> dict[str, int]:
    extents: dict[str, int] = {}
    for labels, array in zip(equation.inputs, arrays, strict=True):
        for label, extent in zip(labels, array.shape, strict=True):
            known = extents.setdefault(label, extent)
            if known == 1:
                extents[label] = extent
            elif extent not in (1, known):
                raise BindingError(
                    f"einsum: label '{label}' has size {known} in one place and {extent} in another",
                    code="TC085",
                )
    return extents


def _output_extents(equation: Equation, arrays: Sequence[Any]) -> tuple[int, ...]:
    extents = _extents(equation, arrays)
    return tuple(extents[label] for label in equation.output)


def _without_broadcast_axes(equation: Equation, arrays: list[Any]) -> tuple[Equation, list[Any]]:
    """Drops axes of size 1 whose label is longer elsewhere: they broadcast."""
    extents = _extents(equation, arrays)
    inputs: list[Labels] = []
    kept_arrays: list[Any] = []
    for labels, array in zip(equation.inputs, arrays, strict=True):
        keep = [axis for axis, label in enumerate(labels) if array.shape[axis] == extents[label]]
        gone = tuple(axis for axis in range(array.ndim) if axis not in keep)
        inputs.append(tuple(labels[axis] for axis in keep))
        kept_arrays.append(array.squeeze(gone) if gone else array)
    return Equation(tuple(inputs), equation.output), kept_arrays


# -- evaluation ----------------------------------------------------------------------------------------


def _as_view(equation: Equation, arrays: list[Any]) -> Any:
    """A transposed or diagonal view, where the equation asks for no more than that."""
    if len(arrays) != 1 or set(equation.inputs[0]) != set(equation.output):
        return None
    array, labels = arrays[0], list(equation.inputs[0])
    if len(
        set(_extents(equation, arrays).items()) | set(zip(labels, array.shape, strict=True))
    ) > len(set(labels)):
        return None  # an axis of size 1 broadcasts along its own diagonal
    view = array
    for label in equation.output:
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            view = view.diagonal(axis1=first, axis2=second)
            labels = [x for n, x in enumerate(labels) if n not in (first, second)] + [label]
    view = view.transpose([labels.index(label) for label in equation.output])
    view.flags.writeable = array.flags.writeable
    return view


def _run(equation: Equation, arrays: list[Any], kind: np.dtype[Any]) -> np.ndarray[Any, Any]:
    compiled = _compiled(equation, kind.newbyteorder("="), tuple(a.shape for a in arrays))
    result: np.ndarray[Any, Any] = compiled(*(np.asarray(a) for a in arrays))
    return result


@lru_cache(maxsize=1024)
def _compiled(equation: Equation, kind: np.dtype[Any], shapes: tuple[tuple[int, ...], ...]) -> Any:
    from tcomp.api import compile_program

    return compile_program(program_of(equation, kind, shapes))


def program_of(
    equation: Equation, kind: np.dtype[Any], shapes: tuple[tuple[int, ...], ...]
) -> Program:
    """The tensor program of an equation; bools combine by `and` and `or`, as in NumPy."""
    from tcomp.ir.dtypes import compute_type, from_numpy
    from tcomp.ir.integer import ZERO, Int, Iter
    from tcomp.ir.tensor.nodes import Apply, Definition, Expr, Program, Read, Reduce, Tensor

    try:
        dtype = from_numpy(kind)
    except KeyError:
        raise BindingError(f"einsum: element type {kind} is not supported", code="TC085") from None
    iters: dict[str, Iter] = {}
    inputs: list[Tensor] = []
    value: Expr | None = None
    arithmetic = dtype if dtype.is_bool else compute_type(dtype)
    for number, (labels, shape) in enumerate(zip(equation.inputs, shapes, strict=True)):
        tensor = Tensor(f"X{number}", dtype, tuple((ZERO, Int.of(n)) for n in shape))
        inputs.append(tensor)
        for label, extent in zip(labels, shape, strict=True):
            iters.setdefault(label, Iter(f"i{len(iters)}", ZERO, Int.of(extent)))
        read: Expr = Read(tensor, tuple(Int.of(iters[label]) for label in labels))
        if dtype is not arithmetic:
            read = Apply("cast", (read,), arithmetic)
        product = "and" if dtype.is_bool else "mul"
        value = read if value is None else Apply(product, (value, read), arithmetic)
    assert value is not None
    summed = tuple(it for label, it in iters.items() if label not in equation.output)
    if summed:
        value = Reduce("any" if dtype.is_bool else "sum", summed, value)
    if value.dtype is not dtype:
        value = Apply("cast", (value,), dtype)
    result_iters = tuple(iters[label] for label in equation.output)
    result = Tensor("Y", dtype, tuple((it.lo, it.hi) for it in result_iters))
    definition = Definition(result, result_iters, value)
    return Program("einsum", (), tuple(inputs), (result,), (definition,))


def _deliver(result: Any, out: Any, casting: str) -> Any:
    if out.shape != result.shape:
        raise BindingError(
            f"einsum: out has shape {out.shape}, the result {result.shape}", code="TC085"
        )
    np.copyto(out, result, casting=casting)  # type: ignore[arg-type]
    return out
