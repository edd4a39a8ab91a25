"""The statements of a def: definitions of tensors, one at a time."""

from __future__ import annotations

from tcomp.ir.dtypes import DType
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import Expr
from tcomp.lang import arithmetic, ranges
from tcomp.lang.arithmetic import WrongType
from tcomp.lang.calls import assign_whole, is_whole
from tcomp.lang.frame import Frame, Handle
from tcomp.lang.scalars import Scalars, iterator_name
from tcomp.lang.scan_order import ScanOrder
from tcomp.lang.syntax import (
    Application,
    Assignment,
    Expression,
    Name,
    Node,
    Ranged,
    Reference,
    ScanBlock,
    walk,
)
from tcomp.lang.weak import DoesNotFit, settle


def lower_body(frame: Frame) -> None:
    """Adds the statements of a def to the program. Raises CompileError for mistakes in them."""
    from tcomp.lang.scans import lower_scan

    body = frame.definition.body
    frame.later = frozenset(target_name(t) for s in body for a in assignments(s) for t in a.targets)
    for statement in body:
        if isinstance(statement, ScanBlock):
            lower_scan(statement, frame)
        elif is_whole(statement, frame):
            assign_whole(statement, frame)
        else:
            define(statement, frame)
    for declaration in frame.definition.results:
        if declaration.name not in frame.tensors:
            frame.fail(
                f"the result '{declaration.name}' is never defined",
                "TC018",
                declaration,
                f"give its elements: {declaration.name}[...] = ...",
            )


def assignments(statement: Assignment | ScanBlock) -> tuple[Assignment, ...]:
    """The assignments of a statement."""
    return statement.assignments if isinstance(statement, ScanBlock) else (statement,)


def target_name(target: Name | Reference) -> str:
    """The tensor that a left side defines."""
    return target.id if isinstance(target, Name) else target.name


def define(statement: Assignment, frame: Frame) -> None:
    """`T[i, j] = e`, or `t = e` for a tensor without axes."""
    (target,) = statement.targets
    name = target_name(target)
    frame.check_new(name, target, "a tensor")
    iters = left_iterators(target, (statement.value,), frame)
    scalars = Scalars(frame, dict(zip(written_names(target, frame), iters, strict=True)))
    body = lower_right(name, statement.value, scalars)
    handle = new_handle(name, body.dtype, iters, is_batched(statement, frame), frame)
    frame.tensors[name] = handle
    frame.emit(frame.definition_of(handle, iters, body))


def written_names(target: Name | Reference, frame: Frame) -> list[str]:
    """The iterators of a left side as the text calls them."""
    return [iterator_name(i, frame) for i in target.items] if isinstance(target, Reference) else []


def left_iterators(
    target: Name | Reference, scope: tuple[Node, ...], frame: Frame, scan: ScanOrder | None = None,
    scanned: str = "",
) -> tuple[Iter, ...]:  # fmt: skip
    """The iterators of a left side with their ranges: explicit, the result's, or those of its reads.

    `scanned` is the name of the scan's iterator, which has its range already.
    """
    items = target.items if isinstance(target, Reference) else ()
    name = target_name(target)
    result = frame.results.get(name)
    if result is not None and result.rank != len(items):
        given = f"{len(items)} indices" if items else "no indices"
        frame.fail(f"the result '{name}' has {result.rank} axes and {given} here", "TC053", target)
    names = written_names(target, frame)
    for at, (each, item) in enumerate(zip(names, items, strict=True)):
        if each in names[:at]:
            frame.fail(
                f"'{each}' stands twice on the left",
                "TC021",
                item,
                "axes have distinct names: a diagonal is written with where(i == j, ..., 0)",
            )
        if each != scanned:
            Scalars(frame, {}).check_iterator(each, item)
    open_names = [
        n for n, i in zip(names, items, strict=True)
        if isinstance(i, Name) and result is None and n != scanned
    ]  # fmt: skip
    uses = ranges.uses(open_names, scope, frame) if open_names else {}
    made: list[Iter] = []
    for axis, (each, item) in enumerate(zip(names, items, strict=True)):
        if each == scanned and scan is not None:
            made.append(scan.iter)
            continue
        if isinstance(item, Ranged):
            lo, hi = ranges.explicit(item, frame)
            if result is not None:
                require_whole(name, axis, lo, hi, result, item, frame)
                lo, hi = result.axes[axis]
        elif result is not None:
            lo, hi = result.axes[axis]
        else:
            lo, hi = ranges.inferred(each, item, uses[each], frame)
        made.append(frame.iterator(each, lo, hi))
    return tuple(made)


def require_whole(
    name: str, axis: int, lo: Int, hi: Int, result: Handle, item: Node, frame: Frame
) -> None:
    """A result is defined over its whole declared axis."""
    message = f"the result '{name}' must be defined over all of axis {axis}"
    for given, wanted in zip((lo, hi), result.axes[axis], strict=True):
        frame.require_equal(given, wanted, message, "TC056", item)


def lower_right(name: str, value: Expression, scalars: Scalars) -> Expr:
    """The right side in the type that is stored: the declared one of a result, else its own.

    A local that is a `cast` has that type, narrow ones included; a plain read of a narrow tensor gives
    what arithmetic reads it as.
    """
    result = scalars.frame.results.get(name)
    if result is None:
        if isinstance(value, Application) and value.function == "cast":
            return settle(scalars.operand(value))
        return scalars.typed(value)
    return stored(scalars, value, result.dtype)


def stored(scalars: Scalars, value: Expression, dtype: DType) -> Expr:
    """An expression as it is stored into a declared result. Raises CompileError (TC031, TC033)."""
    try:
        return arithmetic.store(scalars.operand(value), dtype)
    except WrongType as error:
        code = "TC037" if dtype.is_bool else "TC031"
        scalars.frame.fail(str(error), code, value, f"say so: cast({dtype}, ...)")
    except DoesNotFit as error:
        scalars.frame.fail(str(error), "TC033", value)


def new_handle(
    name: str, dtype: DType, iters: tuple[Iter, ...], batched: bool, frame: Frame
) -> Handle:
    """The tensor that a definition makes: the declared result, or a local."""
    if name in frame.results:
        if frame.batch:
            frame.batched.add(name)
        return frame.results[name]
    if batched:
        frame.batched.add(name)
    return frame.handle(frame.tensor_name(name), dtype, iters, batched)


def is_batched(statement: Assignment | ScanBlock, frame: Frame) -> bool:
    """True if what is defined depends on a batched argument."""
    if not frame.batch:
        return False
    values = [a.value for a in assignments(statement)]
    targets = [target_name(t) for a in assignments(statement) for t in a.targets]
    named = {n.name if isinstance(n, Reference) else n.id
             for n in walk(*values) if isinstance(n, Name | Reference)}  # fmt: skip
    return not named.isdisjoint(frame.batched) or any(t in frame.results for t in targets)
