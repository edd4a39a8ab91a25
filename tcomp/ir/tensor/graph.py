"""Views of a program as graphs: who makes and who reads each tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from tcomp.diagnostics import InternalError
from tcomp.ir.tensor.nodes import Definition, Program, Read, Scan, Statement, Tensor, postorder

if TYPE_CHECKING:
    import networkx

    TensorGraph: TypeAlias = networkx.DiGraph[Tensor]
else:
    TensorGraph: TypeAlias = Any


def dependence_graph(program: Program) -> TensorGraph:
    """An edge from each tensor to every tensor whose definition reads it.

    Nodes have `kind` ("input", "result" or "local"), `definition` (None for inputs) and `scan` (the
    statement, or None); edges have `reads`, the number of distinct reads. A scan makes cycles.
    """
    import networkx

    graph: TensorGraph = networkx.DiGraph()
    for tensor in program.inputs:
        graph.add_node(tensor, kind="input", definition=None, scan=None)
    for statement in program.body:
        for definition in definitions_of(statement):
            tensor = definition.tensor
            kind = "result" if tensor in program.results else "local"
            scan = statement if isinstance(statement, Scan) else None
            graph.add_node(tensor, kind=kind, definition=definition, scan=scan)
            for source, reads in reads_of(definition).items():
                graph.add_edge(source, tensor, reads=len(reads))
    return graph


def users(program: Program) -> dict[Tensor, tuple[Definition, ...]]:
    """The definitions that read each tensor, in textual order; an empty tuple where none does."""
    found: dict[Tensor, list[Definition]] = {t: [] for t in program.inputs}
    found.update({d.tensor: [] for d in program.definitions()})
    for definition in program.definitions():
        for tensor in reads_of(definition):
            found[tensor].append(definition)
    return {tensor: tuple(readers) for tensor, readers in found.items()}


def topological_order(program: Program) -> tuple[Statement, ...]:
    """The statements in an order of dependence that keeps textual order where it can.

    Raises InternalError where statements depend on each other in a circle.
    """
    makers = {d.tensor: s for s in program.body for d in definitions_of(s)}
    waiting = list(program.body)
    done: set[int] = set()
    order: list[Statement] = []
    while waiting:
        ready = next((s for s in waiting if _needs(s, makers) <= done), None)
        if ready is None:
            raise InternalError("statements depend on each other in a circle", code="TC099")
        waiting.remove(ready)
        done.add(id(ready))
        order.append(ready)
    return tuple(order)


def live(program: Program) -> Program:
    """The program without statements that no result needs."""
    makers = {d.tensor: s for s in program.body for d in definitions_of(s)}
    needed: set[int] = set()
    pending = [makers[t] for t in program.results if t in makers]
    while pending:
        statement = pending.pop()
        if id(statement) not in needed:
            needed.add(id(statement))
            for definition in definitions_of(statement):
                pending += [makers[t] for t in reads_of(definition) if t in makers]
    body = tuple(s for s in program.body if id(s) in needed)
    return Program(
        program.name,
        program.sizes,
        program.inputs,
        program.results,
        body,
        program.constraints,
        program.spans,
    )


def reads_of(definition: Definition) -> dict[Tensor, tuple[Read, ...]]:
    """The distinct reads of a definition, those inside indices included, by tensor."""
    found: dict[Tensor, list[Read]] = {}
    for node in postorder(definition.body):
        if isinstance(node, Read):
            found.setdefault(node.tensor, []).append(node)
    return {tensor: tuple(reads) for tensor, reads in found.items()}


def definitions_of(statement: Statement) -> tuple[Definition, ...]:
    """The definitions of a statement: those of a scan, or the definition itself."""
    return statement.definitions if isinstance(statement, Scan) else (statement,)


def _needs(statement: Statement, makers: dict[Tensor, Statement]) -> set[int]:
    def sources() -> Iterator[Tensor]:
        for definition in definitions_of(statement):
            yield from reads_of(definition)

    return {id(makers[t]) for t in sources() if t in makers} - {id(statement)}
