"""The learned correction of estimates: it learns what is systematic, and says how sure it is."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tcomp.autotune.forms import keep_forms
from tcomp.autotune.measurement import Measurement
from tcomp.cost_model.correction import MIN_FORMS, Kernels, Prediction, Timed, learn, regret
from tcomp.forecast import forecast_from, kernels_of, timed_forms
from tcomp.ir.tensor.binding import bind
from tcomp.ir.tensor.nodes import Program
from tcomp.lang import lower, parse
from tcomp.options import options_from
from tcomp.passes.derivation import contenders
from tcomp.pipeline import searched
from tcomp.racing import candidates

FEATURES = 6


def timed(program: int, rng: random.Random, kinds: int = 2) -> Timed:
    """A form of kernels of two kinds: those of kind 1 take four times what the estimate says."""
    kinds_of = [rng.randrange(kinds) for _ in range(rng.randint(1, 3))]
    rows = np.asarray([[k, *(rng.random() for _ in range(FEATURES - 1))] for k in kinds_of], np.float32)  # fmt: skip
    estimates = tuple(10.0 ** rng.uniform(3, 6) for _ in kinds_of)
    seconds = sum(e * (4.0 if k else 1.0) for e, k in zip(estimates, kinds_of, strict=True)) * 2e-10
    return Timed(f"p{program}", Kernels(rows, estimates), seconds)


def forms(programs: int, each: int = 4, seed: int = 0) -> list[Timed]:
    rng = random.Random(seed)
    return [timed(p, rng) for p in range(programs) for _ in range(each)]


def test_too_few_forms_or_programs_teach_nothing() -> None:
    assert learn([]) is None
    assert learn(forms(9, 8)) is None
    assert learn(forms(12, 3)) is None
    assert learn(forms(12, 4)) is not None


def test_a_systematic_error_is_learned_in_seconds() -> None:
    model = learn(forms(60))
    assert model is not None
    unseen = forms(30, seed=1)
    errors = [abs(np.log2(model.predict(f.kernels).seconds / f.seconds)) for f in unseen]
    assert np.median(errors) < 0.5
    kind = [Kernels(np.asarray([[k, *[0.5] * (FEATURES - 1)]], np.float32), (1e5,)) for k in (0, 1)]
    first, second = (model.predict(k) for k in kind)
    assert 2 < second.seconds / first.seconds < 8
    assert first.below(second) and not second.below(first)
    assert first.low <= first.seconds <= first.high


def test_it_helps_where_estimates_are_wrong_in_a_way_that_can_be_learned() -> None:
    wrong = learn(forms(60))
    assert wrong is not None
    assert wrong.helps
    assert 1.0 <= wrong.regret < wrong.plain_regret
    right = [replace(f, seconds=sum(f.kernels.estimates) * 2e-10) for f in forms(60)]
    model = learn(right)
    assert model is not None
    assert model.plain_regret == 1.0
    assert not model.helps


def test_regret_is_beside_the_fastest_form() -> None:
    one = timed(0, random.Random(0))
    three = [replace(one, seconds=s) for s in (4.0, 2.0, 1.0)]
    assert regret(three, [1, 2, 3], tried=1) == pytest.approx(4.0)
    assert regret(three, [1, 2, 3], tried=2) == pytest.approx(2.0)
    assert regret(three, [3, 2, 1], tried=1) == 1.0


def test_it_does_not_depend_on_chance() -> None:
    asked = forms(1)[0].kernels
    a, b = (learn(forms(20)) for _ in range(2))
    assert a is not None and b is not None
    assert a.predict(asked) == b.predict(asked)


CHAIN = """
def chain(A: f32[40, 41], B: f32[41, 42], v: f32[42]) -> y: f32[40]:
    C[i, j] = sum[k](A[i, k] * B[k, j])
    y[i] = sum[j](C[i, j] * v[j])
"""


def program(text: str) -> Program:
    return bind(lower(parse(text)), {})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of races among forms of chains of many sizes: the fewer steps, the faster."""
    path = tmp_path_factory.mktemp("forecast") / "races.db"
    options = options_from(database=path, threads=1)
    for size in range(50, 66):
        chain = program(CHAIN.replace("40", str(size)))
        found = contenders(searched(chain, "standard"), 6)
        pairs = [((), Measurement((1e-5,)))]
        pairs += [(c.steps, Measurement((1e-5 * (1 + len(c.steps)),))) for c in found]  # type: ignore[misc]
        keep_forms(chain, (), options, pairs)
    return path


def test_races_on_record_are_examples(path: Path) -> None:
    options = options_from(database=path, threads=1)
    examples = timed_forms(options)
    assert len({e.program for e in examples}) == 16
    assert len(timed_forms(options, most=5)) == 5
    assert timed_forms(options_from(database=path, threads=2)) == []
    assert all(len(e.kernels.rows) == len(e.kernels.estimates) for e in examples)


def test_a_forecast_comes_from_enough_races(path: Path) -> None:
    options = options_from(database=path, threads=1)
    assert len(timed_forms(options)) >= MIN_FORMS
    forecast = forecast_from(options)
    assert forecast is not None  # the fewer steps the faster: estimates do not know that
    chain = program(CHAIN)
    for form in candidates(chain, options, frozenset()):
        assert forecast.of(chain, form.program, frozenset()).seconds == pytest.approx(2e-5, rel=2)


def test_it_orders_all_but_the_first_choice_of_the_estimates() -> None:
    """Here it likes most what the estimates like least."""
    text = """
def f(A: f32[9, 8], B: f32[8, 7], C: f32[7, 6], D: f32[6, 5]) -> Y: f32[9, 5]:
    T[i, j] = sum[k](A[i, k] * B[k, j])
    U[i, p] = sum[j](T[i, j] * C[j, p])
    Y[i, q] = sum[p](U[i, p] * D[p, q])
"""
    source, options, none = program(text), options_from(threads=1), frozenset[str]()
    pool = contenders(searched(source, "standard"), 6)
    place = {c.program: n for n, c in enumerate(pool)}

    class Contrary:
        def of(self, program: Program, form: Program, constants: frozenset[str]) -> Prediction:
            seconds = -float(place[form])
            return Prediction(seconds, seconds, seconds)

    assert len(pool) > 2
    plain = candidates(source, options, none, 2)
    contrary = candidates(source, options, none, 2, Contrary())  # type: ignore[arg-type]
    assert [place[d.program] for d in plain[1:]] == [0, 1]
    assert [place[d.program] for d in contrary[1:]] == [0, len(pool) - 1]


def test_no_database_no_forecast(tmp_path: Path) -> None:
    assert forecast_from(options_from(database=tmp_path / "none.db", threads=1)) is None


def test_a_form_has_the_kernels_of_its_plan() -> None:
    options = options_from(threads=1)
    chain = program(CHAIN)
    (derived,) = candidates(chain, options, frozenset(), 1)[1:]
    kernels = kernels_of(chain, derived.program, frozenset(), options)
    assert len(kernels.estimates) == len(kernels.rows) >= 1
    assert sum(kernels.estimates) > 0
