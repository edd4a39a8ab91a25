"""Calls on whole tensors: defs are inlined, batched over extra leading axes; functions act by element."""

from __future__ import annotations

from tcomp.diagnostics import nearest
from tcomp.ir.dtypes import DType, f32, i32
from tcomp.ir.integer import Int, Iter
from tcomp.lang import arithmetic
from tcomp.lang.arithmetic import WrongType
from tcomp.lang.declarations import (
    Number,
    declare_parameters,
    declared_sizes,
    element_type,
    extent,
    is_new_size,
    number_of,
)
from tcomp.lang.frame import Frame, Handle
from tcomp.lang.scalars import Scalars
from tcomp.lang.syntax import (
    Application,
    Assignment,
    Declaration,
    Def,
    Expression,
    Keyword,
    Name,
    Node,
    Reference,
)
from tcomp.lang.weak import DoesNotFit, Operand, is_weak, settle
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
            return _call(node, frame, names)
    frame.fail(
        "the right side of several names is a call of a def with several results",
        "TC026",
        statement,
    )


def _argument(node: Expression, frame: Frame) -> Handle | Operand:
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
    batched = any(h.prefix for h in tensors) and bool(frame.batch)
    name = _local_name(names, function, frame)
    handle = frame.handle(name, body.dtype, iters, batched)
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


# -- defs ----------------------------------------------------------------------------------------------


def _call(node: Application, frame: Frame, names: list[str]) -> tuple[Handle, ...]:
    """Inlines a def for these arguments."""
    callee = _callee(node, frame)
    call = frame.context.call_name(callee.name)
    arguments = [_argument(a, frame) for a in node.arguments]
    inner = Frame(
        frame.context,
        callee,
        {},
        prefix=f"{call}_",
        call=frame.span(node),
    )
    declare_parameters(inner, _parameters(node, frame))
    typed = [
        _as_handle(a, d, call, frame, node) for a, d in zip(arguments, callee.inputs, strict=True)
    ]
    inner.types = _generic_types(callee, typed, inner, frame, node)
    given = [
        _settled(a, h, d, inner, frame, call, node)
        for a, h, d in zip(arguments, typed, callee.inputs, strict=True)
    ]
    extra = _batch(callee, given, inner, frame, node)
    for declaration, handle in zip(callee.inputs, given, strict=True):
        _bind_input(declaration, handle, extra, inner, frame, node)
    _declare_results(callee, names, inner, frame, node)
    frame.context.active.append(callee.name)
    from tcomp.lang.definitions import lower_body

    lower_body(inner)
    frame.context.active.pop()
    return tuple(_outside(inner.tensors[d.name], inner, frame) for d in callee.results)


def _callee(node: Application, frame: Frame) -> Def:
    name, defs = node.function, frame.context.defs
    callee = defs.find(name, frame.definition)
    if callee is None:
        hint = nearest(name, [*defs.names(), *FUNCTIONS, *REDUCTION_NAMES])
        frame.fail(f"unknown function '{name}'", "TC014", node, hint)
    if callee is frame.definition or callee.name in frame.context.active:
        frame.fail(
            f"'{name}' calls itself",
            "TC016",
            node,
            "there is no recursion; a scan may be what is meant",
        )
    if len(node.arguments) != len(callee.inputs):
        wanted = ", ".join(d.name for d in callee.inputs)
        frame.fail(
            f"'{name}' takes {len(callee.inputs)} tensors ({wanted}), not {len(node.arguments)}",
            "TC019",
            node,
        )
    return callee


def _parameters(node: Application, frame: Frame) -> dict[str, Number]:
    given: dict[str, Number] = {}
    for item in node.items or ():
        if not isinstance(item, Keyword):
            frame.fail(
                f"the brackets of a call name parameters: {node.function}[name=value](...)",
                "TC020",
                item,
            )
        if item.name in given:
            frame.fail(f"the parameter '{item.name}' is given twice", "TC020", item)
        value = number_of(Scalars(frame, {}).operand(item.value))
        if value is None:
            frame.fail(f"the parameter '{item.name}' needs a constant", "TC028", item.value)
        given[item.name] = value
    return given


def _as_handle(
    argument: Handle | Operand, declaration: Declaration, call: str, frame: Frame, node: Node
) -> Handle | None:
    """A tensor argument; typed numbers become tensors without axes, weak ones wait for their type."""
    if isinstance(argument, Handle):
        return argument
    if is_weak(argument):
        return None
    return _scalar(argument, f"{call}_{declaration.name}", None, frame, node)


def _settled(
    argument: Handle | Operand, handle: Handle | None, declaration: Declaration, inner: Frame,
    frame: Frame, call: str, node: Node,
) -> Handle:  # fmt: skip
    if handle is not None:
        return handle
    assert not isinstance(argument, Handle)
    kind = element_type(declaration, inner)
    dtype = inner.types[kind] if isinstance(kind, str) else kind
    return _scalar(argument, f"{call}_{declaration.name}", dtype, frame, node)


def _scalar(operand: Operand, name: str, dtype: DType | None, frame: Frame, node: Node) -> Handle:
    try:
        body = settle(operand) if dtype is None else arithmetic.store(operand, dtype)
    except (WrongType, DoesNotFit) as error:
        frame.fail(str(error), "TC034", node)
    handle = frame.handle(frame.context.fresh(frame.prefix + name), body.dtype, (), False)
    frame.emit(frame.definition_of(handle, (), body))
    return handle


def _generic_types(
    callee: Def, given: list[Handle | None], inner: Frame,
    frame: Frame, node: Node,
) -> dict[str, DType]:  # fmt: skip
    """What `float`, `int` and `element` stand for, told by the arguments; checks all element types."""
    bound: dict[str, DType] = {}
    for declaration, handle in zip(callee.inputs, given, strict=True):
        kind = element_type(declaration, inner)
        if handle is None:
            continue
        dtype = handle.dtype
        wanted: object = kind
        if isinstance(kind, str):
            accepted = {"float": dtype.is_float, "int": dtype.is_integer, "element": True}[kind]
            fits = accepted and bound.setdefault(kind, dtype) is dtype
            wanted = bound.get(kind, kind)
        else:
            fits = dtype is kind
        if not fits:
            frame.fail(
                f"'{declaration.name}' of '{callee.name}' is {wanted}, the argument is {dtype}",
                "TC034",
                node,
                f"convert it: cast({wanted if isinstance(wanted, DType) else 'f32'}, ...)",
            )
    return {"float": f32, "int": i32, "element": f32, **bound}


def _batch(
    callee: Def, given: list[Handle], inner: Frame, frame: Frame, node: Node
) -> tuple[Iter, ...]:
    """The iterators of the extra leading axes, and the frame's own where an argument has them."""
    extents: tuple[Int, ...] = ()
    first = ""
    for declaration, handle in zip(callee.inputs, given, strict=True):
        count = handle.rank - len(declared_sizes(declaration, inner))
        if count < 0:
            frame.fail(
                f"'{declaration.name}' of '{callee.name}' has {handle.rank - count} axes, "
                f"the argument has {handle.rank}",
                "TC053",
                node,
            )
        if not count:
            continue
        if not extents:
            extents, first = handle.extents[:count], declaration.name
        if count != len(extents):
            frame.fail(
                f"'{first}' and '{declaration.name}' of '{callee.name}' have {len(extents)} and {count} "
                "extra leading axes",
                "TC068",
                node,
                "arguments that are batched have the same leading axes; the others none",
            )
        for axis, (left, right) in enumerate(zip(extents, handle.extents, strict=False)):
            message = f"the batch axis {axis} of '{first}' and '{declaration.name}' differs"
            frame.require_equal(left, right, message, "TC068", node)
    outer = frame.batch if any(h.prefix for h in given) else ()
    taken = {i.name for i in outer}
    names = [n for n in ("b", *(f"b{n}" for n in range(1, 2 + len(extents) + len(taken))))
             if n not in taken]  # fmt: skip
    extra = tuple(Iter(n, Int.of(0), e) for n, e in zip(names, extents, strict=False))
    inner.batch = (*outer, *extra)
    return extra


def _bind_input(
    declaration: Declaration, handle: Handle, extra: tuple[Iter, ...], inner: Frame, frame: Frame,
    node: Node,
) -> None:  # fmt: skip
    sizes = declared_sizes(declaration, inner)
    count = handle.rank - len(sizes)
    own = handle.extents[count:]
    for axis, (size, given) in enumerate(zip(sizes, own, strict=True)):
        if is_new_size(size, inner):
            inner.sizes[size.id] = given  # type: ignore[union-attr]
            continue
        message = f"axis {axis} of '{declaration.name}' does not fit '{inner.definition.name}'"
        frame.require_equal(given, extent(size, inner), message, "TC059", node)
    shifts = [lo for lo, _ in handle.axes]
    if handle.shift:
        shifts = [lo + s for lo, s in zip(shifts, handle.shift, strict=True)]
    batch = extra if count else ()
    prefix = (*handle.prefix, *(it + s for it, s in zip(batch, shifts, strict=False)))
    inner.tensors[declaration.name] = Handle(
        handle.tensor, tuple((Int.of(0), e) for e in own), prefix, tuple(shifts[count:])
    )
    if prefix:
        inner.batched.add(declaration.name)


def _declare_results(callee: Def, names: list[str], inner: Frame, frame: Frame, node: Node) -> None:
    """Results are made under their final names where nothing has to be converted."""
    for position, declaration in enumerate(callee.results):
        name = names[position] if position < len(names) else ""
        target = frame.results.get(name)
        axes: list[tuple[Int, Int]] = []
        sizes = declared_sizes(declaration, inner)
        batch = len(inner.batch) - len(frame.batch if _has_outer(inner, frame) else ())
        for axis, size in enumerate(sizes):
            if is_new_size(size, inner):
                known = target is not None and target.rank == len(sizes) + batch
                if target is None or not known:
                    frame.fail(
                        f"the size '{size.id}' of '{callee.name}' is not told by its arguments",  # type: ignore[union-attr]
                        "TC054",
                        node,
                        "store the call into a declared result",
                    )
                inner.sizes[size.id] = target.extents[batch + axis]  # type: ignore[union-attr]
            axes.append((Int.of(0), extent(size, inner)))
        kind = element_type(declaration, inner)
        dtype = inner.types[kind] if isinstance(kind, str) else kind
        iters = tuple(Iter("", lo, hi) for lo, hi in axes)
        made = inner.handle("", dtype, iters, True)
        if target is not None and made.tensor.axes == target.tensor.axes and dtype is target.dtype:
            inner.results[declaration.name] = Handle(target.tensor, made.axes, made.prefix)
            continue
        single = (
            f"{inner.prefix}{declaration.name}" if len(callee.results) > 1 else inner.prefix[:-1]
        )
        final = frame.tensor_name(name) if name and target is None else frame.context.fresh(
            frame.prefix + single
        )  # fmt: skip
        inner.results[declaration.name] = inner.handle(final, dtype, iters, True)


def _has_outer(inner: Frame, frame: Frame) -> bool:
    return bool(frame.batch) and inner.batch[: len(frame.batch)] == frame.batch


def _outside(handle: Handle, inner: Frame, frame: Frame) -> Handle:
    """A callee's result as the caller sees it: the extra axes are its own."""
    outer = len(frame.batch) if _has_outer(inner, frame) else 0
    extra = inner.batch[outer:] if handle.prefix else ()
    axes = (*((i.lo, i.hi) for i in extra), *handle.axes)
    shift = (*(Int.of(0) for _ in extra), *handle.shift) if handle.shift else ()
    return Handle(handle.tensor, axes, handle.prefix[:outer], shift)
