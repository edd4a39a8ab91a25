"""What every tensor program must satisfy, whoever made it: the front end, a pass, or a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from tcomp.diagnostics import InternalError
from tcomp.ir.dtypes import COMPUTE
from tcomp.ir.integer import Int, Iter, Size, Value
from tcomp.ir.tensor.conversions import integer_range
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    IndexValue,
    Program,
    Read,
    Reduce,
    Scan,
    Tensor,
    postorder,
)
from tcomp.ir.tensor.printer import definition_text
from tcomp.ops import OPS, REDUCTIONS, result_type


class _Broken(Exception):
    """A rule that does not hold; the caller adds which definition it was."""


def verify(program: Program) -> None:
    """Raises InternalError, showing the definition, unless the program is well formed.

    Types follow `tcomp.ops.result_type`; tensors have one name each and are defined before they are
    read, with the ranges of their iterators; iterators are bound where they are used, and once on any
    path; inputs and results start at 0; a scan reads its own tensors only where they are known.
    """
    known: set[Tensor] = set()
    for tensor in program.inputs:
        _starts_at_zero(tensor)
        _introduce(tensor, known)
    for statement in program.body:
        if isinstance(statement, Scan):
            _verify_scan(statement, known, program.sizes)
        else:
            _guarded_by_text(statement, known, program.sizes)
            _introduce(statement.tensor, known)
    for tensor in program.results:
        _starts_at_zero(tensor)
        if tensor not in known:
            _fail(f"the result '{tensor.name}' is neither defined nor an input")


def _fail(message: str) -> NoReturn:
    raise InternalError(f"malformed program: {message}", code="TC099")


def _starts_at_zero(tensor: Tensor) -> None:
    if any(lo is not Int.of(0) for lo, _ in tensor.axes):
        _fail(f"'{tensor.name}' is an input or a result and does not start at 0")


def _introduce(tensor: Tensor, known: set[Tensor]) -> None:
    if any(t.name == tensor.name for t in known):
        _fail(f"two tensors are called '{tensor.name}'")
    known.add(tensor)


def _guarded_by_text(definition: Definition, known: set[Tensor], sizes: Iterable[Size]) -> None:
    try:
        _verify_definition(definition, known, sizes)
    except (_Broken, TypeError) as error:
        _fail(f"{error}, in\n    {definition_text(definition)}")


def _verify_scan(scan: Scan, known: set[Tensor], sizes: Iterable[Size]) -> None:
    outside = set(known)
    own = [d.tensor for d in scan.definitions]
    for tensor in own:
        _introduce(tensor, known)
    for position, definition in enumerate(scan.definitions):
        _guarded_by_text(definition, known, sizes)
        if scan.iter not in definition.iters:
            _fail(f"'{definition.tensor.name}' lacks the iterator '{scan.iter.name}' of its scan")
        for node in postorder(definition.body):
            if isinstance(node, Read) and node.tensor not in outside:
                source = scan.definitions[own.index(node.tensor)]
                axis = source.iters.index(scan.iter)
                earlier = own.index(node.tensor) < position
                if not _known_when_read(node, node.index[axis] - scan.iter, earlier):
                    text = definition_text(definition)
                    _fail(f"'{node.tensor.name}' is read where it may not be known, in\n    {text}")


def _known_when_read(read: Read, offset: Int, earlier_in_text: bool) -> bool:
    if offset is Int.of(0):
        return earlier_in_text
    latest = offset.bounds()[1]
    if latest is None or read.otherwise is None:
        return False
    return latest < 0 or (latest == 0 and earlier_in_text)


def _verify_definition(definition: Definition, known: set[Tensor], sizes: Iterable[Size]) -> None:
    tensor, iters, body = definition.tensor, definition.iters, definition.body
    _require(
        tuple((i.lo, i.hi) for i in iters) == tensor.axes, "axes are not the iterators' ranges"
    )
    _require(body.dtype is tensor.dtype, f"the body is {body.dtype}, the tensor {tensor.dtype}")
    loose = body.free_atoms() - set(iters) - set(sizes)
    _require(not loose, f"unbound {', '.join(sorted(str(a.key) for a in loose))}")
    bound: dict[Expr, frozenset[str]] = {}  # iterators of the reductions inside
    for node in postorder(body):
        bound[node] = frozenset().union(*(bound[c] for c in node.children()))
        if isinstance(node, Reduce):
            bound[node] |= _bind(node.iters, bound[node])
        _verify_node(node, known)
    _bind(iters, bound[body])


def _bind(iters: tuple[Iter, ...], inside: frozenset[str]) -> frozenset[str]:
    names = frozenset(i.name for i in iters)
    _require(len(names) == len(iters), "an iterator occurs twice")
    _require(not names & inside, f"an iterator is bound twice: {', '.join(sorted(names & inside))}")
    return names


def _verify_node(node: Expr, known: set[Tensor]) -> None:
    match node:
        case Const():
            _verify_constant(node)
        case IndexValue(index, dtype):
            _require(not dtype.is_bool, "an index value is a number")
            _verify_index(index)
        case Read(tensor, index, otherwise):
            _require(tensor in known, f"'{tensor.name}' is read before it is defined")
            _require(len(index) == tensor.rank, f"'{tensor.name}' has {tensor.rank} axes")
            fits = otherwise is None or otherwise.dtype is tensor.dtype
            _require(fits, f"the value after 'else' is not {tensor.dtype}")
            for each in index:
                _verify_index(each)
        case Reduce(op, iters, body):
            _require(op in REDUCTIONS and bool(iters), f"no such reduction: '{op}'")
            _require(not op.startswith("arg") or len(iters) == 1, f"'{op}' takes one iterator")
            fits = body.dtype.is_bool if op in ("any", "all") else body.dtype in COMPUTE
            _require(fits, f"'{op}' cannot reduce {body.dtype}")
        case Apply(op, args, dtype):
            _require(op in OPS, f"no such operation: '{op}'")
            given = result_type(op, tuple(a.dtype for a in args), dtype)
            _require(given is dtype, f"'{op}' gives {given}, not {dtype}")


def _verify_constant(node: Const) -> None:
    value, dtype = node.value, node.dtype
    if dtype.is_integer:
        low, high = integer_range(dtype)
        fits = type(value) is int and low <= value <= high
    else:
        fits = type(value) is (bool if dtype.is_bool else float)
    _require(fits, f"{value!r} is no constant of type {dtype}")


def _verify_index(index: Int) -> None:
    for leaf in index.leaves():
        if isinstance(leaf, Value):
            expr: Expr = leaf.expr
            _require(isinstance(expr, Expr) and expr.dtype.is_integer, "an index holds no integer")
        else:
            _require(isinstance(leaf, Iter | Size), f"'{leaf.key}' is no index")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise _Broken(message)
