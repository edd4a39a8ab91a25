"""A compiled function: one program, and a kernel for every combination of types and shapes it met."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from tcomp.diagnostics import BindingError, Error, nearest
from tcomp.lazy import lazy
from tcomp.runtime import arrays, binding, cache
from tcomp.runtime.artifact import Artifact
from tcomp.specialise import Parts, load_parts, option_facts, parts_for, store_parts, stored_parts

if TYPE_CHECKING:
    from tcomp.explain import Explanation
    from tcomp.ir.dtypes import DType
    from tcomp.ir.tensor.nodes import Program
    from tcomp.lang import Signature
    from tcomp.options import Options
    from tcomp.pipeline import Stages
    from tcomp.runtime.kernel import Kernel
    from tcomp.source import Source

Number = int | float | bool
BACKGROUND_SECONDS = 30.0  # what tune="background" spends on a kernel

logger = logging.getLogger("tcomp")


@dataclass(frozen=True, slots=True)
class Specialisation:
    """One kernel, and how to make the program of concrete sizes behind it again.

    `function` runs the kernel on arrays that fit it exactly and hands all others on.
    """

    kernel: Kernel
    function: Callable[..., Any]
    generics: Mapping[str, str]
    sizes: Mapping[str, int]


class Compiled:
    """Calls a program's kernels: `f(x, w)`, by position or name, `out=` for the caller's memory.

    Safe to call from many threads, and after `fork`.
    """

    def __init__(
        self,
        source: Source,
        options: Options,
        sizes: Mapping[str, int],
        constants: Mapping[str, Any],
        params: Mapping[str, Number],
    ) -> None:
        self._source, self._options = source, options
        self._sizes, self._params = dict(sizes), dict(params)
        self._constants = {n: arrays.as_array(v, n) for n, v in constants.items()}
        self._digests = {n: cache.digest(a) for n, a in self._constants.items()}
        self._kernels: dict[Any, Specialisation] = {}
        self._latest: Specialisation | None = None
        self._check_front()
        self._function: Callable[..., Any] = self._slow

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Computes the results: one array, or a tuple of them.

        Raises BindingError for arguments that do not fit, CompileError for sizes that the program cannot
        have, IndexError for a data-dependent index outside its tensor.
        """
        return self._function(*args, **keywords)

    @lazy
    def signature(self) -> Signature:
        """Parameters, sizes, inputs and results as declared."""
        return self._source.signature_with(self._params)

    @property
    def derivation(self) -> Any:
        """The steps from the program as written to the one that is computed."""
        return self.stages().derivation

    @property
    def schedule(self) -> Any:
        """The traces of the kernels, in order."""
        return self.stages().traces

    def explain(self) -> Explanation:
        """What was derived and chosen, and what it should cost."""
        from tcomp.explain import explain

        return explain(self.stages(), str(self.signature), self._options.threads)

    def dump(self, stage: str) -> str:
        """The text of a stage: `program`, `derived`, `loops`, `llvm` or `asm`."""
        try:
            return self.stages().text(stage)
        except KeyError:
            raise BindingError(
                f"there is no stage '{stage}'",
                code="TC079",
                hint="one of program, derived, loops, llvm, asm",
            ) from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the code: `.tco` is read back by `tcomp.load`; `.o` an object file, `.ll` and `.s` text."""
        target = Path(path)
        if target.suffix in (".ll", ".s"):
            target.write_text(self.dump("llvm" if target.suffix == ".ll" else "asm"))
            return
        artifact = self._current().kernel.artifact
        if target.suffix == ".o":
            target.write_bytes(artifact.object)
        elif target.suffix == ".tco":
            if self._constants:
                raise BindingError("a function with bound constants cannot be saved", code="TC079")
            target.write_bytes(artifact.to_bytes())
        else:
            raise BindingError(
                f"cannot save as '{target.suffix}'", code="TC079", hint="use .tco, .o, .ll or .s"
            )

    def stages(self) -> Stages:
        """What compiling the latest kernel went through; made again where it came from the cache."""
        from tcomp.pipeline import build

        latest = self._current()
        program = self._program(latest.generics, latest.sizes)
        return build(program, self._options, frozenset(self._constants))

    def bound_program(self, *args: Any, **named: Any) -> tuple[Program, dict[str, Any]]:
        """The program of concrete sizes for these arguments, and all inputs by name, logical shapes."""
        from tcomp.ir.nibbles import unpack_nibbles

        named.pop("out", None)
        names = self._names
        values = binding.in_order(names, args, named)
        generics, sizes = self._bind(dict(zip(names, values, strict=True)))
        program = self._program({k: v.name for k, v in generics.items()}, sizes)
        inputs: dict[str, Any] = {}
        given = {**dict(zip(names, values, strict=True)), **self._constants}
        for tensor in program.inputs:
            array = arrays.as_array(given[tensor.name], tensor.name, tensor.dtype)
            if tensor.dtype.is_packed and tensor.rank and array.dtype == np.uint8:
                array = unpack_nibbles(array, int(tensor.shape[-1]), tensor.dtype.is_signed)
            inputs[tensor.name] = array
        return program, inputs

    # -- specialisation ------------------------------------------------------------------------------

    def _slow(self, *args: Any, out: Any = None, **named: Any) -> Any:
        """Any call that the latest kernel's wrapper did not take at once."""
        values = list(args)
        if named or len(args) != len(self._names):
            values = binding.in_order(self._names, args, named)
        chosen = self._specialisation(values)
        if chosen is not self._latest:
            self._latest = chosen
            self._function = chosen.function
        return chosen.kernel.call(values, out)

    def _specialisation(self, values: list[Any]) -> Specialisation:
        given = [arrays.as_array(v, n) for v, n in zip(values, self._names, strict=True)]
        known = tuple((a.dtype, a.shape) for a in given)
        found = self._kernels.get(known)
        if found is None:
            seen = tuple((a.dtype.name, a.shape) for a in given)
            found = self._from_cache(seen) or self._made(known, seen, values)
            self._kernels[known] = found
        return found

    @property
    def _tunes(self) -> bool:
        """Whether kernels are tuned before they count as made."""
        return self._options.tune not in ("off", "cached")

    def _from_cache(self, seen: tuple[Any, ...]) -> Specialisation | None:
        parts = stored_parts(self._front_key(seen, tuned=self._tunes))
        return None if parts is None else self._loaded(parts)

    def _made(
        self, known: tuple[Any, ...], seen: tuple[Any, ...], values: list[Any]
    ) -> Specialisation:
        generics, sizes = self._bind(dict(zip(self._names, values, strict=True)))
        names = {k: v.name for k, v in generics.items()}
        program = self._program(names, sizes)
        tuned = self._tunes
        if tuned and not self._is_tuned(program):
            seconds = self._options.tune
            if isinstance(seconds, str):
                arguments = (known, seen, program, names, sizes)
                Thread(
                    target=self._tune_behind, args=arguments, daemon=True, name="tcomp-tuning"
                ).start()
                tuned = False
            else:
                self._tune(program, seconds)
        return self._loaded(self._kept(seen, program, names, sizes, tuned))

    def _kept(
        self,
        seen: tuple[Any, ...],
        program: Program,
        generics: Mapping[str, str],
        sizes: Mapping[str, int],
        tuned: bool,
    ) -> Parts:
        """Compiles with the schedules on record, and keeps the code under the front key."""
        parts = parts_for(program, self._options, frozenset(self._constants))
        facts = {**parts.call.facts, "generics": dict(generics), "sizes": dict(sizes)}
        parts = replace(parts, call=replace(parts.call, facts=facts))
        store_parts(self._front_key(seen, tuned), parts)
        return parts

    def _is_tuned(self, program: Program) -> bool:
        from tcomp.tuning import is_tuned

        return is_tuned(program, self._options, frozenset(self._constants))

    def _tune(self, program: Program, seconds: float) -> None:
        """Spends seconds on measuring forms and schedules, which the database keeps."""
        from tcomp.tuning import tune_program

        tune_program(program, self._options, frozenset(self._constants), seconds=seconds)

    def _tune_behind(
        self,
        known: tuple[Any, ...],
        seen: tuple[Any, ...],
        program: Program,
        generics: Any,
        sizes: Any,
    ) -> None:
        """Tunes while the untuned kernel already serves, then puts the better one in its place."""
        try:
            self._tune(program, BACKGROUND_SECONDS)
            better = self._loaded(self._kept(seen, program, generics, sizes, tuned=True))
        except Error as error:
            logger.warning("tuning in the background ended: %s", error)
            return
        before = self._kernels.get(known)
        self._kernels[known] = better
        if self._latest is before:
            self._latest = better
            self._function = better.function

    def _loaded(self, parts: Parts) -> Specialisation:
        kernel = load_parts(parts, self._options, self._constants)
        facts = parts.call.facts
        function = kernel.callable(self._slow)
        return Specialisation(kernel, function, facts["generics"], facts["sizes"])

    def _front_key(self, seen: tuple[Any, ...], tuned: bool) -> str:
        return cache.front_key(
            self._source.text,
            entry=self._source.entry,
            params=self._params,
            sizes=self._sizes,
            inputs=seen,
            constants=self._digests,
            accuracy=self._options.accuracy,
            threads=self._options.threads,
            target=self._options.target,
            schedule=repr((*option_facts(self._options)[-1], tuned)),
        )

    def _current(self) -> Specialisation:
        """The latest kernel, else the one that sizes= and generic defaults describe."""
        if self._latest is None:
            self._latest = self._from_sizes()
        return self._latest

    def _from_sizes(self) -> Specialisation:
        from tcomp.ir.dtypes import f32, i32

        generics = {"float": f32.name, "int": i32.name}
        sizes = dict(self._sizes)
        for parameter in self.signature.inputs:
            if parameter.name in self._constants:
                array = self._constants[parameter.name]
                for axis, extent in zip(parameter.shape, array.shape, strict=False):
                    sizes.setdefault(axis.key, extent)
        program = self._program(
            generics, {k: v for k, v in sizes.items() if k in self._size_names()}
        )
        parts = parts_for(program, self._options, frozenset(self._constants))
        kernel = load_parts(parts, self._options, self._constants)
        return Specialisation(kernel, kernel.callable(self._slow), generics, sizes)

    # -- the front -----------------------------------------------------------------------------------

    def _check_front(self) -> None:
        """Errors in the program show when it is compiled; a text that was fine before is not parsed."""
        marker = cache.key("front", self._source.text, self._source.entry, self._params)
        known = cache.default().get(marker)
        if known is not None:
            self._input_names = tuple(str(n) for n in known.facts["inputs"])
        else:
            self._trial()
            self._input_names = tuple(p.name for p in self.signature.inputs)
            facts = {"inputs": list(self._input_names)}
            cache.default().put(marker, Artifact(b"", "", (), facts=facts))
        for name in self._constants:
            if name not in self._input_names:
                raise BindingError(
                    f"constants: there is no input '{name}'",
                    code="TC072",
                    hint=nearest(name, self._input_names),
                )

    def _trial(self) -> None:
        """Lowers once with usual types, so that all errors but those of sizes are found."""
        from tcomp.ir.dtypes import f32, i32
        from tcomp.lang import lower

        lower(
            self._source.module,
            self._source.entry,
            generics={"float": f32, "int": i32},
            params=self._params,
        )

    @lazy
    def _names(self) -> tuple[str, ...]:
        """The inputs that a call gives: all but the constants."""
        return tuple(n for n in self._input_names if n not in self._constants)

    def _size_names(self) -> set[str]:
        return {s.name for s in self.signature.sizes}

    def _bind(self, free: Mapping[str, Any]) -> tuple[dict[str, DType], dict[str, int]]:
        """Generic types and sizes from the arguments."""
        from tcomp.ir import dtypes

        parameters = self.signature.inputs
        values = {**free, **self._constants}
        names = [p.name for p in parameters]
        declared = [str(p.dtype) for p in parameters]
        elements = [p.dtype if isinstance(p.dtype, dtypes.DType) else None for p in parameters]
        given = [arrays.as_array(values[n], n, e) for n, e in zip(names, elements, strict=True)]
        generics = binding.bind_generics(declared, given, names)
        types = [e or generics[d] for e, d in zip(elements, declared, strict=True)]
        for name in self._sizes:
            if name not in self._size_names():
                raise BindingError(
                    f"sizes: there is no size '{name}'",
                    code="TC072",
                    hint=nearest(name, self._size_names()),
                )
        return generics, binding.bind_sizes(parameters, types, given, self._sizes)

    def _program(self, generics: Mapping[str, str], sizes: Mapping[str, int]) -> Program:
        from tcomp.ir import dtypes
        from tcomp.lang import lower
        from tcomp.pipeline import specialise

        defaults = {"float": dtypes.f32, "int": dtypes.i32}
        concrete = {**defaults, **{k: dtypes.dtype(v) for k, v in generics.items()}}
        program = lower(
            self._source.module, self._source.entry, generics=concrete, params=self._params
        )
        missing = [s.name for s in program.sizes if s.name not in sizes]
        if missing:
            raise BindingError(
                f"the size '{missing[0]}' is not known from the arguments",
                code="TC083",
                hint=f"pass sizes={{'{missing[0]}': ...}}",
            )
        return specialise(program, {s.name: sizes[s.name] for s in program.sizes})
