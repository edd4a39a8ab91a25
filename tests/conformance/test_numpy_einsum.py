"""NumPy's own tests of einsum, run with `np.einsum` replaced by `tcomp.einsum`.

What does not apply is listed with its reason in conftest.py. While these tests run, NumPy's einsum is
out of order, so it cannot be what answers.
"""

from __future__ import annotations

import importlib
import types

import numpy as np
import pytest

import tcomp


class NumpyWithOtherEinsum:
    """NumPy's namespace, but for one name."""

    einsum = staticmethod(tcomp.einsum)

    def __getattr__(self, name):
        return getattr(np, name)


def _load() -> types.ModuleType:
    """The test module, with tcomp's einsum in place of NumPy's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "einsum", tcomp.einsum)  # parameters are evaluated at import
        module = importlib.import_module("numpy._core.tests.test_einsum")
    module.np = NumpyWithOtherEinsum()
    return module


_module = _load()

TestEinsum = _module.TestEinsum
TestEinsumPath = _module.TestEinsumPath
test_overlap = _module.test_overlap
test_einsum_chunking_precision = _module.test_einsum_chunking_precision


def _broken(*_args, **_options):
    raise AssertionError("tcomp.einsum called NumPy's einsum")


@pytest.fixture(autouse=True)
def numpy_einsum_out_of_order(monkeypatch):
    monkeypatch.setattr(np, "einsum", _broken)
    monkeypatch.setattr(importlib.import_module("numpy._core.einsumfunc"), "c_einsum", _broken)
