"""The acceptance cases of derivations, as data: tests search them, `tools/derivation_cases.py` measures them."""

from __future__ import annotations

from tests.derivation.catalogue import (
    bands,
    convolutions,
    pointwise,
    products,
    tensors,
    windows,
)
from tests.derivation.catalogue.case import Case

CASES: tuple[Case, ...] = (
    *sorted((*products.CASES, *pointwise.CASES, *convolutions.CASES), key=lambda c: c.number or 99),
    *bands.CASES,
    *tensors.CASES,
    *windows.CASES,
)
