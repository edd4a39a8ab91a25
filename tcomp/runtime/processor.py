"""The host as a target, without loading LLVM where it was asked before.

Importing LLVM costs 30-50 ms, more than everything else on the way to a cached kernel. What it says of the
processor depends only on what the system says of it, so the answer lies in the kernel cache.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tcomp.codegen.host import Processor, probe, target_of
from tcomp.diagnostics import BindingError
from tcomp.runtime import cache as store
from tcomp.runtime.artifact import Artifact
from tcomp.target import Target

_TELLING = ("vendor_id", "cpu family", "model", "stepping", "flags", "CPU ", "Features")


@cache
def native_target() -> Target:
    """The machine that runs this process; equal to `codegen.host.host_target()`."""
    identity = _identity()
    if identity is None:
        return target_of(probe())
    key = store.key("processor", identity)
    known = store.default().get(key)
    if known is not None:
        facts = known.facts
        return target_of(Processor(facts["triple"], facts["cpu"], facts["features"]))
    found = probe()
    facts = {"triple": found.triple, "cpu": found.cpu, "features": found.features}
    store.default().put(key, Artifact(b"", "", (), facts=facts))
    return target_of(found)


def check_processor(artifact: Artifact) -> None:
    """Raises BindingError (TC098) where this machine cannot run the code: another kind of processor or
    system, or one that lacks instructions."""
    if not artifact.triple:
        return
    host = native_target()
    if _kind(artifact.triple) != _kind(host.triple):
        raise BindingError(
            f"the code was compiled for {artifact.triple}, this machine is {host.triple}",
            code="TC098",
            hint="compile it here, or with target='native'",
        )
    missing = sorted(f for f in artifact.features if not host.has(f))
    if missing:
        raise BindingError(
            f"the code needs instructions that this processor lacks: {', '.join(missing)}",
            code="TC098",
            hint="compile it here, or for an older target",
        )


def _kind(triple: str) -> tuple[str, str]:
    """Instruction set and system; vendors and versions do not matter."""
    system = next((s for s in ("linux", "darwin", "macos", "windows", "wasi") if s in triple), "")
    return triple.split("-")[0], "darwin" if system == "macos" else system


def _identity(path: Path = Path("/proc/cpuinfo")) -> str | None:
    """What the system tells of the first processor that decides its instruction set; Linux only."""
    try:
        first = path.read_text().strip().split("\n\n")[0]
    except OSError:
        return None
    return "\n".join(line for line in first.splitlines() if line.startswith(_TELLING)) or None
