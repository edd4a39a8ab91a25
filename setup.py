"""Computes the package list over the three source roots; everything else is in pyproject.toml.

A literal list would silently leave a new sub-package out of the wheel.
"""

from setuptools import find_packages, setup

ROOTS = {"tcomp": "tcomp", "tcomp.passes": "passes", "tcomp.cost_model": "cost_model"}

setup(
    packages=sorted(
        {
            name
            for root, folder in ROOTS.items()
            for name in (root, *(f"{root}.{sub}" for sub in find_packages(folder)))
        }
    )
)
