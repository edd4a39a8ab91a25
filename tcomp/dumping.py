"""What a compilation tells those who asked: the stages as files, or in the log.

`TCOMP_DUMP=folder` writes every stage; `TCOMP_DEBUG=1..5` logs more and more of them on standard error.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tcomp import config

if TYPE_CHECKING:
    from tcomp.pipeline import Stages

logger = logging.getLogger("tcomp")

# Stage, the file's suffix, and the value of TCOMP_DEBUG from which on it is logged.
STAGES = (
    ("program", "tc", 3),
    ("derived", "tc", 2),
    ("loops", "txt", 4),
    ("llvm", "ll", 5),
    ("asm", "s", 6),
)


def tell(stages: Stages) -> None:
    """Writes and logs the stages of one compilation, as the settings say. Raises OSError where the dump
    folder cannot be written."""
    level, folder = config.debug.get(), config.dump.get()
    if level:
        _log(stages, level)
    if folder is not None:
        _write(stages, folder)


def _log(stages: Stages, level: int) -> None:
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.DEBUG)
    found = stages.derivation
    rules = ", ".join(step.rule for step in found.steps) or "nothing cheaper found"
    logger.info("%s: %s (%d programs)", stages.program.name, rules, found.states)
    for group, trace in zip(stages.plan.groups, stages.traces, strict=True):
        names = ", ".join(d.tensor.name for d in group.members)
        logger.info("  %s: %s %s", names, trace.kind, dict(trace.decisions))
    for stage, _, least in STAGES:
        if level >= least:
            logger.debug("-- %s\n%s", stage, stages.text(stage))


def _write(stages: Stages, folder: Path) -> None:
    """Files named by program and stage, numbered in their order; a later compilation gets a new number."""
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("*_0_program.tc")))
    for place, (stage, suffix, _) in enumerate(STAGES):
        name = f"{number:03}_{stages.program.name}_{place}_{stage}.{suffix}"
        (folder / name).write_text(stages.text(stage), encoding="utf-8")
