"""Settings of the whole test run: compiled code goes into a cache of its own, never into the user's."""

import os
import tempfile

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache():
    with tempfile.TemporaryDirectory(prefix="tcomp-tests-") as folder:
        before = os.environ.get("TCOMP_CACHE_DIR")
        os.environ["TCOMP_CACHE_DIR"] = folder
        yield
        if before is None:
            del os.environ["TCOMP_CACHE_DIR"]
        else:
            os.environ["TCOMP_CACHE_DIR"] = before
