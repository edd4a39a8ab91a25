"""Online softmax: maximum, exponentials and their sums in one pass over blocks of positions.

    m[x] = max[t](L[x, t]); E[x, t] = exp(L[x, t] - m[x]); S[x, y] = sum[t](E[x, t] * g(t, y))

    scan[b]: n[b, x] = maximum((n[b-1, x] else -inf), max[i](L[x, B*b + i]))
             c[b, x] = exp((n[b-1, x] else -inf) - n'[b, x]),  p[b, x, i] = exp(L[x, B*b + i] - n'[b, x])
             a[b, x, y] = (a[b-1, x, y] else 0) * c[b, x] + sum[i](p[b, x, i] * g(B*b + i, y))
    S[x, y] = a[last, x, y]

where n' is n, but 0 where everything so far was -inf. L is made block by block too, so that nothing of size
|x| |t| remains (M. Milakov, N. Gimelshein, arXiv 1805.02867; T. Dao et al., FlashAttention, NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcomp.ir.dtypes import boolean
from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
    postorder,
    rewrite,
    substitute,
)
from tcomp.passes.derivation.index.reindex import fresh
from tcomp.passes.derivation.rule import with_body
from tcomp.passes.inline import zero
from tcomp.passes.scoping import free_iters, fresh_name, names_of, rename_bound
from tcomp.passes.semiring import SUM_PRODUCT

BLOCK = 64  # positions of a block, or the largest divisor of their number below


@dataclass(frozen=True, slots=True)
class _Softmax:
    """The parts of a softmax: its maximum, its exponentials, and the sums that read them."""

    maximum: Definition
    exponential: Definition
    position: Iter  # of the exponential
    sums: tuple[tuple[Definition, Reduce, Read], ...]


def one_pass(program: Program) -> Iterator[tuple[str, Program]]:
    """Every softmax of a program, made in one pass."""
    definitions = [s for s in program.body if isinstance(s, Definition)]
    for maximum in definitions:
        body = maximum.body
        if not (isinstance(body, Reduce) and body.op == "max" and len(body.iters) == 1):
            continue
        for exponential in definitions:
            found = _softmax(program, definitions, maximum, exponential)
            if found is not None:
                yield exponential.tensor.name, _rewritten(program, found)


def _softmax(
    program: Program, definitions: list[Definition], maximum: Definition, exponential: Definition
) -> _Softmax | None:
    body = exponential.body
    if exponential.tensor in program.results or not isinstance(body, Apply) or body.op != "exp":
        return None
    difference = body.args[0]
    if not isinstance(difference, Apply) or difference.op != "sub":
        return None
    values, subtracted = difference.args
    if not isinstance(subtracted, Read) or subtracted.tensor is not maximum.tensor:
        return None
    several = (it for it in exponential.iters if it.extent.constant > 1)
    position = next((it for it in several if it not in free_iters(subtracted)), None)
    rest = tuple(it for it in exponential.iters if it is not position)
    if position is None or subtracted.index != tuple(map(_place, rest)):
        return None
    assert isinstance(maximum.body, Reduce)
    (inner,) = maximum.body.iters
    renamed = {a: Int.of(b) for a, b in zip(maximum.iters, rest, strict=True)}
    renamed[inner] = Int.of(position)
    same_range = (inner.lo, inner.hi) == (position.lo, position.hi)
    if not same_range or substitute(maximum.body.body, renamed) is not values:
        return None
    sums = _sums(program, definitions, exponential, position)
    return _Softmax(maximum, exponential, position, sums) if sums else None


def _place(it: Iter) -> Int:
    """Where an iterator is, as programs in normal form write it."""
    return it.lo if it.extent.constant == 1 else Int.of(it)


def _sums(
    program: Program, definitions: list[Definition], exponential: Definition, position: Iter
) -> tuple[tuple[Definition, Reduce, Read], ...] | None:
    """Every reading of the exponentials, if all are sums over the position; else None."""
    found: list[tuple[Definition, Reduce, Read]] = []
    later: set[Tensor] = set()  # what depends on the exponentials
    for definition in program.definitions():
        reads = [n for n in postorder(definition.body) if isinstance(n, Read)]
        own = [r for r in reads if r.tensor is exponential.tensor]
        if own and definition not in definitions:
            return None
        if own:
            sums = [n for n in postorder(definition.body) if _sums_over(n, exponential, position)]
            inside = {f for n in sums for f in SUM_PRODUCT.factors(_reduce(n).body)}
            if len(sums) != len(own) or not inside.issuperset(own):
                return None
            if any(isinstance(f, Read) and f.tensor in later for n in sums for f in postorder(n)):
                return None
            found += [
                (
                    definition,
                    _reduce(n),
                    next(f for f in SUM_PRODUCT.factors(_reduce(n).body) if f in own),
                )
                for n in sums
            ]
        if own or any(r.tensor in later for r in reads):
            later.add(definition.tensor)
    return tuple(found)


def _sums_over(node: Expr, exponential: Definition, position: Iter) -> bool:
    if not isinstance(node, Reduce) or node.op != "sum" or len(node.iters) != 1:
        return False
    (it,) = node.iters
    axis = exponential.iters.index(position)
    return (it.lo, it.hi) == (position.lo, position.hi) and any(
        isinstance(f, Read)
        and f.tensor is exponential.tensor
        and f.index[axis] is Int.of(it)
        and it not in {a for n, i in enumerate(f.index) if n != axis for a in i.leaves()}
        for f in SUM_PRODUCT.factors(node.body)
    )


def _reduce(node: Expr) -> Reduce:
    assert isinstance(node, Reduce)
    return node


def _rewritten(program: Program, found: _Softmax) -> Program:
    taken = names_of(program)
    exponential, position = found.exponential, found.position
    dtype = exponential.tensor.dtype
    length = position.extent.constant
    size = next(n for n in range(min(BLOCK, length), 0, -1) if length % n == 0)
    block = fresh("block", 0, length // size, taken)
    inner = fresh(position.name, 0, size, taken)
    place = position.lo + Int.of(block) * size + inner
    rest = tuple(it for it in exponential.iters if it is not position)
    last = Int.of(block.hi - 1)

    def tensor(name: str, *iters: Iter) -> Tensor:
        axes = tuple((it.lo, it.hi) for it in iters)
        return Tensor(fresh_name(f"{exponential.tensor.name}_{name}", taken), dtype, axes)

    def at(made: Tensor, when: Int, *iters: Iter, otherwise: Expr | None = None) -> Read:
        return Read(made, (when, *map(Int.of, iters)), otherwise)

    now, before = Int.of(block), Int.of(block) - 1
    endless = Const(float("-inf"), dtype)
    values = _made_here(program, found, substitute(_values(exponential), {position: place}), taken)
    logits = tensor("logits", block, *rest, inner)
    greatest, base = tensor("max", block, *rest), tensor("base", block, *rest)
    scale, part = tensor("scale", block, *rest), tensor("part", block, *rest, inner)
    here, old = at(greatest, now, *rest), at(greatest, before, *rest, otherwise=endless)
    logit = at(logits, now, *rest, inner)
    shift = at(base, now, *rest)
    steps = [
        Definition(logits, (block, *rest, inner), values),
        Definition(
            greatest,
            (block, *rest),
            Apply("maximum", (old, Reduce("max", (inner,), logit)), dtype),
        ),
        Definition(
            base,
            (block, *rest),
            Apply("where", (Apply("eq", (here, endless), boolean), zero(here), here), dtype),
        ),
        Definition(
            scale, (block, *rest), Apply("exp", (Apply("sub", (old, shift), dtype),), dtype)
        ),
        Definition(
            part,
            (block, *rest, inner),
            Apply("exp", (Apply("sub", (logit, shift), dtype),), dtype),
        ),
    ]
    replacing: dict[Tensor, dict[Expr, Expr]] = {}
    for definition, node, read in found.sums:
        step = _accumulated(definition, node, read, found, block, inner, scale, part, taken)
        steps.append(step)
        replacing.setdefault(definition.tensor, {})[node] = at(step.tensor, last, *step.iters[1:])
    return _with_scan(program, found, Scan(block, tuple(steps)), replacing)


def _accumulated(
    definition: Definition,
    node: Reduce,
    read: Read,
    found: _Softmax,
    block: Iter,
    inner: Iter,
    scale: Tensor,
    part: Tensor,
    taken: set[str],
) -> Definition:
    """The running value of one sum."""
    (it,) = node.iters
    axis = found.exponential.iters.index(found.position)
    outer = tuple(i for n, i in enumerate(read.index) if n != axis)
    free = free_iters(node)
    iters = tuple(i for i in definition.iters if i in free)
    tensor = Tensor(
        fresh_name(f"{definition.tensor.name}_running", taken),
        node.dtype,
        ((block.lo, block.hi), *((i.lo, i.hi) for i in iters)),
    )
    now = Int.of(block)
    moved = {it: it.lo + Int.of(block) * inner.extent + inner}
    factors = [
        Read(part, (now, *outer, Int.of(inner))) if f is read else substitute(f, moved)
        for f in SUM_PRODUCT.factors(node.body)
    ]
    total = Reduce("sum", (inner,), SUM_PRODUCT.multiply(factors))
    old = Read(tensor, (now - 1, *map(Int.of, iters)), zero(node))
    scaled = Apply("mul", (old, Read(scale, (now, *outer))), node.dtype)
    body = Apply("add", (scaled, total), node.dtype)
    return Definition(tensor, (block, *iters), body)


def _values(exponential: Definition) -> Expr:
    body = exponential.body
    assert isinstance(body, Apply) and isinstance(body.args[0], Apply)
    return body.args[0].args[0]


def _made_here(program: Program, found: _Softmax, values: Expr, taken: set[str]) -> Expr:
    """What the softmax is of, made in place where nothing else reads it."""
    if not isinstance(values, Read):
        return values
    makers = [s for s in program.body if isinstance(s, Definition) and s.tensor is values.tensor]
    used = (found.maximum.tensor, found.exponential.tensor)
    readers = [
        d.tensor
        for d in program.definitions()
        if any(isinstance(n, Read) and n.tensor is values.tensor for n in postorder(d.body))
    ]
    if not makers or values.tensor in program.results or not set(readers) <= set(used):
        return values
    body = rename_bound(makers[0].body, frozenset(taken), taken)
    return substitute(body, dict(zip(makers[0].iters, values.index, strict=True)))


def _with_scan(
    program: Program, found: _Softmax, scan: Scan, replacing: dict[Tensor, dict[Expr, Expr]]
) -> Program:
    """The program with the scan in the place of the exponentials, and sums read from its end."""
    body: list[Statement] = []
    for statement in program.body:
        if statement is found.exponential:
            body.append(scan)
        elif isinstance(statement, Definition) and statement.tensor in replacing:
            known = replacing[statement.tensor]
            fresh_body = rewrite(statement.body, lambda n, known=known: known.get(n))  # type: ignore[misc]
            body.append(Definition(statement.tensor, statement.iters, fresh_body))
        else:
            body.append(statement)
    return with_body(program, tuple(body))
