"""Products with narrow weights in blocks: `sum[k](x[k] * value(code[k]) * scale[k // 32])`.

    Y[i, j] = sum[k](X[i, k] * (W[j, k] - 8) * S[j, k//32])            W: u4, a scale for each block of 32
    Y[i, j] = sum[b](S[j, b] * sum[k](X[i, 32*b + k] * (W[j, 32*b + k] - 8)))      the same, scaled by block

The codes stay as they are until registers hold them: decoded into memory those of four bits would be eight
times the bytes. Whatever else the factor is made of (scales, zero points) is the same for all positions within
a block. Elements of any type are codes of their own, but with four bits eight of them share a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from math import gcd

from tcomp.ir.dtypes import f32
from tcomp.ir.integer import FloorDiv, Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Const,
    Definition,
    Expr,
    Read,
    Reduce,
    postorder,
    rewrite,
    substitute,
)
from tcomp.schedule.contraction.match import Contraction, extent, match, product_factors
from tcomp.schedule.contraction.narrow import value_range

CODES = 16
PER_WORD = 8  # codes in an i32
_NARROW = 16  # bits of elements that tiles widen
_LEAST_BLOCK = PER_WORD
_FEW_ROWS = 64  # above, elements of more than four bits are better scaled once and for all


@dataclass(frozen=True, slots=True)
class CodedContraction(Contraction):
    """A contraction whose right factor is `value`, an expression of `code` and of `constants`, expressions
    that are the same within a block. Of the codes `per_word` are in a word: eight integers below 16, or one of
    another type.

    `inner` is `blocks`, then `within`. `scale` is the product of the factors that are the same in a block
    (None is 1). In a `nested` one a block's sum is multiplied by it, as the program says; else a schedule may
    do so too: that leaves out one rounding of each product.
    """

    blocks: tuple[Iter, ...]
    within: tuple[Iter, ...]
    code: Expr
    per_word: int
    value: Expr
    constants: tuple[Expr, ...]
    scale: Expr | None
    nested: bool

    @property
    def block(self) -> int:
        """Inner positions of a block."""
        return extent(self.within)


def match_coded(definition: Definition) -> CodedContraction | None:
    """The definition as a product with codes, or None."""
    nested = _without_nesting(definition)
    product = match(nested or definition)
    if product is None or product.total.dtype is not f32:
        return None
    if nested is None:
        product = _split_by_block(product)
    return _coded(product, nested is not None)


def _without_nesting(definition: Definition) -> Definition | None:
    """`sum[b](s * sum[k](...))` as one sum over b and k; None where no sum is inside another."""
    sums = [n for n in postorder(definition.body) if isinstance(n, Reduce)]
    if len(sums) != 2 or any(s.op != "sum" for s in sums):
        return None
    inner, outer = sums
    factors = product_factors(outer.body)
    if inner not in factors or inner.dtype is not f32:
        return None
    body = inner.body
    for factor in factors:
        if factor is not inner:
            body = Apply("mul", (body, factor), f32)
    whole = Reduce("sum", (*outer.iters, *inner.iters), body)
    flat = rewrite(definition.body, lambda n: whole if n is outer else None)
    return Definition(definition.tensor, definition.iters, flat)


def _split_by_block(product: Contraction) -> Contraction:
    """With an only inner iterator k that is divided in some position (a scale's, by 32) as two iterators:
    of blocks, and within one."""
    if len(product.inner) != 1:
        return product
    (k,) = product.inner
    sizes = [
        int(atom.right)
        for node in postorder(product.right)
        if isinstance(node, Read)
        for index in node.index
        for atom in index.atoms()
        if isinstance(atom, FloorDiv) and atom.left is Int.of(k) and atom.right.is_constant
    ]
    size = gcd(*(s for s in sizes if s >= _LEAST_BLOCK))
    if size < _LEAST_BLOCK or int(k.extent) % size or k.lo is not Int.of(0):
        return product
    block = Iter(f"{k.name}_block", Int.of(0), Int.of(int(k.extent) // size))
    within = Iter(f"{k.name}_within", Int.of(0), Int.of(size))
    place = {k: Int.of(block) * size + Int.of(within)}
    return replace(
        product,
        left=substitute(product.left, place),
        right=substitute(product.right, place),
        inner=(block, within),
    )


def _coded(product: Contraction, nested: bool) -> CodedContraction | None:
    inner = frozenset(product.inner)
    factors = product_factors(product.right)
    small = [(c, PER_WORD) for f in factors for c in _codes(f)]
    reads = (n for f in factors for n in postorder(f) if isinstance(n, Read))
    whole = [(n, 1) for n in reads if n.dtype.bits <= _NARROW]
    few = nested or extent(product.rows) <= _FEW_ROWS
    for code, per_word in dict.fromkeys([*small, *(whole if few else [])]):
        coded = [f for f in factors if code in postorder(f)]
        others = [f for f in factors if f not in coded]
        value = coded[0]
        if len(coded) != 1 or not value.dtype.is_float:
            continue
        constants = tuple(_constants(value, code))
        fixed = inner & {a for e in (*others, *constants) for a in e.free_atoms()}
        within = tuple(it for it in product.inner if it not in fixed)
        if extent(within) < _LEAST_BLOCK or not code.free_atoms() & frozenset(within):
            continue
        if per_word == 1 and not others and not constants:
            continue  # nothing is shared by a block
        blocks = tuple(it for it in product.inner if it in fixed)
        kept = {f.name: getattr(product, f.name) for f in fields(Contraction)}
        kept |= {"inner": (*blocks, *within)}
        return CodedContraction(
            **kept, blocks=blocks, within=within, code=code, per_word=per_word, value=value,
            constants=constants, scale=_multiplied(others), nested=nested,
        )  # fmt: skip
    return None


def _codes(factor: Expr) -> Iterator[Expr]:
    """Innermost expressions of data whose values are all below 16."""
    seen: set[Expr] = set()
    for node in postorder(factor):
        if not isinstance(node, Apply) or not node.dtype.is_integer:
            continue
        below = postorder(node)
        if seen.intersection(below) or not any(isinstance(n, Read) for n in below):
            continue
        low, high = value_range(node)
        if low >= 0 and high < CODES:
            seen.add(node)
            yield node


def _constants(value: Expr, code: Expr) -> Iterator[Expr]:
    """The largest sub-expressions without the code that are no literals."""
    stack, seen = [value], set[Expr]()
    while stack:
        node = stack.pop()
        if node is code or node in seen or isinstance(node, Const):
            continue
        seen.add(node)
        below = postorder(node)
        if code in below:
            stack.extend(node.children())
        elif any(not isinstance(n, Const | Apply) for n in below):
            yield node


def _multiplied(factors: list[Expr]) -> Expr | None:
    if not factors:
        return None
    result = factors[0]
    for factor in factors[1:]:
        result = Apply("mul", (result, factor), f32)
    return result
