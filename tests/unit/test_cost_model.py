"""The prior orders what first principles order; the ranker learns an order and survives its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tcomp import passes, schedule
from tcomp.codegen.named import target_named
from tcomp.cost_model.features import FEATURES, features
from tcomp.cost_model.prior import estimates
from tcomp.cost_model.ranker import Example, ModelError, evaluate, load, train
from tcomp.ir.dtypes import f32
from tcomp.ir.plan import Group
from tests.unit.programs import product_chain, program, tensor

TARGET = target_named("x86-64-v3")


def matmul() -> Group:
    a, b = tensor("A", 128, 128, dtype=f32), tensor("B", 128, 128, dtype=f32)
    c, definition = product_chain("C", a, b)
    return schedule.completed(passes.plan(program([a, b], [c], definition))).groups[0]


def test_features_have_a_column_each_and_no_nan() -> None:
    group = matmul()
    first = schedule.space(group, TARGET, 2).first
    rows = features(group, [first, first], TARGET, 2)
    assert rows.shape == (2, len(FEATURES))
    assert np.isfinite(rows).all()
    assert len({f.name for f in FEATURES}) == len(FEATURES)


def test_the_prior_prefers_full_tiles_and_threads() -> None:
    group = matmul()
    first = schedule.space(group, TARGET, 2).first
    small = first.replaced("tile_rows", 1).replaced("tile_vectors", 1)
    good, bad = estimates(group, [first, small], TARGET, 2)
    assert good < bad
    serial, shared = estimates(
        group, [first.replaced("parallel", 0), first.replaced("parallel", 1)], TARGET, 2
    )
    assert shared < serial


def examples(seed: int) -> list[Example]:
    """Workloads where time grows with the third feature and falls with the fifth."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(6):
        rows = rng.random((24, len(FEATURES))).astype(np.float32)
        found.append(Example(rows, np.exp(2 * rows[:, 2] - rows[:, 4]).astype(np.float64)))
    return found


def test_the_ranker_learns_an_order(tmp_path: Path) -> None:
    model = train(examples(0))
    assert model is not None
    quality = evaluate(model, examples(1))
    assert quality.pairs > 0.8
    assert quality.top8 > 0.9
    model.save(tmp_path / "m.json")
    again = load(tmp_path / "m.json")
    rows = examples(2)[0].rows
    np.testing.assert_allclose(again.score(rows), model.score(rows), rtol=1e-5)


def test_too_few_measurements_train_nothing() -> None:
    assert train(examples(0)[:1]) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"tcomp_model": 1, "features": 999}', "{}", "\x80\x04."]
)
def test_what_is_no_model_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ModelError):
        load(path)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    model = train(examples(0))
    assert model is not None
    model.save(tmp_path / "m.json")
    body = json.loads((tmp_path / "m.json").read_text())
    body["booster"] = {"nonsense": 1}
    (tmp_path / "m.json").write_text(json.dumps(body))
    with pytest.raises(ModelError):
        load(tmp_path / "m.json")
