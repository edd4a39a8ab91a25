"""What a program contains, by name: the histogram that a long run ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tcomp.ir.integer import FloorDiv, Int, Mod, Value
from tcomp.ir.tensor.nodes import Apply, Expr, Program, Read, Reduce, Scan, postorder


def contents(program: Program) -> Counter[str]:
    """How many programs (this one) contain each kind of thing: 0 or 1 for each name."""
    return Counter(set(_names(program)))


def show(counted: Counter[str], programs: int) -> Iterator[str]:
    """Lines of a table, grouped by what comes before the first space."""
    groups: dict[str, list[str]] = {}
    for name, number in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        kind, _, rest = name.partition(" ")
        groups.setdefault(kind, []).append(f"{rest} {number}")
    yield f"of {programs} programs contain"
    for kind, parts in sorted(groups.items()):
        yield f"  {kind}: {', '.join(parts)}"


def _names(program: Program) -> Iterator[str]:
    yield f"definitions {len(tuple(program.definitions()))}"
    yield f"results {len(program.results)}"
    for tensor in program.inputs:
        yield f"input-type {tensor.dtype}"
    for statement in program.body:
        if isinstance(statement, Scan):
            yield "scan block" if len(statement.definitions) > 1 else "scan single"
    for definition in program.definitions():
        tensor = definition.tensor
        yield f"rank {tensor.rank}"
        yield f"type {tensor.dtype}"
        extents = [int(n) for n in tensor.shape]
        if 0 in extents:
            yield "extent empty"
        if 1 in extents:
            yield "extent one"
        if any(int(lo) for lo, _ in tensor.axes):
            yield "range shifted"
        yield from _expressions(postorder(definition.body))


def _expressions(nodes: Iterable[Expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Apply):
            yield f"operation {node.op}"
        elif isinstance(node, Reduce):
            yield f"reduction {node.op}"
        elif isinstance(node, Read):
            if node.otherwise is not None:
                yield "read guarded"
            for index in node.index:
                yield from _index(index)


def _index(index: Int) -> Iterator[str]:
    for monomial, factor in index.terms:
        for atom in monomial:
            if isinstance(atom, Value):
                yield "read gather"
            elif isinstance(atom, FloorDiv):
                yield "index quotient"
            elif isinstance(atom, Mod):
                yield "index remainder"
        if factor not in (1, -1):
            yield "index strided"
        elif factor == -1:
            yield "index reversed"
    if len(index.terms) > 1:
        yield "index sum"
