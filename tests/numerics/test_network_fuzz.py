"""Random programs of several layers, derived in parts (`tools/fuzz_derivation.py --stage networks` runs thousands)."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fuzz.networks import check


@pytest.mark.parametrize("first", (0, 15))
def test_what_is_chosen_for_parts_is_equal_together(first: int) -> None:
    happened: Counter[str] = Counter()
    for seed in range(first, first + 15):
        happened += check(seed)
    assert happened["verdict parts"] > 15
    assert sum(name.startswith("rule ") for name in happened) >= 3
