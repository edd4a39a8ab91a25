"""Reads of tensors as NumPy code: slices, strided windows of padded arrays, or index arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tcomp.interop.numpy_peer.labelled import Labelled, Space, variable
from tcomp.ir.integer import FloorDiv, Int, Iter, Min, Mod, Value
from tcomp.ir.tensor.nodes import Const, Expr, Read, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


class Translator(Protocol):
    """What a read needs of the definition's translator."""

    space: Space

    def value(self, expr: Expr) -> Labelled: ...

    def name(self, tensor: Tensor) -> str: ...

    def temporary(self, code: str) -> str: ...


def read(translator: Translator, node: Read) -> Labelled:
    """The elements that a read gives over all iterators in its indices."""
    positions = [i - lo for i, (lo, _) in zip(node.index, node.tensor.axes, strict=True)]
    if not positions:
        return Labelled(translator.name(node.tensor))
    extents = [int(e) for e in node.tensor.shape]
    scalars = translator.space.scalars
    outside = [p for p, i in enumerate(positions) if not _inside(i, extents[p])]
    otherwise = node.otherwise if outside else None
    if not all(_is_affine(i) for i in positions):
        return _gather(translator, node, positions, extents, outside if otherwise else [])
    if otherwise is None:
        return _strided(translator.space, translator.name(node.tensor), positions, extents)
    if all(positions[p].leaves() <= scalars for p in outside):
        return _conditional(translator, node, positions, extents, outside)
    if isinstance(otherwise, Const) and not any(i.leaves() & scalars for i in positions):
        return _padded(translator, node, positions, extents, otherwise)
    return _gather(translator, node, positions, extents, outside)


def index_array(translator: Translator, index: Int) -> Labelled:
    """An integer polynomial over the space's iterators as an array of integers."""
    parts = [(_monomial(translator, m), c) for m, c in index.terms]
    space = translator.space
    union = space.union(o for o, _ in parts)
    code = " + ".join(
        space.aligned(o, union) if c == 1 else f"{c} * {space.aligned(o, union)}" for o, c in parts
    )
    if not code:
        return Labelled(str(index.constant), simple=index.constant >= 0)
    if index.constant:
        code += f" + {index.constant}" if index.constant > 0 else f" - {-index.constant}"
    return Labelled(code, union, simple=len(parts) == 1 and parts[0][1] == 1 and not index.constant)


def _monomial(translator: Translator, atoms: Sequence[object]) -> Labelled:
    operands = [_atom(translator, a) for a in atoms]
    union = translator.space.union(operands)
    code = " * ".join(translator.space.aligned(o, union) for o in operands)
    return Labelled(code, union, simple=len(operands) == 1)


def _atom(translator: Translator, atom: object) -> Labelled:
    match atom:
        case Iter() if atom in translator.space.scalars:
            return Labelled(variable(atom))
        case Iter(_, lo, hi):
            low = f"{int(lo)}, " if int(lo) else ""
            return Labelled(f"np.arange({low}{int(hi)})", (atom,))
        case Value(expr):
            return translator.value(expr)
        case FloorDiv(left, right) | Mod(left, right) | Min(left, right):
            operands = [index_array(translator, i) for i in (left, right)]
            union = translator.space.union(operands)
            a, b = (translator.space.aligned(o, union) for o in operands)
            if isinstance(atom, Min):
                return Labelled(f"np.minimum({a}, {b})", union)
            sign = "//" if isinstance(atom, FloorDiv) else "%"
            return Labelled(f"({a} {sign} {b})", union)
    raise TypeError(type(atom))


def _inside(position: Int, extent: int) -> bool:
    low, high = position.bounds()
    return low is not None and high is not None and low >= 0 and high < extent


def _is_affine(index: Int) -> bool:
    return all(len(m) == 1 and isinstance(m[0], Iter) for m, _ in index.terms)


def _fixed(space: Space, index: Int) -> str:
    """The part of an affine index that no axis of the space moves, as Python code."""
    code = str(index.constant) if index.constant or not _scalars(space, index) else ""
    for (atom, *_), factor in index.terms:
        if atom in space.scalars:
            name = variable(atom)
            term = name if factor == 1 else f"{factor} * {name}"
            code = f"{term} + {code}" if code else term
    return code.replace("+ -", "- ")


def _scalars(space: Space, index: Int) -> list[object]:
    return [m[0] for m, _ in index.terms if m[0] in space.scalars]


def _moving(space: Space, index: Int) -> list[tuple[Iter, int]]:
    return [
        (m[0], c) for m, c in index.terms if m[0] not in space.scalars and isinstance(m[0], Iter)
    ]


def _strided(space: Space, code: str, positions: list[Int], extents: list[int]) -> Labelled:
    """Affine indices that stay inside: slices where each axis has its own iterator, else a window."""
    moving = [_moving(space, i) for i in positions]
    used = [it for axis in moving for it, _ in axis]
    plain = all(len(axis) <= 1 and all(c > 0 for _, c in axis) for axis in moving)
    mixed = any(axis and _scalars(space, i) for axis, i in zip(moving, positions, strict=True))
    if plain and not mixed and len(set(used)) == len(used):
        marks = [_slice(space, i, e) for i, e in zip(positions, extents, strict=True)]
        while marks and marks[-1] == ":":
            marks.pop()
        sliced = f"{code}[{', '.join(marks)}]" if marks else code
        return space.transposed(sliced, tuple(used))
    iters = space.sorted(used)
    start = []
    for position, axis in zip(positions, moving, strict=True):
        low = sum((c * i.lo for i, c in axis), Int.of(0))
        start.append(_fixed(space, position + low))
    axes = [
        f"({int(i.extent)}, {tuple(sum(c for j, c in axis if j is i) for axis in moving)})"
        for i in iters
    ]
    offset = ", ".join(start) + ("," if len(start) == 1 else "")
    return Labelled(f"window({code}, ({offset}), ({', '.join(axes)},))", iters)


def _slice(space: Space, position: Int, extent: int) -> str:
    moving = _moving(space, position)
    if not moving:
        return _fixed(space, position)
    ((it, step),) = moving
    if int(it.extent) == 0:
        return "0:0"
    first = int(it.lo) * step + position.constant
    last = first + (int(it.extent) - 1) * step
    low = str(first) if first else ""
    high = str(last + 1) if last + 1 < extent else ""
    return f"{low}:{high}" + (f":{step}" if step != 1 else "")


def _conditional(
    translator: Translator, node: Read, positions: list[Int], extents: list[int], outside: list[int]
) -> Labelled:
    """A guard on the position of an enclosing Python loop: `h[t - 1] if t - 1 >= 0 else h0`."""
    assert node.otherwise is not None
    space = translator.space
    inner = _strided(space, translator.name(node.tensor), positions, extents)
    other = translator.value(node.otherwise)
    union = space.union((inner, other))
    tests = [f"0 <= {_fixed(space, positions[p])} < {extents[p]}" for p in outside]
    shape = tuple(int(i.extent) for i in union)
    fallback = f"np.broadcast_to({space.aligned(other, union)}, {shape})"
    if not union:
        fallback = other.operand
    elif inner.iters != union:
        inner = Labelled(f"np.broadcast_to({space.aligned(inner, union)}, {shape})", union)
    return Labelled(f"({inner.code} if {' and '.join(tests)} else {fallback})", union)


def _padded(
    translator: Translator, node: Read, positions: list[Int], extents: list[int], value: Const
) -> Labelled:
    """Guarded by a constant: a window of the padded array."""
    widths, sizes, moved = [], [], []
    for position, extent in zip(positions, extents, strict=True):
        low, high = position.bounds()
        assert low is not None and high is not None
        before, after = max(0, -low), max(0, high - extent + 1)
        widths.append((before, after))
        sizes.append(before + extent + after)
        moved.append(position + before)
    fill = "" if not value.value else f", constant_values={_literal(value.value)}"
    padded = translator.temporary(f"np.pad({translator.name(node.tensor)}, {tuple(widths)}{fill})")
    return _strided(translator.space, padded, moved, sizes)


def _literal(value: float | int | bool) -> str:
    text = repr(value)
    return f"np.{text.lstrip('-')}" if text in ("inf", "nan") else text.replace("inf", "np.inf")


def _gather(
    translator: Translator, node: Read, positions: list[Int], extents: list[int], guarded: list[int]
) -> Labelled:
    """Index arrays; a guarded axis is clipped, and the elements outside are replaced afterwards."""
    space = translator.space
    indices: list[Labelled | Iter] = []
    tests: list[Labelled] = []
    for p, position in enumerate(positions):
        whole = _whole_axis(space, position, extents[p], positions)
        if whole is not None:
            indices.append(whole)
            continue
        index = index_array(translator, position)
        if p in guarded:
            index = Labelled(translator.temporary(index.code), index.iters)
            tests.append(
                Labelled(f"(({index.code} >= 0) & ({index.code} < {extents[p]}))", index.iters)
            )
            index = Labelled(f"np.clip({index.code}, 0, {extents[p] - 1})", index.iters)
        indices.append(index)
    inner = _indexed(space, translator.name(node.tensor), indices)
    if not tests:
        return inner
    assert node.otherwise is not None
    other = translator.value(node.otherwise)
    union = space.union((inner, other, *tests))
    condition = " & ".join(space.aligned(t, union) for t in tests)
    inside, outside = space.aligned(inner, union), space.aligned(other, union)
    return Labelled(f"np.where({condition}, {inside}, {outside})", union)


def _whole_axis(space: Space, position: Int, extent: int, every: list[Int]) -> Iter | None:
    """The iterator that runs over exactly this axis and is used at no other, if there is one."""
    moving = _moving(space, position) if _is_affine(position) else []
    if len(moving) != 1 or position != Int.of(moving[0][0]):
        return None
    it = moving[0][0]
    alone = sum(it in _deep_leaves(i) for i in every) == 1
    return it if alone and int(it.lo) == 0 and int(it.hi) == extent else None


def _deep_leaves(index: Int) -> set[object]:
    found: set[object] = set()
    for leaf in index.leaves():
        found |= leaf.expr.free_atoms() if isinstance(leaf, Value) else {leaf}
    return found


def _indexed(space: Space, code: str, indices: list[Labelled | Iter]) -> Labelled:
    """array[...] with whole axes kept as `:` where NumPy then leaves the axes in a known order."""
    arrays = [p for p, i in enumerate(indices) if isinstance(i, Labelled)]
    if arrays and arrays != list(range(arrays[0], arrays[-1] + 1)):
        indices = [
            i if isinstance(i, Labelled) else Labelled(f"np.arange({int(i.hi)})", (i,))
            for i in indices
        ]
        arrays = list(range(len(indices)))
    labelled = [i for i in indices if isinstance(i, Labelled)]
    union = space.union(labelled)
    marks = [space.aligned(i, union) if isinstance(i, Labelled) else ":" for i in indices]
    before = [i for i in indices[: arrays[0]] if isinstance(i, Iter)]
    after = [i for i in indices[arrays[-1] + 1 :] if isinstance(i, Iter)]
    while marks[-1] == ":":
        marks.pop()
    return space.transposed(f"{code}[{', '.join(marks)}]", (*before, *union, *after))
