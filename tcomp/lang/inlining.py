"""Calls of defs: inlined with fresh names, their sizes and types told by the arguments, batched over extra
leading axes."""

from __future__ import annotations

from typing import TypeAlias

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
from tcomp.lang.syntax import Application, Declaration, Def, Keyword, Node
from tcomp.lang.weak import DoesNotFit, Operand, is_weak, settle
from tcomp.lang.words import FUNCTIONS, REDUCTION_NAMES

Argument: TypeAlias = Handle | Operand  # a whole tensor, or a number


def inline(
    node: Application, arguments: list[Argument], names: list[str], frame: Frame
) -> tuple[Handle, ...]:
    """The results of a call. `names` are what they will be called, where that is known.

    Raises CompileError: no such def (TC014), recursion (TC016), arguments that do not fit (TC019, TC034,
    TC053, TC059, TC068), parameters that do not fit (TC020, TC028, TC039), a size that nothing tells (TC054).
    """
    callee = _callee(node, frame)
    call = frame.context.call_name(callee.name)
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
    argument: Argument, declaration: Declaration, call: str, frame: Frame, node: Node
) -> Handle | None:
    """A tensor argument; typed numbers become tensors without axes, weak ones wait for their type."""
    if isinstance(argument, Handle):
        return argument
    if is_weak(argument):
        return None
    return _scalar(argument, f"{call}_{declaration.name}", None, frame, node)


def _settled(
    argument: Argument, handle: Handle | None, declaration: Declaration, inner: Frame,
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
    fresh = frame.context.fresh(frame.prefix + name)
    handle = frame.handle(fresh, body.dtype, (), frame.depends_on_batch(body))
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
