"""Runs a program's text with the reference interpreter, for tests of what the language means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tcomp.ir.dtypes import DType, from_numpy
from tcomp.ir.integer import Int
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program
from tcomp.ir.tensor.printer import print_program
from tcomp.ir.tensor.verifier import verify
from tcomp.lang import lower, parse
from tcomp.lang.library import library_def
from tcomp.lang.signature import signature
from tcomp.lang.syntax import Module


def run(text: str, *arrays: Any, sizes: Mapping[str, int] | None = None, **params: Any) -> Any:
    """The result of the last def, or a tuple; `arrays` in signature order."""
    return run_module(parse(text), arrays, sizes or {}, params)


def run_library(
    name: str, *arrays: Any, sizes: Mapping[str, int] | None = None, **params: Any
) -> Any:
    """The same for a def of the standard library."""
    found = library_def(name)
    assert found is not None, name
    return run_module(Module(found.source, (found,)), arrays, sizes or {}, params)


def run_batched(name: str, shape: tuple[int, ...], *arrays: Any, **params: Any) -> Any:
    """A library def called on arrays with extra leading axes; `shape` is the result's."""
    kinds = [from_numpy(np.asarray(a).dtype) for a in arrays]
    inputs = ", ".join(
        f"X{n}: {kind}{list(a.shape)}"
        for n, (a, kind) in enumerate(zip(arrays, kinds, strict=True))
    )
    brackets = f"[{', '.join(f'{k}={v}' for k, v in params.items())}]" if params else ""
    operands = ", ".join(f"X{n}" for n in range(len(arrays)))
    return run(
        f"def f({inputs}) -> Y: {kinds[0]}{list(shape)}:\n    Y = {name}{brackets}({operands})\n",
        *arrays,
    )


def run_module(
    module: Module, arrays: tuple[Any, ...], sizes: Mapping[str, int], params: Mapping[str, Any]
) -> Any:
    given = signature(module, params=params)
    named = {a.name: np.asarray(x) for a, x in zip(given.inputs, arrays, strict=True)}
    types: dict[str, DType] = {n: from_numpy(a.dtype) for n, a in named.items()}
    program = lower(module, generics=given.bind_generics(types), params=params)
    known = dict(sizes)
    for argument in given.inputs:
        for extent, length in zip(argument.shape, named[argument.name].shape, strict=True):
            for size in given.sizes:
                if extent is Int.of(size):
                    known.setdefault(size.name, length)
    bound = bind(program, known)
    verify(program)
    verify(bound)
    check_round_trip(program)
    results = interpret(bound, named)
    return results[0] if len(results) == 1 else results


def check_round_trip(program: Program) -> None:
    """The printed program means the same program."""
    again = lower(parse(print_program(program)))
    assert again.body == program.body
    assert (again.inputs, again.results) == (program.inputs, program.results)


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Any:
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def integers(
    *shape: int, low: int = -5, high: int = 6, seed: int = 0, dtype: Any = np.int32
) -> Any:
    """Small integers."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)
