"""`tcomp derive --measure`: the program as written and the cheapest derived ones, timed in the same rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcomp.cli.options import ProgramOptions
    from tcomp.ir.tensor.nodes import Program
    from tcomp.passes.derivation import Derivation

MOST_CANDIDATES = 4
ROUNDS, CALLS = 5, 3


def measured(
    program: Program, found: Derivation, options: ProgramOptions, constants: frozenset[str]
) -> dict[str, Any]:
    """Seconds of one call of each, the best of all rounds; candidates are in the order of their estimates."""
    from tcomp.ir.tensor.sampling import draw_inputs
    from tcomp.options import options_from
    from tcomp.passes.derivation import holding
    from tcomp.pipeline import build_as_written, build_form
    from tcomp.specialise import kernel_from

    chosen = options_from(threads=options.threads, accuracy=options.accuracy)
    drawn = draw_inputs(program, 0, frozenset(), {})
    arrays = [a for name, a in drawn.items() if name not in constants]
    bound = {name: a for name, a in drawn.items() if name in constants}
    others = holding(found, options.accuracy, MOST_CANDIDATES)
    stages = [build_as_written(program, chosen, constants)]
    stages += [build_form(program, each, chosen, constants) for each in others]
    kernels = [kernel_from(each, chosen, bound) for each in stages]
    for kernel in kernels:
        kernel(*arrays)
    best = [float("inf")] * len(kernels)
    for _ in range(ROUNDS):
        for number, kernel in enumerate(kernels):
            best[number] = min(best[number], *kernel.time(arrays, rounds=CALLS))
    written, *derived = (nanoseconds * 1e-9 for nanoseconds in best)
    candidates = [
        {"rules": [s.rule for s in each.steps], "cost": each.cost_after, "seconds": seconds}
        for each, seconds in zip(others, derived, strict=True)
    ]
    return {
        "as_written": written,
        "derived": derived[0] if derived else written,
        "candidates": candidates,
    }
