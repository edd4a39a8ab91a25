"""One case through every stage of the compiler, each compared with the interpreter's results."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tcomp import passes, schedule
from tcomp.ir.loop.nodes import Module
from tcomp.ir.nibbles import pack_nibbles, unpack_nibbles
from tcomp.ir.plan import Plan
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.conversions import representation
from tcomp.ir.tensor.interpreter import interpret
from tcomp.ir.tensor.nodes import Program, Tensor
from tcomp.ir.tensor.printer import print_program
from tcomp.ir.tensor.verifier import verify
from tcomp.target import Target
from tests.fuzz.programs import Case

Array = np.ndarray[Any, Any]
THREADS = 2
Results = tuple[Array, ...]
Stage = Callable[[Case, Target], Iterator[Results]]  # every result is compared


def check(case: Case, stage: Stage, target: Target) -> None:
    """Raises AssertionError where a stage's results differ from the program's meaning."""
    verify(case.program)
    expected = interpret(bind(case.program, {}), case.inputs)
    for found in stage(case, target):
        _judge(case, expected, found)


def _judge(case: Case, expected: Results, found: Results) -> None:
    for tensor, tolerance, want, got in zip(
        case.program.results, case.tolerances, expected, found, strict=True
    ):
        assert got.shape == want.shape, f"{tensor.name}: shape {got.shape}, not {want.shape}"
        if tensor.dtype.is_float:
            error = np.abs(got.astype(np.float64) - want).max(initial=0.0)
            assert error <= tolerance, f"{tensor.name}: off by {error:.3g}, allowed {tolerance:.3g}"
        else:
            np.testing.assert_array_equal(got, want, err_msg=tensor.name)


def planned(case: Case, target: Target) -> Iterator[Results]:
    """The program that the passes plan, interpreted."""
    derived = _plan(case.program).derived()
    verify(derived)
    found = interpret(derived, dict(zip(_names(derived.inputs), _arguments(case), strict=True)))
    yield tuple(_unpacked(a, t) for a, t in zip(found, case.program.results, strict=True))


def lowered(case: Case, target: Target) -> Iterator[Results]:
    """The loop module, interpreted with every access checked."""
    yield _run_loops(case, analytical_module(case, target))


def lowered_and_compiled(case: Case, target: Target) -> Iterator[Results]:
    """The same, and the kernel made of it, called through the raw interface."""
    yield from _both(case, analytical_module(case, target), target)


def drawn_and_compiled(case: Case, target: Target) -> Iterator[Results]:
    """Both for schedules drawn from the spaces; the program's text is the seed."""
    plan = _plan(case.program)
    rng = random.Random(print_program(case.program))
    traces = tuple(schedule.space(group, target, THREADS).sample(rng) for group in plan.groups)
    yield from _both(case, schedule.lower(plan, traces, target, THREADS), target)


def analytical_module(case: Case, target: Target) -> Module:
    """The loops of a case under the schedules that every first compilation uses."""
    plan = _plan(case.program)
    return schedule.lower(plan, schedule.analytical(plan, target, THREADS), target, THREADS)


def _both(case: Case, module: Module, target: Target) -> Iterator[Results]:
    yield _run_loops(case, module)
    yield _run_kernel(case, module, target)


def _run_loops(case: Case, module: Module) -> Results:
    from tcomp.ir.loop.interpreter import interpret as run

    arguments = [*_arguments(case), *_outputs(case)]
    status = run(module, arguments)
    assert status == 0, f"status {status}"
    return _results(case, arguments)


def _run_kernel(case: Case, module: Module, target: Target) -> Results:
    from tcomp.codegen.emit import emit
    from tcomp.codegen.llvm import compile_object
    from tcomp.runtime.jit import load_object

    emitted = emit(module, target)
    library = load_object(compile_object(emitted.text, target), [emitted.entry])
    arguments = [np.array(a, order="C") for a in (*_arguments(case), *_outputs(case))]
    size = emitted.shared_bytes + THREADS * emitted.private_bytes
    workspace = np.full(size + 64, 0xA5, np.uint8)
    status = _call(library.address(emitted.entry), arguments, workspace)
    assert status == 0, f"status {status}"
    return _results(case, arguments)


def _call(address: int, arguments: list[Array], workspace: Array) -> int:
    pointers = (ctypes.c_void_p * max(1, len(arguments)))(*(a.ctypes.data for a in arguments))
    aligned = (workspace.ctypes.data + 63) & ~63
    context = _Context(ctypes.cast(_in_turn, ctypes.c_void_p), None, THREADS, 0)
    entry = ctypes.CFUNCTYPE(ctypes.c_int32, *(ctypes.c_void_p,) * 4)(address)
    return int(entry(ctypes.addressof(context), pointers, None, aligned))


class _Context(ctypes.Structure):
    _fields_ = (
        ("parallel", ctypes.c_void_p),
        ("pool", ctypes.c_void_p),
        ("threads", ctypes.c_int32),
        ("status", ctypes.c_int32),
    )


_Task = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


@ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)
def _in_turn(context: Any, task: Any, closure: Any, count: int, grain: int) -> None:
    """Two chunks, the later one first and on another worker: order must not matter."""
    middle = count // 2
    for worker, begin, end in ((1, middle, count), (0, 0, middle)):
        if begin < end:
            _Task(task)(closure, begin, end, worker)


def _plan(program: Program) -> Plan:
    plan: Plan = passes.plan(passes.bytes_for_nibbles(bind(program, {})))
    return schedule.completed(plan)


def _names(tensors: tuple[Tensor, ...]) -> list[str]:
    return [t.name for t in tensors]


def _arguments(case: Case) -> list[Array]:
    arrays = [case.inputs[t.name] for t in case.program.inputs]
    return [
        pack_nibbles(a) if t.dtype.is_packed else a
        for a, t in zip(arrays, case.program.inputs, strict=True)
    ]


def _outputs(case: Case) -> list[Array]:
    """Result arrays full of a pattern that a kernel must overwrite."""
    made: list[Array] = []
    for tensor in case.program.results:
        shape = [int(n) for n in tensor.shape]
        if tensor.dtype.is_packed and shape:
            shape[-1] = (shape[-1] + 1) // 2
        kind = np.dtype(np.uint8) if tensor.dtype.is_packed else tensor.dtype.numpy
        made.append(np.full(np.prod(shape, dtype=int) * kind.itemsize, 0xA5, np.uint8).view(kind))
        made[-1] = made[-1].reshape(shape)
    return made


def _results(case: Case, arguments: list[Array]) -> tuple[Array, ...]:
    outputs = arguments[len(case.program.inputs) :]
    return tuple(_unpacked(a, t) for a, t in zip(outputs, case.program.results, strict=True))


def _unpacked(array: Array, tensor: Tensor) -> Array:
    if not tensor.dtype.is_packed:
        return array
    length = int(tensor.shape[-1]) if tensor.axes else 1
    return unpack_nibbles(array, length, tensor.dtype.is_signed).astype(
        representation(tensor.dtype)
    )
