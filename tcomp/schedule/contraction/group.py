"""Groups that are one contraction: their trace, and its replay."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from tcomp.diagnostics import InternalError
from tcomp.ir.loop.nodes import Buffer, Function, Kernel, Space, Stmt, Store
from tcomp.ir.loop.rewriting import buffers_of, moved, statements
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Definition, Read, Tensor, postorder
from tcomp.schedule.contraction.blocking import DOT, Blocking, choose, prefers_dots
from tcomp.schedule.contraction.coded import CodedContraction, match_coded
from tcomp.schedule.contraction.coded_blocking import CODED, choose_coded, scales_sums
from tcomp.schedule.contraction.coded_geometry import CodedGeometry, survey_coded
from tcomp.schedule.contraction.coded_product import CodedNest
from tcomp.schedule.contraction.dimensions import Scope
from tcomp.schedule.contraction.dot_product import DotProductNest
from tcomp.schedule.contraction.epilogue import has_even_epilogue
from tcomp.schedule.contraction.fixed_codes import BY_BLOCK, BY_ELEMENT, FIXED
from tcomp.schedule.contraction.fixed_product import FixedPointNest
from tcomp.schedule.contraction.geometry import Geometry, survey
from tcomp.schedule.contraction.joined import JoinedNest
from tcomp.schedule.contraction.joined_blocking import choose_joined, is_legal_joined
from tcomp.schedule.contraction.match import Contraction, match
from tcomp.schedule.contraction.nest import TaskNest
from tcomp.schedule.contraction.outer_product import OuterProductNest
from tcomp.schedule.contraction.price import outer_products
from tcomp.schedule.contraction.window.decisions import (
    CHANNELS,
    PIXELS,
    WindowBlocking,
    candidates,
)
from tcomp.schedule.contraction.window.frame import Frame, frames
from tcomp.schedule.contraction.window.nest import WindowNest
from tcomp.schedule.contraction.word_product import WordDotProductNest, WordOuterProductNest
from tcomp.schedule.contraction.words import FORMS, WordGeometry, survey_words, word_forms
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.points import Kernel as Setting
from tcomp.schedule.storage import Placement, dense
from tcomp.schedule.trace import Trace, trace
from tcomp.target import Target

KIND = "contraction"

# What a definition is recognised as does not depend on the processor.
_NOMINAL = Target("", "", "", 256, 16, True, 32 << 10, 512 << 10, 8 << 20, 1)


def match_group(group: Group) -> Contraction | None:
    """The contraction that a group is, if this class serves it better than a general nest."""
    if len(group.members) != 1 or group.shared:
        return None
    contraction = recognised(group.members[0])
    if contraction is None or not has_even_epilogue(contraction):
        return None  # see tests/numerics/test_uneven_epilogues.py
    if not worthwhile(contraction):
        return None
    return contraction


def recognised(definition: Definition) -> Contraction | None:
    """The definition as a contraction of the most particular kind that it is of, or None."""
    return match_coded(definition) or match(definition)


def worthwhile(contraction: Contraction) -> bool:
    """Whether tiles pay: both operands are used several times, or one matrix is read as it lies."""
    if contraction.multiplications < 256 or contraction.reuse_of_left < 4:
        return False
    if contraction.reuse_of_right >= 2 or isinstance(contraction, CodedContraction):
        return True
    geometry = survey_dense(contraction, _NOMINAL)
    right = geometry.right
    if prefers_dots(geometry):
        return True
    return right.is_plain() and right.is_affine_along(right.own) and right.step_own() == 1


def analytical_trace(
    contraction: Contraction,
    target: Target,
    threads: int,
    constants: frozenset[Tensor] = frozenset(),
) -> Trace:
    """A good schedule, found without measuring."""
    if isinstance(contraction, CodedContraction):
        return to_trace(choose_coded(coded_geometries(contraction, target, constants), threads))
    numbers = numbers_of_words(contraction, target)
    if numbers[0]:
        return to_trace(choose_in_words(contraction, target, threads, numbers[0], constants))
    geometry = survey_dense(contraction, target, constants)
    plain = choose(geometry, threads)
    if plain.form == DOT:
        return to_trace(plain)
    price = outer_products(geometry, plain, threads)
    plain = choose_joined(geometry, plain, threads)
    found = frames(contraction, geometry.scope)
    windows = [c for c in candidates(found, threads) if _gains(found[c[1].frame])]
    best, window = min(windows, key=lambda c: c[0], default=(price, None))
    return to_trace(plain if window is None or best >= price else window)


def choose_in_words(
    contraction: Contraction,
    target: Target,
    threads: int,
    number: int,
    constants: frozenset[Tensor] = frozenset(),
) -> Blocking:
    """The analytical choice for products in the form of words with that number."""
    geometry = survey_dense(contraction, target, constants, number)
    return replace(choose(geometry, threads), words=number)


def numbers_of_words(contraction: Contraction, target: Target) -> list[int]:
    """The numbers of the forms of words that a contraction can have, the best first; 0 is none. Those that
    are known to be slower stand behind it."""
    forms = word_forms(contraction, target)
    fast = [n for n in forms if (form := FORMS[n]) is not None and form.is_fast(target)]
    return [*fast, 0, *(n for n in forms if n not in fast)]


def _gains(frame: Frame) -> bool:
    """Whether a frame offers more than a matrix product does: a window that slides, or constant filters.
    Without, prices are too close to tell them apart, and products also block inner and prefetch."""
    return frame.window is not None or frame.has_constant_filters()


def to_trace(blocking: Blocking | WindowBlocking) -> Trace:
    """A blocking's decisions, in their order."""
    return trace(KIND, asdict(blocking).items())


def from_trace(decided: Trace) -> Blocking | WindowBlocking:
    """The blocking that a trace holds. Raises KeyError where a decision is missing."""
    of = WindowBlocking if decided["form"] in (PIXELS, CHANNELS) else Blocking
    return of(*(decided[f.name] for f in fields(of)))


def survey_dense(
    contraction: Contraction,
    target: Target,
    constants: frozenset[Tensor] = frozenset(),
    words: int = 0,
) -> Geometry:
    """The contraction with all of its tensors dense."""
    return survey_as(contraction, _dense_scope(contraction, target, constants), words)


def survey_coded_dense(
    contraction: CodedContraction,
    target: Target,
    constants: frozenset[Tensor],
    way: int,
) -> CodedGeometry:
    """A product with codes with all of its tensors dense."""
    return survey_coded(contraction, _dense_scope(contraction, target, constants), way)


def coded_geometries(
    contraction: CodedContraction, target: Target, constants: frozenset[Tensor] = frozenset()
) -> list[CodedGeometry]:
    """A product with codes in all ways that it can be summed."""
    ways = (BY_BLOCK if scales_sums(contraction) else BY_ELEMENT, FIXED)
    found = [survey_coded_dense(contraction, target, constants, way) for way in ways]
    return [g for g, way in zip(found, ways, strict=True) if g.way == way]


def _dense_scope(contraction: Contraction, target: Target, constants: frozenset[Tensor]) -> Scope:
    definition = contraction.definition
    tensors = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
    storage = {t: dense(t, Space.ARGUMENT) for t in (*tensors, definition.tensor)}
    return Scope(storage, Faults(), Names(), target, constants=constants)


def survey_as(contraction: Contraction, scope: Scope, words: int) -> Geometry:
    """The contraction in the form of words with that number."""
    form = FORMS[words]
    return survey(contraction, scope) if form is None else survey_words(contraction, scope, form)


@dataclass(frozen=True, slots=True)
class Packed:
    """An operand in the layout that a kernel reads, filled by a kernel of its own before any call."""

    buffer: Buffer
    kernel: Kernel


def lower_contraction(
    group: Group, decided: Trace, kernel: Setting, target: Target, packed: list[Packed] | None
) -> tuple[Stmt, ...]:
    """The loops of a group's contraction; nothing is decided here. What only constants decide goes to
    `packed`, if it is given.

    Raises KeyError where the trace lacks a decision.
    """
    contraction = recognised(group.members[0])
    if contraction is None:
        raise InternalError("a contraction's trace for what is none", code="TC099")
    blocking = from_trace(decided)
    constants = group.constants if packed is not None else frozenset()
    scope = Scope(kernel.storage, kernel.faults, kernel.names, target, constants=constants)
    if isinstance(blocking, WindowBlocking):
        window = WindowNest(frame_of(contraction, scope, blocking), blocking)
        once, each = tuple(window.once()), tuple(window.each_call())
    elif isinstance(contraction, CodedContraction) and blocking.form == CODED:
        coded = coded_nest(survey_coded(contraction, scope, blocking.words), blocking)
        once, each = coded.before_and_at_each_step()
    else:
        geometry = survey_as(contraction, scope, blocking.words)
        once, each = nest_of(geometry, blocking).before_and_at_each_step()
    read = {scope.storage[t] for t in constants}
    known = {p.buffer for p in read if isinstance(p, Placement)}
    if packed is None or not constants:
        return (*once, *each)
    makers: dict[Buffer | None, list[Stmt]] = {}
    for stmt in once:
        buffer = _made_from(stmt, {*known, *(b for b in makers if b is not None)})
        makers.setdefault(buffer, []).append(stmt)
    kept = makers.pop(None, [])
    outside = {b: replace(b, space=Space.ARGUMENT) for b in makers if b is not None}
    packed += [_packed(outside[b], moved(makers[b], outside)) for b in outside]
    return moved((*kept, *each), outside)


def _packed(buffer: Buffer, body: tuple[Stmt, ...]) -> Packed:
    return Packed(buffer, Function(f"pack_{buffer.name}", buffers_of(body), body))


def _made_from(stmt: Stmt, known: set[Buffer]) -> Buffer | None:
    """The one buffer that a statement makes from known ones, None where it does something else."""
    made = {s.buffer for s in statements((stmt,)) if isinstance(s, Store)}
    if len(made) != 1 or not set(buffers_of((stmt,))) - made <= known:
        return None
    return next(iter(made))


def frame_of(contraction: Contraction, scope: Scope, blocking: WindowBlocking) -> Frame:
    """The frame that a blocking was made for. Raises KeyError where there is none of its number."""
    found = frames(contraction, scope)
    if not 0 <= blocking.frame < len(found):
        raise KeyError("frame")
    return found[blocking.frame]


def coded_nest(geometry: CodedGeometry, blocking: Blocking) -> CodedNest:
    """The nest of the blocking's way to sum."""
    if geometry.fixed is not None:
        return FixedPointNest(geometry, blocking, geometry.fixed)
    return CodedNest(geometry, blocking)


def nest_of(geometry: Geometry, blocking: Blocking) -> TaskNest:
    """The nest of the blocking's form."""
    if isinstance(geometry, WordGeometry):
        wordy = WordDotProductNest if blocking.form == DOT else WordOuterProductNest
        return wordy(geometry, blocking)
    if blocking.joined:
        if is_legal_joined(geometry, blocking):
            return JoinedNest(geometry, blocking)
        # A block's tensors lie closer together than the whole ones that were looked at: columns may be longer.
        blocking = replace(blocking, joined=0, task_spread=1)
    form = DotProductNest if blocking.form == DOT else OuterProductNest
    return form(geometry, blocking)
