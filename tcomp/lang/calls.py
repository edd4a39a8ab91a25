"""Right sides without indices: tensors, calls of defs, and scalar functions of every element."""

from __future__ import annotations

from tcomp.ir.integer import Int, Iter
from tcomp.lang import arithmetic
from tcomp.lang.arithmetic import WrongType
from tcomp.lang.frame import Frame, Handle
from tcomp.lang.inlining import Argument, inline
from tcomp.lang.scalars import Scalars
from tcomp.lang.syntax import (
    Application,
    Assignment,
    Expression,
    Name,
    Node,
    Reference,
)
from tcomp.lang.weak import DoesNotFit, Operand, settle
from tcomp.lang.words import FUNCTIONS, REDUCTION_NAMES
from tcomp.ops import OPS

_ITERATORS = "ijklmnpq"


def is_whole(statement: Assignment, frame: Frame) -> bool:
    """True if the right side is a tensor or a call on whole tensors."""
    if len(statement.targets) > 1:
        return True
    return isinstance(statement.targets[0], Name) and _is_whole(statement.value, frame)


def _is_whole(node: Expression, frame: Frame) -> bool:
    match node:
        case Name(_, _, name):
            handle = frame.tensors.get(name)
            return handle is not None and handle.rank > 0
        case Application(_, _, function, _, arguments) if function not in REDUCTION_NAMES:
            if function in FUNCTIONS:
                return any(_is_whole(a, frame) for a in arguments)
            return function not in frame.tensors
    return False


def assign_whole(statement: Assignment, frame: Frame) -> None:
    """`T = e` or `(a, b) = f(...)`: names the tensors that a call gives."""
    targets: list[Name] = []
    for target in statement.targets:
        if isinstance(target, Reference):
            frame.fail("several results are taken by names without indices", "TC026", target)
        frame.check_new(target.id, target, "a tensor")
        if target.id in [t.id for t in targets]:
            frame.fail(f"'{target.id}' stands twice on the left", "TC021", target)
        targets.append(target)
    names = [t.id for t in targets]
    made = _evaluate(statement.value, frame, names, statement)
    if len(made) != len(targets):
        frame.fail(
            f"the call gives {len(made)} result{'s' * (len(made) != 1)}, "
            f"{len(targets)} name{'s' * (len(targets) != 1)} take{'s' * (len(targets) == 1)} them",
            "TC026",
            statement,
            "write (a, b) = f(...) with one name for each result",
        )
    for target, handle in zip(targets, made, strict=True):
        _bind(target, handle, statement.value, frame)


def _bind(target: Name, handle: Handle, value: Node, frame: Frame) -> None:
    result = frame.results.get(target.id)
    if result is None or handle.tensor is result.tensor:
        frame.tensors[target.id] = handle
        if handle.prefix and frame.batch:
            frame.batched.add(target.id)
        return
    if result.rank != handle.rank:
        frame.fail(
            f"the result '{target.id}' has {result.rank} axes, what is stored has {handle.rank}",
            "TC053",
            target,
        )
    _agree(result.extents, handle, f"'{target.id}' and what is stored in it", value, frame)
    iters = _iterators(frame, result.axes)
    element = frame.note(handle.read(_positions(iters, result, handle)), value)
    try:
        body = arithmetic.store(element, result.dtype)
    except WrongType as error:
        hint = f"write cast({result.dtype}, ...) around the call"
        frame.fail(str(error), "TC037" if result.dtype.is_bool else "TC031", value, hint)
    frame.tensors[target.id] = result
    if frame.batch:
        frame.batched.add(target.id)
    frame.emit(frame.definition_of(result, iters, body))


def _evaluate(
    node: Expression, frame: Frame, names: list[str], statement: Node
) -> tuple[Handle, ...]:
    """The tensors of a right side. `names` are what they will be called, where that is known."""
    match node:
        case Name(_, _, name):
            return (Scalars(frame, {}).tensor(node, name),)
        case Application(_, _, function, _, _) if function in FUNCTIONS:
            return (_elementwise(node, frame, names),)
        case Application():
            return inline(node, [_argument(a, frame) for a in node.arguments], names, frame)
    frame.fail(
        "the right side of several names is a call of a def with several results",
        "TC026",
        statement,
    )


def _argument(node: Expression, frame: Frame) -> Argument:
    """A whole tensor, or a number."""
    if not _is_whole(node, frame):
        if isinstance(node, Name) and node.id in frame.tensors:
            return frame.tensors[node.id]
        return Scalars(frame, {}).operand(node)
    made = _evaluate(node, frame, [], node)
    if len(made) != 1:
        frame.fail(f"a call with {len(made)} results is no operand", "TC026", node)
    return made[0]


# -- functions by element ------------------------------------------------------------------------------


def _elementwise(node: Application, frame: Frame, names: list[str]) -> Handle:
    """`gelu(H)`: a scalar function of every element; tensors without axes are shared."""
    function, arguments = node.function, node.arguments
    if node.items is not None:
        frame.fail(f"'{function}' takes no brackets", "TC020", node)
    wanted = 2 if function == "cast" else OPS[function].arity
    if len(arguments) != wanted:
        frame.fail(f"'{function}' takes {wanted} operands, not {len(arguments)}", "TC019", node)
    target = Scalars(frame, {}).type_named(arguments[0]) if function == "cast" else None
    operands = [_argument(a, frame) for a in (arguments[1:] if target else arguments)]
    tensors = [o for o in operands if isinstance(o, Handle)]
    shape = max(tensors, key=lambda h: h.rank)
    for each in tensors:
        if each.rank:
            _agree(shape.extents, each, f"the operands of '{function}'", node, frame)
    iters = _iterators(frame, shape.axes)
    values: list[Operand] = [
        frame.note(o.read(_positions(iters, shape, o)), node) if isinstance(o, Handle) else o
        for o in operands
    ]
    try:
        made = (
            arithmetic.cast(target, values[0])
            if target
            else arithmetic.apply(function, tuple(values))
        )
        body = settle(made)
    except WrongType as error:
        frame.fail(str(error), "TC032", node)
    except DoesNotFit as error:
        frame.fail(str(error), "TC033", node)
    name = _local_name(names, function, frame)
    handle = frame.handle(name, body.dtype, iters, frame.depends_on_batch(body))
    frame.emit(frame.definition_of(handle, iters, body))
    return handle


def _local_name(names: list[str], function: str, frame: Frame) -> str:
    if names and names[0] not in frame.results:
        return frame.tensor_name(names[0])
    return frame.context.fresh(frame.prefix + frame.context.call_name(function))


def _iterators(frame: Frame, axes: tuple[tuple[Int, Int], ...]) -> tuple[Iter, ...]:
    """Iterators for a definition that the text does not write out."""
    names = [*_ITERATORS, *(f"i_{n}" for n in range(len(axes)))]
    return tuple(frame.iterator(n, lo, hi) for n, (lo, hi) in zip(names, axes, strict=False))


def _positions(iters: tuple[Iter, ...], shape: Handle, of: Handle) -> list[Int]:
    """Where a tensor is read for the positions `iters` of `shape`; a scalar everywhere."""
    if not of.rank:
        return []
    moved = zip(iters, shape.axes, of.axes, strict=True)
    return [it - lo + start for it, (lo, _), (start, _) in moved]


def _agree(extents: tuple[Int, ...], other: Handle, what: str, node: Node, frame: Frame) -> None:
    if len(extents) != other.rank:
        frame.fail(f"{what} have {len(extents)} and {other.rank} axes", "TC059", node)
    for axis, (left, right) in enumerate(zip(extents, other.extents, strict=True)):
        frame.require_equal(left, right, f"{what} differ along axis {axis}", "TC059", node)
