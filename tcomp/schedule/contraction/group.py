"""Groups that are one contraction: their trace, and its replay."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

from tcomp.diagnostics import InternalError
from tcomp.ir.loop.nodes import Space, Stmt
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Read, postorder
from tcomp.schedule.contraction.blocking import DOT, Blocking, choose, prefers_dots
from tcomp.schedule.contraction.dimensions import Scope
from tcomp.schedule.contraction.dot_product import DotProductNest
from tcomp.schedule.contraction.epilogue import has_even_epilogue
from tcomp.schedule.contraction.geometry import Geometry, survey
from tcomp.schedule.contraction.match import Contraction, match
from tcomp.schedule.contraction.nest import TaskNest
from tcomp.schedule.contraction.outer_product import OuterProductNest
from tcomp.schedule.contraction.word_product import WordDotProductNest, WordOuterProductNest
from tcomp.schedule.contraction.words import FORMS, WordGeometry, is_slow, survey_words, word_forms
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.storage import Storage, dense
from tcomp.schedule.trace import Trace, trace
from tcomp.target import Target

KIND = "contraction"

# What a definition is recognised as does not depend on the processor.
_NOMINAL = Target("", "", "", 256, 16, True, 32 << 10, 512 << 10, 8 << 20, 1)


def match_group(group: Group) -> Contraction | None:
    """The contraction that a group is, if this class serves it better than a general nest."""
    if len(group.members) != 1 or group.shared:
        return None
    contraction = match(group.members[0])
    if contraction is None or not has_even_epilogue(contraction):
        return None  # see tests/numerics/test_uneven_epilogues.py
    if not worthwhile(contraction):
        return None
    return contraction


def worthwhile(contraction: Contraction) -> bool:
    """Whether tiles pay: both operands are used several times, or one matrix is read as it lies."""
    if contraction.multiplications < 256 or contraction.reuse_of_left < 4:
        return False
    if contraction.reuse_of_right >= 2:
        return True
    geometry = survey_dense(contraction, _NOMINAL)
    right = geometry.right
    if prefers_dots(geometry):
        return True
    return right.is_plain() and right.is_affine_along(right.own) and right.step_own() == 1


def analytical_trace(contraction: Contraction, target: Target, threads: int) -> Trace:
    """A good schedule, found without measuring."""
    return to_trace(alternatives(contraction, target, threads)[0])


def alternatives(contraction: Contraction, target: Target, threads: int) -> list[Blocking]:
    """The analytical choice for each way to multiply, the best first."""
    return [
        replace(choose(survey_dense(contraction, target, number), threads), words=number)
        for number in numbers_of_words(contraction, target)
    ]


def numbers_of_words(contraction: Contraction, target: Target) -> list[int]:
    """The numbers of the forms of words that a contraction can have, the best first; 0 is none.

    Dot products of bf16 come last: with their two roundings in turn they ran at 0.55 of the speed of
    f32 products on an Emerald Rapids core (1024 cubed: 13.8 ms, f32 products of f16 7.6 ms).
    """
    numbers = word_forms(contraction, target)
    slow = [n for n in numbers if is_slow(n)]
    return [*(n for n in numbers if n not in slow), 0, *slow]


def to_trace(blocking: Blocking) -> Trace:
    """A blocking's decisions, in their order."""
    return trace(KIND, asdict(blocking).items())


def from_trace(decided: Trace) -> Blocking:
    """The blocking that a trace holds. Raises KeyError where a decision is missing."""
    return Blocking(*(decided[f.name] for f in fields(Blocking)))


def survey_dense(contraction: Contraction, target: Target, words: int = 0) -> Geometry:
    """The contraction with all of its tensors dense."""
    definition = contraction.definition
    tensors = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
    storage = {t: dense(t, Space.ARGUMENT) for t in (*tensors, definition.tensor)}
    return survey_as(contraction, Scope(storage, Faults(), Names(), target), words)


def survey_as(contraction: Contraction, scope: Scope, words: int) -> Geometry:
    """The contraction in the form of words with that number."""
    form = FORMS[words]
    return survey(contraction, scope) if form is None else survey_words(contraction, scope, form)


def lower_contraction(
    group: Group, decided: Trace, storage: Storage, names: Names, faults: Faults, target: Target
) -> tuple[Stmt, ...]:
    """The loops of a group's contraction; nothing is decided here.

    Raises KeyError where the trace lacks a decision.
    """
    contraction = match(group.members[0])
    if contraction is None:
        raise InternalError("a contraction's trace for what is none", code="TC099")
    blocking = from_trace(decided)
    geometry = survey_as(contraction, Scope(storage, faults, names, target), blocking.words)
    return nest_of(geometry, blocking).statements()


def nest_of(geometry: Geometry, blocking: Blocking) -> TaskNest:
    """The nest of the blocking's form."""
    if isinstance(geometry, WordGeometry):
        wordy = WordDotProductNest if blocking.form == DOT else WordOuterProductNest
        return wordy(geometry, blocking)
    form = DotProductNest if blocking.form == DOT else OuterProductNest
    return form(geometry, blocking)
