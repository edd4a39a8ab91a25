"""Every case of the list: its form is found within its budget, proven equal, and judged as the list says."""

from __future__ import annotations

import pytest

from tcomp.passes.derivation import chosen
from tcomp.passes.derivation.proof import replay, to_log
from tcomp.passes.verification import verify_equal
from tests.derivation.catalogue import CASES
from tests.derivation.catalogue.case import Case, searched


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_form_is_found_and_judged(case: Case) -> None:
    search = searched(case)
    first = search.first(case.form)
    if case.verdict == "refused":
        assert first is None
        return
    assert first is not None
    assert verify_equal(search.found.source, search.found.explored[first].program).equal
    found = chosen(search.found, case.accuracy)
    if case.verdict == "chosen":
        assert case.form(found.program)
    if case.verdict == "rejected":
        assert not case.form(found.program)
    if found.steps:
        assert verify_equal(found.source, found.program).equal
        assert replay(found.source, to_log(found)) == found.program


def test_the_list_is_whole() -> None:
    """Each case of the published and harder ones, at its size, at odd or prime ones, and in batches."""
    searched_for = {c.number for c in CASES}
    assert {*range(5, 18), 19, 20, 21, 22, 24, 25, 28} - {
        16
    } <= searched_for  # 1-4 and 16 are no searches
    for number in searched_for - {0}:
        variants = {v for c in CASES if c.number == number for v in c.variant.split(", ")}
        assert "stated" in variants and "batched" in variants and variants & {"odd", "prime"}
    assert len({c.name for c in CASES}) == len(CASES)
