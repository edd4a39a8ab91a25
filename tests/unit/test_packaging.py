"""The package list and the data patterns cover the tree, and the README's commands are the tested ones."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOTS = {"tcomp": "tcomp", "passes": "tcomp.passes", "cost_model": "tcomp.cost_model"}


def listed_packages() -> set[str]:
    """What setup.py hands to setuptools."""
    found: dict[str, object] = {}
    tree = ast.parse((ROOT / "setup.py").read_text())
    calls = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "setup"
    ]
    tree.body = [n for n in tree.body if not any(c in ast.walk(n) for c in calls)]
    exec(compile(tree, "setup.py", "exec"), found)
    (packages,) = [k.value for k in calls[0].keywords if k.arg == "packages"]
    result: list[str] = eval(compile(ast.Expression(packages), "setup.py", "eval"), found)
    return set(result)


def test_every_folder_with_modules_is_a_listed_package(monkeypatch):
    monkeypatch.chdir(ROOT)
    expected = set()
    for source, name in ROOTS.items():
        for path in (ROOT / source).rglob("*.py"):
            inside = path.parent.relative_to(ROOT / source).parts
            if not (source == "tcomp" and inside[:1] in (("passes",), ("cost_model",))):
                expected.add(".".join((name, *inside)))
    assert expected <= listed_packages()


def test_every_package_folder_has_an_init():
    for source in ROOTS:
        for path in (ROOT / source).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path.parent


def test_data_files_match_the_declared_patterns():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    for source in ROOTS:
        for path in (ROOT / source).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
                assert any(path.match(p) for p in patterns), path


def test_mapped_packages_are_linked_relatively():
    for name in ("passes", "cost_model"):
        link = ROOT / "tcomp" / name
        if link.is_symlink():  # a checkout without links keeps them as text files
            assert link.readlink() == Path("..") / name


def test_readme_commands_are_those_that_ci_and_tests_use():
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^    (python3 tools/\S+\.py)$", readme, re.MULTILINE)
    assert commands[:2] == ["python3 tools/start.py", "python3 tools/test.py"]
    assert "python3 tools/test.py" in (ROOT / ".ci" / "run").read_text().splitlines()


def test_generated_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "document.py", "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}run tools/document.py"
