"""Variable splitting: one iterator becomes quotient and remainder by a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from math import gcd

from tcomp.ir.integer import FloorDiv, Int, Iter, Mod
from tcomp.ir.tensor.nodes import (
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Tensor,
    postorder,
    substitute,
)
from tcomp.passes.contraction_order import factors_of
from tcomp.passes.derivation.algebra import multiply
from tcomp.passes.derivation.index.reindex import (
    depends_on_data,
    divisors,
    fresh,
    indices,
    on_definitions,
    placed,
    reindexed,
    spans,
    summed,
    where,
)
from tcomp.passes.derivation.index.residues import less
from tcomp.passes.derivation.index.staging import slides
from tcomp.passes.inline import guarded
from tcomp.passes.lift import has_product_sum, is_product_sum
from tcomp.passes.scoping import free_iters, fresh_name, names_of
from tcomp.passes.semiring import semiring_of
from tcomp.passes.simplify import simplify, simplify_expression

MAX_TAPS = 16  # iterators of sums that are split for their own sake are windows,
FEWEST_ROWS, MOST_ROWS = 8, 128  # of a dense block of a band
FEW = (3, 2)  # and these are the windows for which there are fast algorithms


def split_output(definition: Definition, taken: set[str]) -> Iterator[tuple[Definition, ...]]:
    """T[y] = f(y)  =  U[q, p] = f(m*q + p - e);  T[y] = U[(y + e) // m, (y + e) % m].

    By the constants m that the body divides by, and by the dilations of what it slides over, at all
    iterators for which there are such. Each residue follows its quotient, so that T is a view of U, or where
    U has more points a part of one; but residues of dilations come first, because what slides over them
    (`winograd.py`) makes several tensors in the order of U.
    """
    if not any(map(summed, postorder(definition.body))):
        return
    moduli = {it: found for it in definition.iters if (found := _moduli(definition, it))}
    for choice in product(*moduli.values()):
        if choice:
            split = {
                it: _Split(m, _offset(definition, it, m), m in divisors(definition.body, it))
                for it, m in zip(moduli, choice, strict=True)
            }
            made = _split(definition, split, set(taken))
            if made is not None:
                yield made


@dataclass(frozen=True, slots=True)
class _Split:
    """An iterator plus `offset`, by `modulus`; its residue stands where T is `viewed`."""

    modulus: int
    offset: int
    viewed: bool

    def quotients(self, it: Iter) -> tuple[int, int]:
        """Their range."""
        low, last = it.lo.constant + self.offset, it.hi.constant + self.offset - 1
        return low // self.modulus, last // self.modulus + 1


def _offset(definition: Definition, it: Iter, modulus: int) -> int:
    """What the body adds before it divides, where residues do not come out plain without it: (y + 1) % 3 is p
    for y = 3*q + p - 1, but neither for 3*q + p nor evenly along p."""
    found = {0}
    for index in indices(definition.body):
        for atom in index.atoms():
            if not isinstance(atom, FloorDiv | Mod) or modulus == 2:
                continue
            if atom.right is Int.of(modulus) and atom.left.coefficient(it) == 1:
                found.add((atom.left - it).constant % modulus)
    return max(found) if len(found) <= 2 else 0


def split_outputs(program: Program) -> Iterator[tuple[str, Program]]:
    """`split_output` everywhere: at one definition, and with the products that then read residues.

    Those are split alike, so that the rearrangements between them cancel and only the first and the last
    one of a chain are left.
    """
    for tensor, made in on_definitions(split_output)(program):
        yield tensor, made
        joint = _with_readers(made, {d.tensor for d in program.definitions()})
        if joint is not None:
            yield tensor, joint


def _with_readers(program: Program, known: set[Tensor]) -> Program | None:
    """The program with readers of new tensors split by the divisors of their positions; None for none."""
    result: Program | None = None
    current = simplify(program)
    while (further := _next_reader(current, known)) is not None:
        result = current = simplify(further)
    return result


def _next_reader(program: Program, known: set[Tensor]) -> Program | None:
    for position, statement in enumerate(program.body):
        if isinstance(statement, Scan) or statement.tensor not in known:
            continue
        nodes = postorder(statement.body)
        if not any(map(is_product_sum, nodes)) or depends_on_data(statement.body):
            continue
        if all(n.tensor in known for n in nodes if isinstance(n, Read)):
            continue
        moduli = {it: found for it in statement.iters if (found := divisors(statement.body, it))}
        if moduli and all(len(found) == 1 for found in moduli.values()):
            taken = names_of(program)
            last = statement.tensor in program.results
            split = {it: _Split(m, _offset(statement, it, m), last) for it, (m,) in moduli.items()}
            made = _split(statement, split, taken)
            return None if made is None else placed(program, position, made)
    return None


def _split(
    definition: Definition, split: dict[Iter, _Split], taken: set[str]
) -> tuple[Definition, ...] | None:
    iters: list[Iter] = []
    first: list[Iter] = []
    backward: dict[Iter, Int] = {}  # over the points of `wide`
    forward: dict[Iter, Int] = {}
    wide: list[Iter] = []
    for it in definition.iters:
        if it not in split:
            iters.append(it)
            wide.append(it)
            backward[it] = Int.of(it)
            continue
        modulus, offset = split[it].modulus, split[it].offset
        low, high = split[it].quotients(it)
        quotient, residue = fresh(it.name, low, high, taken), fresh(it.name, 0, modulus, taken)
        iters.append(quotient)
        (iters if split[it].viewed else first).append(residue)
        wide.append(fresh(it.name, low * modulus, high * modulus, taken))
        backward |= {quotient: Int.of(wide[-1]) // modulus, residue: Int.of(wide[-1]) % modulus}
        forward[it] = Int.of(quotient) * modulus + residue - offset
    here = {
        w: Int.of(it) + split[it].offset
        for it, w in zip(definition.iters, wide, strict=True)
        if it in split
    }
    onto = all((it.lo, it.hi) == (w.lo, w.hi) for it, w in zip(definition.iters, wide, strict=True))
    iters = [*first, *iters]
    back_at = tuple(backward[it].sub(here if onto else {}) for it in iters)
    made = reindexed(definition, tuple(iters), forward, back_at, taken, onto=onto)
    if made is None or onto:
        return made
    parts, back = made
    padded = Tensor(
        fresh_name(definition.tensor.name, taken),
        definition.tensor.dtype,
        tuple((w.lo, w.hi) for w in wide),
    )
    cut = Read(padded, tuple(here.get(w, Int.of(w)) for w in wide))
    return (
        parts,
        Definition(padded, tuple(wide), back.body),
        Definition(definition.tensor, definition.iters, cut),
    )


def _moduli(definition: Definition, it: Iter) -> list[int]:
    steps = {*divisors(definition.body, it), *_dilations(definition, it)} - {0, 1}
    return sorted(m for m in steps or _blocks(definition, it) if m < spans(it))


def _blocks(definition: Definition, it: Iter) -> set[int]:
    """The size of blocks in which a band is made of dense products.

    A band is a product whose factors all move with `it`, and one of them with another iterator w alike: an
    output iterator (queries times keys), or a summed one (weights of a band times values). A block of n rows
    then needs n + |w| - 1 columns where |w| count.
    """
    sums = [n for n in postorder(definition.body) if isinstance(n, Reduce) and is_product_sum(n)]
    if len(sums) != 1 or not all(it in free_iters(f) for f in factors_of(sums[0].body)):
        return set()
    widths = [
        spans(w)
        for index in indices(sums[0].body)
        for w in (*definition.iters, *sums[0].iters)
        if w is not it and index.coefficient(it)
        if abs(index.coefficient(w) or 0) == abs(index.coefficient(it) or 0)
    ]
    rows = min(MOST_ROWS, min(widths, default=0) // 2)
    return {1 << rows.bit_length() - 1} if rows >= FEWEST_ROWS else set()


def _dilations(definition: Definition, it: Iter) -> set[int]:
    """Steps with which something slides along `it`: the taps of a window, or the offsets of a band.

    Only one dilation of a position is one of `it`: of n + 3*r + 6*s it is 3.
    """
    if not has_product_sum(definition.body):
        return set()
    found: set[int] = set()
    for index in indices(definition.body):
        if index.coefficient(it) == 1:
            steps = [index.coefficient(other) for other in index.leaves() if other is not it]
            found.add(gcd(*(step for step in steps if step)))
    return found


def split_summed(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r in 0:m*n](f(r))  =  sum[q in 0:n, p in 0:m](f(m*q + p)), for all taps of a window at once."""
    if not isinstance(node, Reduce) or not summed(node) or not is_product_sum(node):
        return
    for modulus in FEW:
        taps = _taps(node, modulus)
        if not taps or any(spans(it) % modulus for it in taps):
            continue
        quotients = {it: fresh(it.name, 0, spans(it) // modulus, taken) for it in taps}
        residues = {it: fresh(it.name, 0, modulus, taken) for it in taps}
        values = {it: it.lo + Int.of(quotients[it]) * modulus + residues[it] for it in taps}
        iters = [
            i for it in node.iters for i in ((quotients[it], residues[it]) if it in taps else (it,))
        ]
        yield Reduce("sum", tuple(iters), substitute(node.body, values))


def _taps(node: Reduce, modulus: int) -> list[Iter]:
    """The iterators of windows that are wider than `modulus` and narrow enough to be cut."""
    return [it for it in node.iters if modulus < spans(it) <= MAX_TAPS and slides(node, it)]


def relax(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[r in 0:n](f(r) * g(r))  =  sum[r in 0:m](f(r) * g'(r)), m > n the next multiple of 2 or 3.

    For all taps of a window at once. g' is g inside the old range and 0 outside: the factor that depends
    on fewest iterators, which are the weights. The others stay as they are, so that what slides still does.
    """
    if not isinstance(node, Reduce) or not summed(node) or depends_on_data(node.body):
        return
    if not is_product_sum(node):
        return
    for multiple in FEW:
        wide = {
            it: Iter(it.name, it.lo, it.lo + -(-spans(it) // multiple) * multiple)
            for it in _taps(node, multiple)
            if not any(spans(it) % m == 0 for m in FEW)
        }
        if wide:
            iters = tuple(wide.get(it, it) for it in node.iters)
            yield Reduce("sum", iters, multiply(_relaxed(factors_of(node.body), wide)))


def _relaxed(factors: tuple[Expr, ...], wide: dict[Iter, Iter]) -> list[Expr]:
    """The factors over wider ranges, one of them 0 outside each old range."""
    made = [guarded(substitute(f, {a: Int.of(b) for a, b in wide.items()})) for f in factors]
    for old, new in wide.items():
        moving = [n for n, f in enumerate(factors) if old in free_iters(f)]
        weights = min(moving, key=lambda n: len(free_iters(factors[n])))
        made[weights] = simplify_expression(where(less(Int.of(new), old.hi), made[weights]))
    return made


def merge_summed(node: Expr, taken: set[str]) -> Iterator[Expr]:
    """sum[q in 0:n, p in 0:m](f(m*q + p))  =  sum[r in 0:m*n](f(r)), where nothing else knows q or p.

    Windows are split on purpose: their taps stay apart.
    """
    if semiring_of(node) is None or not isinstance(node, Reduce):
        return
    for q, p in permutations(node.iters, 2):
        m = spans(p)
        if m < 2 or spans(q) < 2 or slides(node, q):
            continue
        r = fresh(q.name, q.lo * m + p.lo, (q.hi - 1) * m + p.hi, set(taken))
        body = substitute(node.body, {p: Int.of(r) - Int.of(q) * m})
        if not {p, q} & free_iters(body):
            rest = tuple(it for it in node.iters if it not in (p, q))
            yield Reduce(node.op, (*rest, r), body)
            return
