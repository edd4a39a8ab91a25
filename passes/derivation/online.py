"""Online softmax: maximum, exponentials and their sums in one pass over blocks of positions.

    m[x] = max[t](L[x, t]); E[x, t] = exp(L[x, t] - m[x]); S[x, y] = sum[t](E[x, t] * g(t, y))

    scan[b]: n[b, x] = maximum((n[b-1, x] else -inf), max[i](L[x, B*b + i]))
             c[b, x] = exp((n[b-1, x] else -inf) - n'[b, x]),  p[b, i, x] = exp(L[x, B*b + i] - n'[b, x])
             a[b, x, y] = (a[b-1, x, y] else 0) * c[b, x] + sum[i](p[b, i, x] * g(B*b + i, y))
    S[x, y] = a[last, x, y]

where n' is n, but 0 where everything so far was -inf, and c is 1 where n stays as it was. Positions that fill no
block make one more step behind the scan. L is made block by block too, so that nothing of size |x| |t| remains
(M. Milakov, N. Gimelshein, arXiv 1805.02867; T. Dao et al., FlashAttention, NeurIPS 2022). Where L is a product
L[x, t] = sum[d](q(x, d) * k(t, d)), q is turned first, so that vectors run over rows x and t is broadcast: k is read
as it lies, and no row is summed across a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

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
from tcomp.passes.derivation.softmax import Softmax, softmaxes
from tcomp.passes.inline import zero
from tcomp.passes.scoping import (
    free_iters,
    fresh_name,
    iterator_names,
    names_of,
    plain_iter,
    rename_bound,
)
from tcomp.passes.semiring import SUM_PRODUCT

BLOCK = 128  # positions of a block
LEAST_ROWS = (
    16  # of a product, for vectors to run over: with fewer it is as fast to read all of a row twice
)


def one_pass(program: Program) -> Iterator[tuple[str, Program]]:
    """Every softmax of a program, made in one pass."""
    for found in softmaxes(program):
        made = _rewritten(program, found)
        if made is not None:
            yield found.exponential.tensor.name, made


def _rewritten(program: Program, found: Softmax) -> Program | None:
    taken = names_of(program)
    length = int(found.position.extent)
    size = min(BLOCK, -(-length // 2))
    count = length // size
    values = _made_here(program, found, taken)
    products = list(_products(found, values))
    if any(prod(int(it.extent) for it in each.rows) < LEAST_ROWS for each in products):
        return None
    before, values, rows = _turned(found, values, products, taken)
    maker = _Maker(found, values, rows, taken)
    block = fresh("block", 0, count, taken)
    inner = fresh(found.position.name, 0, size, taken)
    place = found.position.lo + Int.of(block) * size + inner
    made = maker.step(_Place(block, inner, place), None)
    statements: list[Statement] = [*before, Scan(block, tuple(made.definitions))]
    if length % size:
        rest = fresh(found.position.name, 0, length % size, taken)
        behind = _Place(None, rest, found.position.lo + count * size + rest)
        made = maker.step(behind, made)
        statements += made.definitions
    return _with(program, found, statements, made)


@dataclass(frozen=True, slots=True)
class _Place:
    """The positions of a step: of every block, or of the rest."""

    block: Iter | None
    inner: Iter
    position: Int

    @property
    def lead(self) -> tuple[Iter, ...]:
        """The iterators that all tensors of the step have first."""
        return () if self.block is None else (self.block,)


@dataclass(slots=True)
class _Made:
    """The definitions of a step, and where its results are."""

    place: _Place
    definitions: list[Definition] = field(default_factory=list)
    results: dict[object, Tensor] = field(default_factory=dict)

    def here(self, tensor: Tensor, *index: Iter | Int) -> Read:
        """What the step itself made."""
        return Read(tensor, tuple(Int.of(i) for i in (*self.place.lead, *index)))

    def after(self, tensor: Tensor, *index: Iter | Int) -> Read:
        """What the last step made."""
        last = () if self.place.block is None else (self.place.block.hi - 1,)
        return Read(tensor, tuple(Int.of(i) for i in (*last, *index)))


class _Maker:
    """Makes the definitions of steps."""

    def __init__(
        self, found: Softmax, values: Expr, rows: tuple[Iter, ...], taken: set[str]
    ) -> None:
        self.found, self.values, self.taken = found, values, taken
        self.batch = tuple(it for it in found.rest if it not in rows)
        self.rows = rows
        self.dtype = found.exponential.tensor.dtype

    def step(self, place: _Place, previous: _Made | None) -> _Made:
        """The step at a place, behind the `previous` one or, of a scan, behind itself."""
        made, dtype, rest = _Made(place), self.dtype, self.found.rest
        across = (*self.batch, place.inner, *self.rows)
        endless = Const(float("-inf"), dtype)
        logits = self._tensor(made, "logits", across)
        values = substitute(self.values, {self.found.position: place.position})
        made.definitions.append(Definition(logits, (*place.lead, *across), values))
        greatest = self._tensor(made, "max", rest)
        old = self._old(made, previous, "max", greatest, rest, endless)
        new = Reduce("max", (place.inner,), made.here(logits, *across))
        self._define(made, greatest, rest, Apply("maximum", (old, new), dtype))
        made.results["max"] = greatest
        here = made.here(greatest, *rest)
        base = self._tensor(made, "base", rest)
        nothing = Apply("eq", (here, endless), boolean)
        self._define(made, base, rest, Apply("where", (nothing, zero(here), here), dtype))
        shift = made.here(base, *rest)
        scale = self._tensor(made, "scale", rest)
        same = Apply("eq", (here, old), boolean)
        change = Apply("exp", (Apply("sub", (old, shift), dtype),), dtype)
        self._define(made, scale, rest, Apply("where", (same, Const(1.0, dtype), change), dtype))
        part = self._tensor(made, "part", across)
        difference = Apply("sub", (made.here(logits, *across), shift), dtype)
        self._define(made, part, across, Apply("exp", (difference,), dtype))
        for definition, node, read in self.found.sums:
            self._accumulate(made, previous, definition, node, read, scale, part)
        return made

    def _accumulate(
        self,
        made: _Made,
        previous: _Made | None,
        definition: Definition,
        node: Reduce,
        read: Read,
        scale: Tensor,
        part: Tensor,
    ) -> None:
        """The running value of one sum, by the names of the exponentials' rows where it has them."""
        (it,) = node.iters
        index = dict(zip(self.found.exponential.iters, read.index, strict=True))
        free = free_iters(node)
        named = self._names(definition, index)
        iters = tuple(named.get(i, i) for i in definition.iters if i in free)
        index = {a: i.sub({b: Int.of(c) for b, c in named.items()}) for a, i in index.items()}
        name = fresh_name(f"{definition.tensor.name}_running", self.taken)
        axes = tuple((i.lo, i.hi) for i in (*made.place.lead, *iters))
        tensor = Tensor(name, node.dtype, axes)
        moved = {b: Int.of(c) for b, c in named.items()}
        moved[it] = made.place.position + (it.lo - self.found.position.lo)
        across = [index[i] for i in self.batch]
        across += [Int.of(made.place.inner), *(index[i] for i in self.rows)]
        factors = [
            made.here(part, *across) if f is read else substitute(f, moved)
            for f in SUM_PRODUCT.factors(node.body)
        ]
        total = Reduce("sum", (made.place.inner,), SUM_PRODUCT.multiply(factors))
        old = self._old(made, previous, node, tensor, iters, zero(node))
        factor = made.here(scale, *(index[i] for i in self.found.rest))
        scaled = Apply("mul", (old, factor), node.dtype)
        self._define(made, tensor, iters, Apply("add", (scaled, total), node.dtype))
        made.results[node] = tensor

    def _names(self, definition: Definition, index: Mapping[Iter, Int]) -> dict[Iter, Iter]:
        """The rows that iterators of a sum's definition go with; none where a name would then be there twice."""
        found = {
            here: row for row, i in index.items() if (here := plain_iter(i)) in definition.iters
        }
        others = iterator_names(definition) - {it.name for it in found}
        return {} if others & {row.name for row in found.values()} else found

    def _tensor(self, made: _Made, name: str, iters: tuple[Iter, ...]) -> Tensor:
        full = fresh_name(f"{self.found.exponential.tensor.name}_{name}", self.taken)
        return Tensor(full, self.dtype, tuple((i.lo, i.hi) for i in (*made.place.lead, *iters)))

    @staticmethod
    def _define(made: _Made, tensor: Tensor, iters: tuple[Iter, ...], body: Expr) -> None:
        made.definitions.append(Definition(tensor, (*made.place.lead, *iters), body))

    @staticmethod
    def _old(
        made: _Made,
        previous: _Made | None,
        key: object,
        tensor: Tensor,
        iters: tuple[Iter, ...],
        start: Expr,
    ) -> Read:
        """What the step before made; `start` before the first."""
        if previous is not None:
            return previous.after(previous.results[key], *iters)
        assert made.place.block is not None
        before = Int.of(made.place.block) - 1
        return Read(tensor, (before, *map(Int.of, iters)), start)


@dataclass(frozen=True, slots=True)
class _Product:
    """A sum of products in the values of a softmax: factors of the row, and of the position too."""

    node: Reduce
    left: list[Expr]
    right: list[Expr]
    rows: tuple[Iter, ...]

    def free(self) -> frozenset[Iter]:
        """The iterators that the left side depends on."""
        return frozenset().union(*map(free_iters, self.left))


def _products(found: Softmax, values: Expr) -> Iterator[_Product]:
    """The sums of products of rows and positions."""
    for node in postorder(values):
        if not isinstance(node, Reduce) or node.op != "sum":
            continue
        factors = SUM_PRODUCT.factors(node.body)
        left = [f for f in factors if found.position not in free_iters(f)]
        right = [f for f in factors if found.position in free_iters(f)]
        in_left, in_right = (frozenset().union(*map(free_iters, side)) for side in (left, right))
        rows = tuple(it for it in found.rest if it in in_left - in_right)
        if left and right:
            yield _Product(node, left, right, rows)


def _turned(
    found: Softmax, values: Expr, products: list[_Product], taken: set[str]
) -> tuple[list[Definition], Expr, tuple[Iter, ...]]:
    """Of values that are a product of rows and positions: what turns its left side, the values over that, and
    the rows. A constant scale goes to the left side."""
    if not products:
        return [], values, ()
    product = products[0]
    node, rows, free = product.node, product.rows, product.free()
    around = tuple(it for it in found.rest if it in free and it not in rows)
    iters = (*around, *(it for it in node.iters if it in free), *rows)
    whole, scale = _scaled(values, node)
    name = fresh_name(f"{found.exponential.tensor.name}_rows", taken)
    tensor = Tensor(name, node.dtype, tuple((it.lo, it.hi) for it in iters))
    turned = Definition(tensor, iters, SUM_PRODUCT.multiply([*product.left, *scale]))
    read = Read(tensor, tuple(map(Int.of, iters)))
    total = Reduce("sum", node.iters, SUM_PRODUCT.multiply([read, *product.right]))
    return [turned], rewrite(values, lambda n: total if n is whole else None), rows


def _scaled(values: Expr, node: Reduce) -> tuple[Expr, list[Expr]]:
    """What stands for a sum times a constant, and the constant; the sum alone where there is none."""
    for parent in postorder(values):
        if isinstance(parent, Apply) and parent.op == "mul" and node in parent.args:
            others = [a for a in parent.args if a is not node]
            if len(others) == 1 and isinstance(others[0], Const):
                return parent, others
    return node, []


def _made_here(program: Program, found: Softmax, taken: set[str]) -> Expr:
    """What the softmax is of, made in place where nothing else reads it."""
    values = found.values
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


def _with(program: Program, found: Softmax, statements: list[Statement], made: _Made) -> Program:
    """The program with the steps in the place of the exponentials, and sums read from their end."""
    replacing: dict[Tensor, dict[Expr, Expr]] = {}
    for definition, node, _ in found.sums:
        free = free_iters(node)
        iters = (i for i in definition.iters if i in free)
        read = made.after(made.results[node], *iters)
        replacing.setdefault(definition.tensor, {})[node] = read
    body: list[Statement] = []
    for statement in program.body:
        if statement is found.exponential:
            body += statements
        elif isinstance(statement, Definition) and statement.tensor in replacing:
            known: Mapping[Expr, Expr] = replacing[statement.tensor]
            fresh_body = rewrite(statement.body, lambda n, known=known: known.get(n))  # type: ignore[misc]
            body.append(Definition(statement.tensor, statement.iters, fresh_body))
        else:
            body.append(statement)
    return with_body(program, tuple(body))
