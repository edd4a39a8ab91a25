"""TCOMP_DUMP and TCOMP_DEBUG."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import tcomp
from tcomp import config

TEXT = "def scaled(X: f32[N]) -> Y: f32[N]:\n    Y[i] = X[i] * {}\n"


def test_every_stage_is_a_file(tmp_path: Path) -> None:
    with config.override(dump=tmp_path, cache_dir=tmp_path / "cache"):
        for factor in ("3.5", "4.5"):
            tcomp.compile(TEXT.format(factor))(np.ones(5, np.float32))
    names = sorted(p.name for p in tmp_path.iterdir() if p.is_file())
    assert names[:5] == [
        "000_scaled_0_program.tc",
        "000_scaled_1_derived.tc",
        "000_scaled_2_loops.txt",
        "000_scaled_3_llvm.ll",
        "000_scaled_4_asm.s",
    ]
    assert len(names) == 10
    assert "4.5" in (tmp_path / "001_scaled_0_program.tc").read_text()


def test_debug_logs_decisions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tcomp"), config.override(debug=2, cache_dir=tmp_path):
        tcomp.compile(TEXT.format("5.5"))(np.ones(5, np.float32))
    assert "nothing cheaper found" in caplog.text
    assert "Y: nest" in caplog.text
    assert "-- derived" in caplog.text
