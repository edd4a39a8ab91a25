"""Random programs through search and verification (`tools/fuzz_derivation.py` runs thousands)."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fuzz import derivations
from tests.fuzz.choices import Seeded
from tests.fuzz.derivations import FAMILIES, check, program_of, text_of


@pytest.mark.parametrize("first", (0, 12))
def test_all_that_the_search_reaches_is_equal(first: int) -> None:
    fired: Counter[str] = Counter()
    for seed in range(first, first + 12):
        fired += check(seed)
    assert fired["verdict equal"] > 10
    assert sum(name.startswith("rule ") for name in fired) >= 3


@pytest.mark.parametrize("family", dict.fromkeys(FAMILIES), ids=lambda f: f.__name__)
def test_every_family_makes_valid_programs(family, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(derivations, "FAMILIES", (family,))
    assert len({text_of(Seeded(seed)) for seed in range(20)}) > 3
    for seed in range(20):
        program_of(seed)
