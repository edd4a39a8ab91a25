"""The host as a target, without loading LLVM where it was asked before.

Importing LLVM costs 30-50 ms, more than everything else on the way to a cached kernel. What it says of the
processor depends only on what the system says of it, so the answer lies in the kernel cache.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tcomp.codegen.host import Processor, probe, target_of
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


def _identity(path: Path = Path("/proc/cpuinfo")) -> str | None:
    """What the system tells of the first processor that decides its instruction set; Linux only."""
    try:
        first = path.read_text().strip().split("\n\n")[0]
    except OSError:
        return None
    return "\n".join(line for line in first.splitlines() if line.startswith(_TELLING)) or None
