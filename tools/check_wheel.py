"""Builds the wheel from the sdist, installs it in a clean environment and smoke-tests it from elsewhere.

Usage: check_wheel.py PYTHON SCRATCH, where PYTHON has the `build` package and SCRATCH is an empty folder.
Checks that the wheel has every module and data file of the tree, and that only `tcomp/` goes to the top of
site-packages: the mapped packages `tcomp.passes` and `tcomp.cost_model` are easy to lose or to misplace.
"""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAPPING = {"tcomp": "tcomp", "passes": "tcomp/passes", "cost_model": "tcomp/cost_model"}
SHIPPED = {".py", ".lark", ".tc", ".json", ".npz", ".typed"}
PROGRAM = """\
def smoke(X: f32[M, K], W: f32[K, N], b: f32[N]) -> Y: f32[M, N]:
    Y[i, j] = tanh(sum[k](X[i, k] * W[k, j]) + b[j])
"""
SMOKE = """
import importlib, pathlib, sys
import tcomp
home = pathlib.Path(tcomp.__file__)
assert "site-packages" in home.parts, home
for name in ("tcomp.passes", "tcomp.cost_model", "tcomp.cli.main"):
    importlib.import_module(name)
print("installed:", tcomp.__version__)
"""


def tree_files() -> set[str]:
    """Paths, as in the wheel, of everything that must be shipped."""
    found = set()
    for source, place in MAPPING.items():
        for path in (ROOT / source).rglob("*"):
            inside = path.relative_to(ROOT / source)
            linked = source == "tcomp" and inside.parts[0] in ("passes", "cost_model")
            if path.is_file() and path.suffix in SHIPPED and not linked:
                found.add(f"{place}/{inside.as_posix()}")
    return found


def wheel_files(wheel: Path) -> set[str]:
    """Paths of the files in a wheel, without its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def build_wheel(python: str, scratch: Path) -> Path:
    """`python -m build` makes the sdist, unpacks it, and makes the wheel from what it unpacked."""
    subprocess.run([python, "-m", "build", "--outdir", scratch / "dist", ROOT], check=True)
    (wheel,) = (scratch / "dist").glob("*.whl")
    return wheel


def install(wheel: Path, scratch: Path) -> Path:
    """A clean environment with nothing but the wheel and its dependencies; its interpreter."""
    venv.create(scratch / "clean", with_pip=True)
    python = scratch / "clean" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, wheel], check=True)
    return python


def smoke(python: Path, folder: Path) -> None:
    """Imports, help, and one program compiled, run and checked, away from the checkout."""
    folder.mkdir()
    (folder / "smoke.tc").write_text(PROGRAM)
    command = python.parent / "tcomp"
    sizes = [part for size in ("M=17", "K=33", "N=5") for part in ("--size", size)]
    for call in (
        [python, "-c", SMOKE],
        [command, "--version"],
        [python, "-m", "tcomp", "--help"],
        [command, "run", "smoke.tc", *sizes, "--check"],
    ):
        subprocess.run(call, cwd=folder, check=True)


def main(python: str, scratch: Path) -> None:
    wheel = build_wheel(python, scratch)
    shipped, expected = wheel_files(wheel), tree_files()
    if missing := sorted(expected - shipped):
        sys.exit(f"the wheel lacks {', '.join(missing)}")
    if stray := sorted(name for name in shipped if not name.startswith("tcomp/")):
        sys.exit(f"the wheel puts {', '.join(stray)} beside tcomp/")
    smoke(install(wheel, scratch), scratch / "elsewhere")
    print(f"{wheel.name}: {len(shipped)} files, as in the tree; works away from the checkout")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve())
