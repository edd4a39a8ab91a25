"""What depends on bound constants alone is computed once, before any call.

Y[i, j] = sum[k](X[i, k] * (W[k, j] * s[j]))      once: V[k, j] = W[k, j] * s[j]
                                                 call: Y[i, j] = sum[k](X[i, k] * V[k, j])
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from tcomp.ir.integer import Int, Iter
from tcomp.ir.tensor.nodes import (
    Apply,
    Definition,
    Expr,
    Program,
    Read,
    Reduce,
    Scan,
    Statement,
    Tensor,
    postorder,
    tensors_read,
)
from tcomp.passes.inline import drop_unread
from tcomp.passes.scoping import free_iters, fresh_name, index_iters, names_of

# A folded tensor may have this many times the bytes of what it is made from: as many as the 36 points of a
# 3 x 3 filter in F(4, 3). Elements that only change (their type, by a factor) may not grow at all, because every
# call would read more memory; unless what is made stays in L1 anyway.
GROWTH = 4.0
SMALL_BYTES = 16 << 10


def split_constants(program: Program, constants: Collection[str]) -> tuple[Program | None, Program]:
    """Divides a bound program into what its constants decide and the rest.

    `constants` names inputs whose values are bound. Gives the program that is run once (None where
    nothing is decided), whose results are inputs of the other; and the program of every call, whose
    inputs are the free ones in their order, then the constants and folded tensors that it reads.
    """
    bound = {t for t in program.inputs if t.name in constants}
    folded: list[Definition] = []
    known = set(bound)
    taken = names_of(program)
    rest: list[Statement] = []
    for statement in program.body:
        if isinstance(statement, Scan):
            rest.append(statement)
            continue
        if statement.tensor not in program.results and _foldable(statement, known):
            folded.append(statement)
            known.add(statement.tensor)
            continue
        parts, remaining = _extracted(statement, known, taken)
        folded.extend(parts)
        known |= {p.tensor for p in parts}
        rest.append(remaining)
    free = tuple(t for t in program.inputs if t not in bound)
    main = Program(program.name, (), free, program.results, tuple(rest), spans=program.spans)
    read = _read_tensors(main)
    kept = (*program.inputs, *(d.tensor for d in folded))
    inputs = (*free, *(t for t in kept if t in read and t in known))
    main = Program(program.name, (), inputs, program.results, tuple(rest), spans=program.spans)
    wanted = tuple(d.tensor for d in folded if d.tensor in read)
    if not wanted:
        return None, main
    once = Program(
        f"{program.name}_constants",
        (),
        tuple(t for t in program.inputs if t in bound),
        wanted,
        tuple(folded),
    )
    return drop_unread(once), main


def _foldable(definition: Definition, known: set[Tensor]) -> bool:
    reads = tensors_read(definition.body)
    return bool(reads) and reads <= known and _affordable(definition.body, definition.iters, reads)


def _extracted(
    definition: Definition, known: set[Tensor], taken: set[str]
) -> tuple[list[Definition], Definition]:
    """Largest sub-expressions that only read known tensors, as definitions over their iterators."""
    if tensors_read(definition.body).isdisjoint(known):
        return [], definition
    parts: dict[Expr, Definition] = {}
    done: dict[Expr, Expr] = {}
    stack: list[tuple[Expr, bool]] = [(definition.body, False)]
    order = _all_iters(definition)
    while stack:
        node, visited = stack.pop()
        if node in done:
            continue
        if not visited:
            part = _part(node, known, definition, taken, order)
            if part is not None:
                parts[node] = part
                done[node] = Read(part.tensor, tuple(Int.of(it) for it in part.iters))
                continue
            stack.append((node, True))
            stack.extend((child, False) for child in node.children())
        else:
            done[node] = node.rebuild(tuple(done[c] for c in node.children()))
    body = done[definition.body]
    return list(parts.values()), Definition(definition.tensor, definition.iters, body)


def _part(
    node: Expr, known: set[Tensor], definition: Definition, taken: set[str], order: set[Iter]
) -> Definition | None:
    if not isinstance(node, Apply | Reduce) or (isinstance(node, Apply) and node.op == "cast"):
        return None
    reads = tensors_read(node)
    if not reads or not reads <= known:
        return None
    iters = _as_read(node)
    if any(it not in order for it in iters) or not _affordable(node, iters, reads):
        return None
    axes = tuple((it.lo, it.hi) for it in iters)
    tensor = Tensor(fresh_name(f"{definition.tensor.name}_constant", taken), node.dtype, axes)
    return Definition(tensor, iters, node)


def _as_read(node: Expr) -> tuple[Iter, ...]:
    """The iterators of an expression in the order in which its largest read has them: its layout stays."""
    reads = [n for n in postorder(node) if isinstance(n, Read)]
    largest = sorted(reads, key=lambda r: -len(index_iters(r.index)))
    found = [it for r in largest for i in r.index for it in sorted(index_iters((i,)), key=str)]
    free = free_iters(node)
    rest = sorted(free - set(found), key=str)
    return tuple(dict.fromkeys(it for it in (*found, *rest) if it in free))


def _all_iters(definition: Definition) -> set[Iter]:
    found = set(definition.iters)
    for node in postorder(definition.body):
        if isinstance(node, Reduce):
            found |= set(node.iters)
    return found


def _affordable(value: Expr, iters: tuple[Iter, ...], reads: frozenset[Tensor]) -> bool:
    """Whether a folded tensor is not too large beside the tensors that it is made from."""
    points = prod(it.extent.constant for it in iters)
    elements = {t: prod(extent.constant for extent in t.shape) for t in reads}
    made = points * value.dtype.bits
    read = sum(count * t.dtype.bits for t, count in elements.items())
    if made <= read or made <= 8 * SMALL_BYTES:
        return True
    return points > sum(elements.values()) and made <= GROWTH * read


def _read_tensors(program: Program) -> set[Tensor]:
    return {t for d in program.definitions() for t in tensors_read(d.body)}
