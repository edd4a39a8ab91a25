"""Makes or reuses the virtual environment `.venv` of this checkout, with tcomp installed in it.

Only the standard library is used: these scripts are what runs first on a bare machine. An installation
is repeated when the extras asked for or `pyproject.toml` changed; `TCOMP_VENV` names another folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINIMUM = (3, 11)


def prepare(*extras: str) -> Path:
    """The interpreter of an environment where tcomp and the given extras are installed (editable).

    Exits with one clear sentence where Python is too old or the installation fails.
    """
    if sys.version_info < MINIMUM:
        sys.exit(f"tcomp needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    folder = Path(os.environ.get("TCOMP_VENV", ROOT / ".venv"))
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "tcomp-installed.json"
    wanted = _fingerprint()
    known = _read(stamp)
    have = set(known.get("extras", ())) if known.get("project") == wanted else set()
    if python.exists() and known.get("project") == wanted and have >= set(extras):
        return python
    if not python.exists():
        _announce(f"making the virtual environment {_short(folder)}")
        _make(folder)
    everything = sorted(have | set(extras))
    target = f"{ROOT}[{','.join(everything)}]" if everything else str(ROOT)
    _announce("installing tcomp and what it needs (once; about a minute)")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "--editable", target], stdin=subprocess.DEVNULL).returncode:
        sys.exit("the installation failed; pip's message above says why")
    stamp.write_text(json.dumps({"project": wanted, "extras": everything}))
    return python


def run(python: Path, *arguments: str) -> int:
    """Runs the environment's interpreter from the root of the checkout; its exit status."""
    try:
        return subprocess.run([python, *arguments], cwd=ROOT).returncode
    except KeyboardInterrupt:
        return 130


def _make(folder: Path) -> None:
    try:
        venv.create(folder, with_pip=True, clear=folder.exists())
    except (subprocess.CalledProcessError, OSError) as problem:
        sys.exit(
            f"cannot make a virtual environment in {folder}: {problem}\n"
            "hint: Debian and Ubuntu keep the module apart: apt install python3-venv"
        )


def _fingerprint() -> str:
    text = (ROOT / "pyproject.toml").read_bytes() + (ROOT / "setup.py").read_bytes()
    return hashlib.sha256(text + str(ROOT).encode()).hexdigest()


def _read(stamp: Path) -> dict[str, object]:
    try:
        content = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _short(folder: Path) -> str:
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder)


def _announce(text: str) -> None:
    print(f"· {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(prepare(*sys.argv[1:]))
