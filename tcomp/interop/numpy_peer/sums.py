"""Sums of products as `@` and `einsum`, sums over a selected position as scatters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcomp.interop.numpy_peer.labelled import Labelled, PeerUnavailable, Space, transposition
from tcomp.ir.integer import Iter
from tcomp.ir.tensor.nodes import Apply, Const, Expr, IndexValue, Read, Reduce

if TYPE_CHECKING:
    from tcomp.interop.numpy_peer.reads import Translator

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def factors(body: Expr) -> list[Expr]:
    """The operands of a tree of multiplications, left to right."""
    found, stack = [], [body]
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and node.op == "mul":
            stack.extend(reversed(node.args))
        else:
            found.append(node)
    return found


def product_sum(space: Space, operands: list[Labelled], reduced: tuple[Iter, ...]) -> Labelled:
    """The sum of a product of at least two arrays of one type over `reduced`."""
    if len(operands) == 2:
        matrix = _matrix_product(space, operands[0], operands[1], reduced)
        if matrix is None:
            matrix = _tensordot(space, operands[0], operands[1], reduced)
        if matrix is not None:
            return matrix
    order = space.sorted(i for o in operands for i in o.iters)
    if len(order) > len(LETTERS):
        raise PeerUnavailable(f"einsum has no letters for {len(order)} iterators")
    letters = {it: LETTERS[n] for n, it in enumerate(order)}
    result = tuple(i for i in order if i not in reduced)
    spec = ",".join("".join(letters[i] for i in o.iters) for o in operands)
    target = "".join(letters[i] for i in result)
    arrays = ", ".join(o.code for o in operands)
    order_found = "True" if len(operands) == 2 else "'optimal'"
    code = f"np.einsum('{spec}->{target}', {arrays}, optimize={order_found})"
    return Labelled(code, result)


def _matrix_product(
    space: Space, left: Labelled, right: Labelled, reduced: tuple[Iter, ...]
) -> Labelled | None:
    """`A @ B` where each group (batch, rows, columns, summed) has one axis, or none of a side."""
    both = set(left.iters) & set(right.iters)
    batch = tuple(i for i in left.iters if i in both and i not in reduced)
    rows = tuple(i for i in left.iters if i not in both)
    columns = tuple(i for i in right.iters if i not in both)
    if set(reduced) != both - set(batch) or len(reduced) != 1:
        return None
    if len(rows) > 1 or len(columns) > 1 or not (rows or columns):
        return None
    if rows and columns and space.sorted((*rows, *columns))[0] is not rows[0]:
        return _matrix_product(space, right, left, reduced)
    if batch and not (rows and columns):
        return None
    if not rows and not batch and columns:  # v @ B
        return Labelled(f"{left.operand} @ {_ordered(right, (*reduced, *columns))}", columns, False)
    a = _ordered(left, (*batch, *rows, *reduced))
    b = _ordered(right, (*batch, *reduced, *columns))
    result = (*batch, *rows, *columns)
    code = f"{a} @ {b}"
    if space.sorted(result) == result:
        return Labelled(code, result, simple=False)
    return space.transposed(f"({code})", result)


def _ordered(operand: Labelled, wanted: tuple[Iter, ...]) -> str:
    if operand.origin is not None:
        return transposition(*operand.origin, wanted)
    return transposition(operand.operand, operand.iters, wanted)


def _tensordot(
    space: Space, left: Labelled, right: Labelled, reduced: tuple[Iter, ...]
) -> Labelled | None:
    """Any number of rows, columns and summed axes, but no batch: one matrix product, reshaped."""
    both = set(left.iters) & set(right.iters)
    if both != set(reduced):
        return None
    sides = [o.origin or (o.operand, o.iters) for o in (left, right)]
    axes = ", ".join(f"({', '.join(str(i.index(r)) for r in reduced)},)" for _, i in sides)
    result = tuple(i for _, iters in sides for i in iters if i not in reduced)
    return space.transposed(f"np.tensordot({sides[0][0]}, {sides[1][0]}, ({axes}))", result)


def exact_float(body: Expr, reduced: tuple[Iter, ...]) -> str | None:
    """The float type in which BLAS sums this product of two narrow integers exactly, if there is one."""
    pair = factors(body)
    if len(pair) != 2 or not body.dtype.is_integer:
        return None
    bound = 1
    for it in reduced:
        bound *= max(1, int(it.extent))
    for factor in pair:
        source = narrow_read(factor)
        if source is None:
            return None
        bound <<= source.dtype.bits - (1 if source.dtype.is_signed else 0)
    if bound >= 1 << 31:  # would wrap
        return None
    return "np.float32" if bound < 1 << 24 else "np.float64"


def narrow_read(factor: Expr) -> Read | None:
    """The read of a narrow integer tensor below widening conversions."""
    while isinstance(factor, Apply) and factor.op == "cast":
        factor = factor.args[0]
    narrow = factor.dtype.is_integer and factor.dtype.bits <= 16
    return factor if isinstance(factor, Read) and narrow else None


def scatter(translator: Translator, node: Reduce) -> Labelled | None:
    """sum[n](where(x[n] == b, v[n, ...], 0)) as `bincount` or `add.at`; None for anything else."""
    body = node.body
    while isinstance(body, Apply) and body.op == "cast" and body.args[0].dtype.is_integer:
        body = body.args[0]
    if node.op != "sum" or not (isinstance(body, Apply) and body.op == "where"):
        return None
    condition, value, zero = body.args
    if not (isinstance(zero, Const) and not zero.value):
        return None
    found = _selector(condition, node.iters)
    if found is None or found[0] in translator.space.scalars or int(found[0].lo):
        return None
    target, positions = found[0], translator.value(found[1])
    values = translator.value(value)
    if positions.iters != translator.space.sorted(node.iters) or len(node.iters) != 1:
        return None
    (counted,) = node.iters
    if target in values.iters or (values.iters and values.iters[0] is not counted):
        values = _leading(translator.space, values, counted)
    rest = tuple(i for i in values.iters if i is not counted)
    dtype, size = f"np.{node.dtype.numpy.name}", int(target.extent)
    if isinstance(value, Const):
        counts = f"np.bincount({positions.code}, minlength={size})[:{size}]"
        scale = "" if value.value == 1 else f" * {value.value!r}"
        return Labelled(f"({counts}{scale}).astype({dtype})", (target,))
    if target in values.iters or counted not in values.iters:
        return None
    code = f"scatter_add({positions.code}, {values.code}, {size}, {dtype})"
    return translator.space.transposed(code, (target, *rest))


def _leading(space: Space, values: Labelled, first: Iter) -> Labelled:
    if first not in values.iters:
        return values
    order = (first, *(i for i in values.iters if i is not first))
    permutation = ", ".join(str(values.iters.index(i)) for i in order)
    return Labelled(f"{values.operand}.transpose({permutation})", order)


def _selector(condition: Expr, reduced: tuple[Iter, ...]) -> tuple[Iter, Expr] | None:
    """For `x[n] == b`: the iterator b and the expression x[n]."""
    if not (isinstance(condition, Apply) and condition.op == "eq"):
        return None
    for one, other in (condition.args, condition.args[::-1]):
        while isinstance(other, Apply) and other.op == "cast" and other.dtype.is_integer:
            other = other.args[0]
        while isinstance(one, Apply) and one.op == "cast" and one.dtype.is_integer:
            one = one.args[0]
        if not isinstance(one, IndexValue) or not other.dtype.is_integer:
            continue
        atoms = list(one.index.leaves())
        if len(atoms) == 1 and isinstance(atoms[0], Iter) and atoms[0] not in reduced:
            free = {a for a in other.free_atoms() if isinstance(a, Iter)}
            if one.index.terms == (((atoms[0],), 1),) and not one.index.constant:
                return (atoms[0], other) if free <= set(reduced) else None
    return None
