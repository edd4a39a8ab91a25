"""Groups that are one contraction: their trace, and its replay."""

from __future__ import annotations

from dataclasses import asdict, fields

from tcomp.diagnostics import InternalError
from tcomp.ir.loop.nodes import Space, Stmt
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Expr, IndexValue, Read, postorder
from tcomp.schedule.contraction.blocking import Blocking, choose
from tcomp.schedule.contraction.dimensions import Scope
from tcomp.schedule.contraction.geometry import survey
from tcomp.schedule.contraction.match import Contraction, match
from tcomp.schedule.contraction.nest import tile_nest
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.storage import Storage, dense
from tcomp.schedule.trace import Trace, trace
from tcomp.target import Target

KIND = "contraction"


def match_group(group: Group) -> Contraction | None:
    """The contraction that a group is, if register tiles pay for it."""
    if len(group.members) != 1 or group.shared:
        return None
    contraction = match(group.members[0])
    if contraction is None or not has_even_epilogue(contraction):
        return None
    return contraction if worthwhile(contraction) else None


def has_even_epilogue(contraction: Contraction) -> bool:
    """Whether what stands around the sum steps evenly along the last column, as vectors do.

    `sum[k](A[i, k] * B[k, j]) + b[j//4]` does not, nor a gather by `ids[j]`: the general nest makes those.
    """
    column = contraction.columns[-1]
    pending: list[Expr] = [contraction.definition.body]
    seen: set[Expr] = {contraction.total}
    while pending:
        node = pending.pop()
        if node is contraction.total:
            continue
        index = node.index if isinstance(node, Read) else ()
        index = (node.index,) if isinstance(node, IndexValue) else index
        if any(each.coefficient(column) is None for each in index):
            return False
        fresh = [child for child in node.children() if child not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    return True


def worthwhile(contraction: Contraction) -> bool:
    """Whether register tiles pay: both operands are used several times, and there is something to sum."""
    return (
        contraction.reuse_of_left >= 4
        and contraction.reuse_of_right >= 2
        and contraction.multiplications >= 256
    )


def analytical_trace(contraction: Contraction, target: Target, threads: int) -> Trace:
    """A good schedule, found without measuring."""
    definition = contraction.definition
    tensors = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
    storage = {t: dense(t, Space.ARGUMENT) for t in (*tensors, definition.tensor)}
    scope = Scope(storage, Faults(), Names(), target)
    return trace(KIND, asdict(choose(survey(contraction, scope), threads)).items())


def lower_contraction(
    group: Group, decided: Trace, storage: Storage, names: Names, faults: Faults, target: Target
) -> tuple[Stmt, ...]:
    """The loops of a group's contraction; nothing is decided here.

    Raises KeyError where the trace lacks a decision.
    """
    contraction = match(group.members[0])
    if contraction is None:
        raise InternalError("a contraction's trace for what is none", code="TC099")
    blocking = Blocking(*(decided[f.name] for f in fields(Blocking)))
    return tile_nest(survey(contraction, Scope(storage, faults, names, target)), blocking)
