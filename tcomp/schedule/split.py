"""Long reductions in two steps: partial results of blocks, then their combination.

    out = sum[k](f(k))   becomes   part[b] = sum[i](f(B b + i));  out = sum[b](part[b])

Blocks can be shared out over threads although there are few outputs; a column sum reads few rows of
memory at a time; and float sums of blocks lose less (Higham, Accuracy and Stability, section 4.2). The
blocks depend on sizes alone, so results do not depend on the number of threads.
"""

from __future__ import annotations

from tcomp.ir.integer import Int, Iter
from tcomp.ir.plan import Group
from tcomp.ir.tensor import nodes as t
from tcomp.ops import REDUCTIONS
from tcomp.schedule import contraction
from tcomp.schedule.access import Access, profile

LEAST_TERMS = 1 << 17  # below this one thread is done before another has started
_FEW_OUTPUTS = 64
_BLOCK_TERMS = 1 << 14
_FEW_PRODUCTS = 1 << 10
_PRODUCT_TERMS = 1 << 11
_BLOCK_ROWS = 16  # rows read side by side: as many streams as caches fetch ahead
_FAR = 4096  # bytes from row to row that mean another page


def split_reductions(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups, with every long reduction that stands alone in two steps."""
    result: list[Group] = []
    for group in groups:
        alone = len(group.members) == 1 and not group.shared
        if not alone:
            result.append(group)
            continue
        product = contraction.match_group(group)
        steps = _steps(group.members[0]) if product is None else _product_steps(product)
        result += [Group((part,)) for part in steps]
    return tuple(result)


def _product_steps(product: contraction.Contraction) -> tuple[t.Definition, ...]:
    """A product of few outputs and many terms (split-K): its blocks are a batch of products."""
    definition, reduce = product.definition, product.total
    if isinstance(product, contraction.CodedContraction):
        return (definition,)  # its codes are read as they lie, at the speed of the memory
    it = max(reduce.iters, key=lambda i: int(i.extent))
    terms = _size(reduce.iters)
    if _size(definition.iters) > _FEW_PRODUCTS or terms < 4 * _PRODUCT_TERMS:
        return (definition,)
    halves = _split(definition, reduce, it, max(1, _PRODUCT_TERMS * int(it.extent) // terms))
    return (definition,) if halves is None else halves


def _steps(definition: t.Definition) -> tuple[t.Definition, ...]:
    halves = _halves(definition)
    return (definition,) if halves is None else (halves[0], *_steps(halves[1]))


def _halves(definition: t.Definition) -> tuple[t.Definition, t.Definition] | None:
    reductions = [n for n in t.postorder(definition.body) if isinstance(n, t.Reduce)]
    if len(reductions) != 1 or not REDUCTIONS[reductions[0].op].combine:
        return None
    (reduce,) = reductions
    terms = _size(reduce.iters)
    outputs = _size(definition.iters)
    if terms * outputs < LEAST_TERMS:
        return None
    it = reduce.iters[0]
    if outputs <= _FEW_OUTPUTS:
        return _split(definition, reduce, it, max(1, _BLOCK_TERMS * int(it.extent) // terms))
    if _is_column_sum(definition, reduce):
        return _split(definition, reduce, it, _BLOCK_ROWS)
    return None


def _is_column_sum(definition: t.Definition, reduce: t.Reduce) -> bool:
    """Whether terms of one output lie far apart while outputs lie side by side."""
    if not definition.iters or len(reduce.iters) > 1:
        return False
    along = definition.iters[-1]
    reads = [a for a in profile(definition).reads if a.depends(reduce.iters[0])]
    return any(_jumps(a, reduce.iters[0]) and a.step(along) == 1 for a in reads) and all(
        a.step(along) in (0, 1) for a in reads
    )


def _jumps(access: Access, it: Iter) -> bool:
    step = access.step(it)
    return step is not None and abs(step) * access.tensor.dtype.bytes >= _FAR


def _split(
    definition: t.Definition, reduce: t.Reduce, it: Iter, block: int
) -> tuple[t.Definition, t.Definition] | None:
    extent = int(it.extent)
    blocks = extent // block
    if blocks < 4:
        return None
    taken = {
        i.name for n in t.postorder(definition.body) if isinstance(n, t.Reduce) for i in n.iters
    }
    taken |= {i.name for i in definition.iters}
    number = Iter(_fresh(f"{it.name}_block", taken), Int.of(0), Int.of(blocks))
    inner = Iter(_fresh(f"{it.name}_inner", taken), Int.of(0), Int.of(block))
    position = it.lo + Int.of(number) * block + Int.of(inner)
    others = tuple(i for i in reduce.iters if i is not it)
    partial = t.Tensor(
        f"{definition.tensor.name}_part",
        reduce.dtype,
        ((number.lo, number.hi), *((i.lo, i.hi) for i in definition.iters)),
    )
    first = t.Definition(
        partial,
        (number, *definition.iters),
        t.Reduce(reduce.op, (inner, *others), t.substitute(reduce.body, {it: position})),
    )
    index = (Int.of(number), *map(Int.of, definition.iters))
    total: t.Expr = t.Reduce(reduce.op, (number,), t.Read(partial, index))
    if extent % block:
        rest = Iter(it.name, it.lo + blocks * block, it.hi)
        body = t.substitute(reduce.body, {it: Int.of(rest)})
        left = t.Reduce(reduce.op, (rest, *others), body)
        total = t.Apply(REDUCTIONS[reduce.op].combine, (total, left), reduce.dtype)
    whole = t.rewrite(definition.body, lambda node: total if node is reduce else None)
    return first, t.Definition(definition.tensor, definition.iters, whole)


def _fresh(stem: str, taken: set[str]) -> str:
    name = stem
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _size(iters: tuple[Iter, ...]) -> int:
    total = 1
    for it in iters:
        total *= int(it.extent)
    return total
