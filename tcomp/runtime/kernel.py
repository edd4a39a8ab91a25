"""A compiled program loaded into this process, and the calls of it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tcomp.diagnostics import InternalError
from tcomp.runtime import arrays, binding, outputs
from tcomp.runtime.arrays import Array
from tcomp.runtime.artifact import Argument, Artifact
from tcomp.runtime.call import make_callable
from tcomp.runtime.jit import Library, load_object
from tcomp.runtime.memory import aligned
from tcomp.runtime.pool import Pool, pool
from tcomp.runtime.processor import check_processor
from tcomp.runtime.support import support
from tcomp.runtime.workspace import workspaces


class Context(ctypes.Structure):
    """What a kernel is given of its surroundings (the kernel ABI's context)."""

    _fields_ = (
        ("parallel", ctypes.c_void_p),
        ("pool", ctypes.c_void_p),
        ("threads", ctypes.c_int32),
        ("status", ctypes.c_int32),
    )


_ENTRY = ctypes.CFUNCTYPE(  # ctypes releases the interpreter's lock around it
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Code that can be called. Calls may come from many threads at once, and after `fork`.

    `function` is what to call when speed matters: the compiled wrapper. Arrays that fit exactly (dense, aligned,
    of the very type and shape) pass at once; everything else takes `call`'s way. `constants` are the arrays
    that every call is handed, by input name; they are no arguments of calls. `parameters` are the others.
    """

    artifact: Artifact
    threads: int
    constants: Mapping[str, Array] = field(repr=False)
    library: Library = field(repr=False)
    pool: Pool = field(repr=False)
    parameters: tuple[Argument, ...] = field(repr=False, init=False)
    function: Callable[..., Any] = field(repr=False, init=False)
    _stored: tuple[tuple[np.dtype[Any], tuple[int, ...]], ...] = field(repr=False, init=False)
    _exact: Callable[..., Any] = field(repr=False, init=False)

    def __post_init__(self) -> None:
        free = tuple(a for a in self.artifact.inputs if a.name not in self.constants)
        stored = tuple((a.stored_dtype.numpy, a.stored_shape) for a in free)
        object.__setattr__(self, "parameters", free)
        object.__setattr__(self, "_stored", stored)
        object.__setattr__(self, "function", self.callable(_AnyCall(self)))
        object.__setattr__(self, "_exact", self.callable(_DenseCall(self)))

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Calls the kernel: inputs by position or name; `out=` an array, or a tuple for several results.

        Returns a NumPy array, or a tuple of them. Raises BindingError for arguments that do not fit and
        IndexError for a gather index outside its tensor.
        """
        return self.function(*args, **keywords)

    @property
    def entry_address(self) -> int:
        return self.library.address(self.artifact.entry)

    def callable(self, slow: Callable[..., Any]) -> Callable[..., Any]:
        """A compiled wrapper that runs this kernel on arrays that fit, and else calls `slow` with all
        arguments. It is `slow` itself where wrappers do not work (free-threaded builds, PyPy)."""
        return make_callable(self, slow, self._raise)

    def call(self, inputs: Sequence[Any], out: Any = None) -> Any:
        """The way of any arrays, given for `parameters` in order. `out` as in `__call__`."""
        given = [
            _dense(value, argument, *stored)
            for value, argument, stored in zip(inputs, self.parameters, self._stored, strict=True)
        ]
        if out is None:
            return self._exact(*given)
        sources = [v for v in inputs if isinstance(v, np.ndarray)]
        taken = self._outputs(out, (*given, *sources, *self.constants.values()))
        targets = tuple(each.target for each in taken)
        self._exact(*given, out=targets if len(targets) > 1 else targets[0])
        for each in taken:
            each.finish()
        return out if len(taken) > 1 or not isinstance(out, tuple | list) else out[0]

    def run(self, inputs: Sequence[Array], results: Sequence[Array]) -> None:
        """Runs on dense arrays of the stored types and shapes, which the caller vouches for.

        Raises IndexError where a gather's index lies outside its tensor.
        """
        context, buffers, _ = self._laid_out(inputs, results)
        with workspaces().block(self.artifact.workspace_bytes(self.threads)) as memory:
            status = _ENTRY(self.entry_address)(
                ctypes.byref(context), buffers, None, memory or None
            )
        if status:
            self._raise(status)

    def prepare(self, inputs: Sequence[Array], results: Sequence[Array]) -> Prepared:
        """A call with its buffers laid out, to be repeated for timing."""
        workspace = aligned((self.artifact.workspace_bytes(self.threads),), np.dtype(np.uint8))
        return Prepared(self, *self._laid_out(inputs, results), workspace)

    def _laid_out(
        self, inputs: Sequence[Array], results: Sequence[Array]
    ) -> tuple[Context, ctypes.Array[ctypes.c_void_p], tuple[Array, ...]]:
        free = iter(inputs)
        every = [
            self.constants[a.name] if a.name in self.constants else next(free)
            for a in self.artifact.inputs
        ] + list(results)
        buffers = (ctypes.c_void_p * len(every))(*(a.ctypes.data for a in every))
        context = Context(support().parallel, self.pool.address, self.threads, 0)
        return context, buffers, tuple(every)

    def time(
        self,
        inputs: Sequence[Array],
        results: Sequence[Array] | None = None,
        *,
        rounds: int = 15,
        region: float = 2e-3,
    ) -> tuple[float, ...]:
        """Nanoseconds of one call, once for each round; a round repeats the call in compiled code for at
        least about `region` seconds. Arrays as for `run`; without `results` fresh ones are made once."""
        if results is None:
            results = [outputs.fresh(a) for a in self.artifact.results]
        prepared = self.prepare(inputs, results)
        calls = prepared.calls_for(region)
        return tuple(prepared.seconds(calls) / calls * 1e9 for _ in range(rounds))

    def _outputs(self, out: Any, others: Sequence[Array]) -> list[outputs.Output]:
        results = self.artifact.results
        taken: list[outputs.Output] = []
        for value, argument in zip(outputs.split(out, results), results, strict=True):
            before = [each.target if each.user is None else each.user for each in taken]
            taken.append(outputs.given(value, argument, (*others, *before)))
        return taken

    def _raise(self, status: int) -> None:
        if 1 <= status <= len(self.artifact.faults):
            raise IndexError(self.artifact.faults[status - 1])
        raise InternalError(
            f"the kernel ended with the unknown status {status}",
            code="TC099",
            hint="please report this with the program",
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that can be repeated without Python in between. It keeps its arrays alive, and always works in the
    same workspace: the first call in another one would touch new pages."""

    kernel: Kernel
    context: Context
    buffers: ctypes.Array[ctypes.c_void_p]
    arrays: tuple[Array, ...] = field(repr=False)
    workspace: Array = field(repr=False)

    def seconds(self, calls: int) -> float:
        """Wall time of `calls` calls in a row. Raises IndexError where one fails."""
        from time import perf_counter_ns

        repeat = _REPEAT(support().repeat)
        kernel = self.kernel
        begin = perf_counter_ns()
        status = repeat(
            kernel.entry_address,
            ctypes.byref(self.context),
            self.buffers,
            self.workspace.ctypes.data,
            calls,
        )
        end = perf_counter_ns()
        if status:
            self.context.status = 0
            kernel._raise(status)
        return (end - begin) * 1e-9

    def calls_for(self, region: float) -> int:
        """How many calls take about `region` seconds; the calls made to find out warm everything up."""
        calls, spent = 1, self.seconds(1)
        while spent < region / 2 and calls < 1 << 24:
            calls = min(calls * 16, max(calls * 2, int(calls * region / max(spent, 1e-9))))
            spent = self.seconds(calls)
        return max(1, round(calls * region / max(spent, 1e-9)))


_REPEAT = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4, ctypes.c_int64)


def _dense(value: Any, argument: Argument, kind: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    known = arrays.ready(value, kind, shape)
    if known is not None:
        return known
    return arrays.dense(arrays.as_array(value, argument.name, argument.element), argument)


@dataclass(frozen=True, slots=True)
class _AnyCall:
    """What the wrapper calls for arguments that do not fit at once."""

    kernel: Kernel

    def __call__(self, *args: Any, out: Any = None, **named: Any) -> Any:
        parameters = self.kernel.parameters
        if named or len(args) != len(parameters):
            return self.kernel.call(
                binding.in_order([a.name for a in parameters], args, named), out
            )
        return self.kernel.call(args, out)


@dataclass(frozen=True, slots=True)
class _DenseCall:
    """A call on arrays known to fit, where the wrapper found no workspace or does not work at all."""

    kernel: Kernel

    def __call__(self, *given: Array, out: Any = None) -> Any:
        results = self.kernel.artifact.results
        if out is None:
            made = [outputs.fresh(argument) for argument in results]
        else:
            made = list(out) if isinstance(out, tuple) else [out]
        self.kernel.run(given, made)
        return made[0] if len(made) == 1 else tuple(made)


def load(artifact: Artifact, threads: int, constants: Mapping[str, Any] | None = None) -> Kernel:
    """Loads a compiled program; nothing of it is executed before it is called.

    `threads` is how many threads its parallel loops use. `constants` binds inputs by name for good: later
    changes of these arrays may or may not be seen. Raises BindingError where a constant does not fit, or where
    the code is for another processor.
    """
    bound = {
        a.name: arrays.dense(arrays.as_array(constants[a.name], a.name, a.element), a)
        for a in artifact.inputs
        if constants and a.name in constants
    }
    check_processor(artifact)
    library = load_object(artifact.object, [artifact.entry])
    return Kernel(artifact, threads, bound, library, pool(threads))
