"""Imports go down only (docs/architecture.md). Reads every import statement, those inside functions included."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOTS = {
    "tcomp": ROOT / "tcomp",
    "tcomp.passes": ROOT / "passes",
    "tcomp.cost_model": ROOT / "cost_model",
}

GROUND = {"collecting", "diagnostics", "config", "cores", "explanations", "forks", "lazy"}
CORE = GROUND | {"ir", "ops", "target"}
# Package or module -> what it may import beside itself. Every part of tcomp is named here.
ALLOWED = {
    "diagnostics": set(),
    "cores": set(),
    "forks": set(),
    "lazy": set(),
    "explanations": {"diagnostics"},
    "config": {"diagnostics"},
    "target": GROUND,
    "ops": CORE,
    "ir": CORE,
    "passes": CORE - {"target"},
    "lang": CORE,
    "schedule": CORE,
    "codegen": CORE,
    "runtime": CORE | {"codegen"},  # the pool and the call wrapper are made by LLVM
    "cost_model": CORE | {"schedule"},
    "interop": CORE,
    "options": CORE | {"codegen", "runtime"},
    "autotune": CORE
    | {"lang", "passes", "schedule", "cost_model", "codegen", "runtime", "options"},
}


def part(module: str) -> str:
    """`tcomp.ir.tensor.nodes` -> `ir`; the package itself -> ``."""
    return module.split(".")[1] if "." in module else ""


def modules() -> list[tuple[str, Path]]:
    found = []
    for name, folder in ROOTS.items():
        for path in sorted(folder.rglob("*.py")):
            inside = path.relative_to(folder)
            if name == "tcomp" and inside.parts[0] in ("passes", "cost_model"):
                continue
            dotted = ".".join((name, *inside.with_suffix("").parts))
            found.append((dotted.removesuffix(".__init__"), path))
    return found


def imported(path: Path) -> set[str]:
    """Dotted names of the parts of tcomp that a file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= (
                {f"tcomp.{a.name}" for a in node.names} if node.module == "tcomp" else {node.module}
            )
        elif isinstance(node, ast.ImportFrom):
            names.add("relative import")
    return {n for n in names if n.startswith("tcomp.") or n == "relative import"}


@pytest.mark.parametrize(
    ("module", "path"), modules(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_imports_go_down(module, path):
    here = part(module)
    names = imported(path)
    assert "relative import" not in names, "import by dotted name"
    targets = {part(n) for n in names} - {here}
    if here in ALLOWED:
        upward = targets - ALLOWED[here]
    elif here == "pipeline":
        upward = targets & {"cli", "api", "compiled", "specialise"}
    else:  # the interface: api and its helpers, then the command line
        upward = targets & {"cli"} if here != "cli" else set()
        upward -= {"cli"} if module == "tcomp.__main__" else set()
    assert not upward, f"{module} imports {', '.join(sorted(upward))}"


def test_cli_is_imported_by_nobody_else():
    users = {m for m, p in modules() for n in imported(p) if part(n) == "cli" and part(m) != "cli"}
    assert users <= {"tcomp.__main__"}


def test_long_files_are_reported():
    long = {m: n for m, p in modules() if (n := len(p.read_text().splitlines())) > 500}
    if long:
        warnings.warn(f"files over 500 lines: {long}", stacklevel=1)
