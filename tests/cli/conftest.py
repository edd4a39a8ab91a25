"""Calling the command as a process, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYER = """\
# A layer.
# sizes: M=5, K=7, N=3
def layer(X: f32[M, K], W: f32[K, N], b: f32[N]) -> Y: f32[M, N]:
    Y[i, j] = tanh(sum[k](X[i, k] * W[k, j]) + b[j])
"""
GATHER = """\
def pick(E: f32[V, D], ids: i32[S]) -> Y: f32[S, D]:
    Y[s, d] = E[ids[s], d]
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tcomp(tmp_path, cache):
    """Calls the command in an empty folder that holds layer.tc and pick.tc."""
    (tmp_path / "layer.tc").write_text(LAYER)
    (tmp_path / "pick.tc").write_text(GATHER)

    def call(*arguments, status=0, **environment):
        variables = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TCOMP_CACHE_DIR": str(cache),
            **environment,
        }
        command = [sys.executable, "-m", "tcomp", *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done

    call.folder = tmp_path
    return call
