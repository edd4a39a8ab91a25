"""Hypothesis strategies over random programs. `tests.fuzz` says what they are made of."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.fuzz.choices import Drawn, Seeded
from tests.fuzz.programs import Case, make_case


@st.composite
def cases(draw: Any) -> Case:
    """Valid, verified, bound programs with inputs and error bounds; they shrink."""
    return make_case(Drawn(draw))


def seeded_case(seed: int) -> Case:
    """The case of a seed: much faster to draw, but it does not shrink."""
    return make_case(Seeded(seed))
