"""Marks the cases of foreign test files that do not apply, each with its reason."""

from __future__ import annotations

import pytest

NO_COMPLEX = "complex numbers are not element types of tcomp"
NO_LONG_DOUBLE = "long double is not an element type of tcomp"
NO_OBJECTS = "object arrays are not compiled"
NO_PATHS = "tcomp chooses the order of contraction itself and ignores an explicit path"

# Name of a test -> why it cannot pass. A case that begins to pass must leave this list.
EXCLUDED = {
    "test_einsum_sums_longdouble": NO_LONG_DOUBLE,
    "test_einsum_sums_cfloat64": NO_COMPLEX,
    "test_einsum_sums_cfloat128": NO_COMPLEX,
    "test_einsum_sums_clongdouble": NO_COMPLEX,
    "test_einsum_sums_object": NO_OBJECTS,
    "test_einsum_object_errors": NO_OBJECTS,
    "test_object_loop": NO_OBJECTS,
    "test_path_type_input_invalid": NO_PATHS,
    "test_different_paths[g]": NO_LONG_DOUBLE,
    "test_different_paths[F]": NO_COMPLEX,
    "test_different_paths[D]": NO_COMPLEX,
    "test_different_paths[G]": NO_COMPLEX,
}
FILES_OF_OTHERS = ("test_numpy_einsum.py",)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name not in FILES_OF_OTHERS:
            continue
        for name, reason in EXCLUDED.items():
            if item.name == name:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
