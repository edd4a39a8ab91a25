"""Kernels for bound programs: from the cache where they were made before, else compiled and kept.

Weights bound as constants are handed to every call; what they alone decide is computed here, once, by a
kernel of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcomp.collecting import paused

if TYPE_CHECKING:
    from tcomp.ir.tensor.nodes import Program
    from tcomp.options import Options
    from tcomp.pipeline import Stages
    from tcomp.runtime.artifact import Artifact
    from tcomp.runtime.kernel import Kernel

Arrays = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """Artifacts of a program: that of every call, and those that run `before` all calls, one after the
    other: they fold constants and pack them as the calls read them."""

    call: Artifact
    before: tuple[Artifact, ...] = ()


def kernel_for(program: Program, options: Options, constants: Arrays | None = None) -> Kernel:
    """A kernel of a bound program. `constants` are arrays by input name."""
    return load_parts(parts_for(program, options, frozenset(constants or ())), options, constants)


def kernel_from(stages: Stages, options: Options, constants: Arrays | None = None) -> Kernel:
    """A kernel of a program whose stages are known, past the cache."""
    return load_parts(parts_from(stages, options), options, constants)


def parts_for(program: Program, options: Options, constants: frozenset[str]) -> Parts:
    """The artifacts of a bound program, compiled where the cache does not have them."""
    from tcomp.ir.tensor.canonical import fingerprint
    from tcomp.runtime import cache

    key = cache.key(
        "program",
        fingerprint(program, associative=False),  # the order of sums decides bits
        [t.name for t in program.inputs],
        sorted(constants),
        *option_facts(options),
    )
    found = stored_parts(key)
    if found is not None:
        return found
    parts = _compile(program, options, constants)
    store_parts(key, parts)
    return parts


def option_facts(options: Options) -> list[Any]:
    """What of the options code depends on, as plain data: what was measured of the machine, and the tuning
    database's state."""
    from tcomp.autotune.state import database_state
    from tcomp.memory_speed import relative_rates

    return [
        repr(options.target),
        options.threads,
        options.accuracy,
        [*relative_rates(options), database_state(options)],
    ]


def stored_parts(key: str) -> Parts | None:
    """What the cache has under a key; a call without its constants' part is a miss."""
    from tcomp.runtime import cache

    call = cache.default().get(key)
    if call is None:
        return None
    before = [cache.default().get(str(k)) for k in call.facts.get("before", ())]
    found = tuple(part for part in before if part is not None)
    return Parts(call, found) if len(found) == len(before) else None


def store_parts(key: str, parts: Parts) -> None:
    """Keeps artifacts under a key; a cache that cannot be written is no error."""
    from dataclasses import replace

    from tcomp.runtime import cache

    call = parts.call
    if parts.before:
        keys = [cache.key("before", key, n) for n in range(len(parts.before))]
        for each, part in zip(keys, parts.before, strict=True):
            cache.default().put(each, part)
        call = replace(call, facts={**call.facts, "before": keys})
    cache.default().put(key, call)


def load_parts(parts: Parts, options: Options, constants: Arrays | None) -> Kernel:
    """Loads artifacts into this process, folding the constants."""
    from tcomp.ir.nibbles import packed_in_bytes
    from tcomp.runtime.kernel import load
    from tcomp.runtime.memory import aligned

    bound = {name: packed_in_bytes(array) for name, array in (constants or {}).items()}
    for part in parts.before:
        kernel = load(part, options.threads)
        results = [aligned(a.stored_shape, a.stored_dtype.numpy) for a in part.results]
        kernel.call([bound[a.name] for a in part.inputs], tuple(results))
        bound |= {a.name: v for a, v in zip(part.results, results, strict=True)}
    return load(parts.call, options.threads, bound)


@paused()
def _compile(program: Program, options: Options, constants: frozenset[str]) -> Parts:
    from tcomp.dumping import tell
    from tcomp.pipeline import build

    stages = build(program, options, constants)
    tell(stages)
    return parts_from(stages, options)


def parts_from(stages: Stages, options: Options) -> Parts:
    """The artifacts of a program that went through all stages."""
    from tcomp.pipeline import build, compile_packing, compile_stages

    fold = None if stages.once is None else compile_stages(build(stages.once, options))
    before = (part for part in (fold, compile_packing(stages)) if part is not None)
    return Parts(compile_stages(stages), tuple(before))
