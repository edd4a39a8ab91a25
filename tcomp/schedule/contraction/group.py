"""Groups that are one contraction: their trace, and its replay."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from tcomp.diagnostics import InternalError
from tcomp.ir.loop.nodes import Buffer, Space, Stmt, Store
from tcomp.ir.plan import Group
from tcomp.ir.tensor.nodes import Read, Tensor, postorder
from tcomp.schedule.contraction.blocking import DOT, Blocking, choose, prefers_dots
from tcomp.schedule.contraction.dimensions import Scope
from tcomp.schedule.contraction.dot_product import DotProductNest
from tcomp.schedule.contraction.epilogue import has_even_epilogue
from tcomp.schedule.contraction.geometry import Geometry, survey
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
from tcomp.schedule.contraction.words import FORMS, WordGeometry, is_slow, survey_words, word_forms
from tcomp.schedule.faults import Faults
from tcomp.schedule.naming import Names
from tcomp.schedule.points import Kernel
from tcomp.schedule.rewriting import buffers_of, moved, statements
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


def analytical_trace(
    contraction: Contraction,
    target: Target,
    threads: int,
    constants: frozenset[Tensor] = frozenset(),
) -> Trace:
    """A good schedule, found without measuring."""
    numbers = numbers_of_words(contraction, target)
    if numbers[0]:
        return to_trace(choose_in_words(contraction, target, threads, numbers[0], constants))
    geometry = survey_dense(contraction, target, constants)
    plain = choose(geometry, threads)
    if plain.form == DOT:
        return to_trace(plain)
    price = outer_products(geometry, plain, threads)
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
    """The numbers of the forms of words that a contraction can have, the best first; 0 is none.

    Dot products of bf16 come last: they ran at 0.55 of the speed of f32 products on an Emerald Rapids core
    (1024 cubed: 13.8 ms, f32 products of f16 7.6 ms).
    """
    numbers = word_forms(contraction, target)
    slow = [n for n in numbers if is_slow(n)]
    return [*(n for n in numbers if n not in slow), 0, *slow]


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
    definition = contraction.definition
    tensors = {n.tensor for n in postorder(definition.body) if isinstance(n, Read)}
    storage = {t: dense(t, Space.ARGUMENT) for t in (*tensors, definition.tensor)}
    scope = Scope(storage, Faults(), Names(), target, constants=constants)
    return survey_as(contraction, scope, words)


def survey_as(contraction: Contraction, scope: Scope, words: int) -> Geometry:
    """The contraction in the form of words with that number."""
    form = FORMS[words]
    return survey(contraction, scope) if form is None else survey_words(contraction, scope, form)


@dataclass(frozen=True, slots=True)
class Packed:
    """An operand in the layout that a kernel reads, filled by `body` before any call."""

    buffer: Buffer
    body: tuple[Stmt, ...]


def lower_contraction(
    group: Group, decided: Trace, kernel: Kernel, target: Target, packed: list[Packed] | None
) -> tuple[Stmt, ...]:
    """The loops of a group's contraction; nothing is decided here. What only constants decide goes to
    `packed`, if it is given.

    Raises KeyError where the trace lacks a decision.
    """
    contraction = match(group.members[0])
    if contraction is None:
        raise InternalError("a contraction's trace for what is none", code="TC099")
    blocking = from_trace(decided)
    constants = group.constants if packed is not None else frozenset()
    scope = Scope(kernel.storage, kernel.faults, kernel.names, target, constants=constants)
    if isinstance(blocking, WindowBlocking):
        window = WindowNest(frame_of(contraction, scope, blocking), blocking)
        once, each = tuple(window.once()), tuple(window.each_call())
    else:
        geometry = survey_as(contraction, scope, blocking.words)
        once, each = nest_of(geometry, blocking).before_and_at_each_step()
    read = {scope.storage[t] for t in constants}
    if (
        packed is None
        or not once
        or not _reads_only(once, {p.buffer for p in read if isinstance(p, Placement)})
    ):
        return (*once, *each)
    made = {s.buffer for s in statements(once) if isinstance(s, Store)}
    outside = {b: replace(b, space=Space.ARGUMENT) for b in made}
    packed += [Packed(outside[b], moved(once, outside)) for b in made]
    return moved(each, outside)


def _reads_only(block: tuple[Stmt, ...], known: set[Buffer]) -> bool:
    """Whether a block makes one buffer from known ones."""
    made = {s.buffer for s in statements(block) if isinstance(s, Store)}
    return len(made) == 1 and set(buffers_of(block)) - made <= known


def frame_of(contraction: Contraction, scope: Scope, blocking: WindowBlocking) -> Frame:
    """The frame that a blocking was made for. Raises KeyError where there is none of its number."""
    found = frames(contraction, scope)
    if not 0 <= blocking.frame < len(found):
        raise KeyError("frame")
    return found[blocking.frame]


def nest_of(geometry: Geometry, blocking: Blocking) -> TaskNest:
    """The nest of the blocking's form."""
    if isinstance(geometry, WordGeometry):
        wordy = WordDotProductNest if blocking.form == DOT else WordOuterProductNest
        return wordy(geometry, blocking)
    form = DotProductNest if blocking.form == DOT else OuterProductNest
    return form(geometry, blocking)
